"""decide() about a restore: when it begins, and what it does to the checkpoint."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    absent,
    asking,
    at,
    ended,
    nap,
    pod,
    recorded_events,
    running,
    settle,
    shown,
    steps,
    trial,
    with_activities,
    with_plan_read,
    written,
)

from lcm_operator.api import conditions
from lcm_operator.api.engine import ActivityStatus, Stop
from lcm_operator.domain.actions import DeletePod, LookUpEngine, LookUpPod, WriteEngine, WriteTrial
from lcm_operator.domain.checkpoint import released, restored
from lcm_operator.domain.decide import decide

HALF = {"one": "Succeeded", "two": "Failed"}


def failed_and_asked(**annotations):
    return asking(ended(**HALF), **annotations)


# --- when


def test_a_running_engine_is_stopped_first():
    before = asking(settle(running(one="Succeeded", two="Running"), at(3)), restore="r1")
    assert decide(before, at(4)).actions == (DeletePod("example-1", "pod-1"),)


def test_a_restore_waits_for_the_old_pod_to_end():
    before = asking(settle(running(one="Succeeded", two="Running"), at(3)), restore="r1")
    decision = decide(replace(before, pod=pod(deleting=True)), at(5))
    assert "WriteEngine" not in steps(decision)


def test_a_pod_that_nobody_knows_of_is_looked_up_first():
    before = asking(settle(running(one="Succeeded", two="Running"), at(3)), restore="r1")
    decision = decide(replace(before, pod=None), at(20))
    assert decision.actions == (LookUpPod("example-1"),)


def test_pod_whose_end_was_noted_is_read_for_other_containers_only():
    before = failed_and_asked(restore="r1")
    assert steps(decide(replace(before, pod=None), at(20))) == ["LookUpPod"]
    gone = replace(before, pod=absent(), engine_read_after_end=True)
    assert steps(decide(gone, at(20)))[0] == "WriteEngine"


@pytest.mark.parametrize(
    "over", [pytest.param(pod(ended=True), id="ended"), pytest.param(absent(), id="gone")]
)
def test_restore_begins_only_once_the_last_checkpoint_was_read_after_the_pod(over):
    before = replace(failed_and_asked(restore="r1"), pod=over, engine_read_after_end=False)
    assert decide(before, at(20)).actions == (LookUpEngine(),)
    assert "WriteEngine" in steps(decide(replace(before, engine_read_after_end=True), at(20)))


# --- what


def test_a_restore_begins_the_next_attempt_in_one_write_with_its_answer():
    decision = decide(failed_and_asked(restore="r1"), at(20))
    (action, _) = decision.actions
    assert isinstance(action, WriteEngine)
    status = action.status
    assert (status.attempt, status.pod_ref, status.attempts_total) == (2, None, 2)
    assert [(a.name, a.state, a.run) for a in status.activities] == [
        ("one", "Succeeded", 1),
        ("two", "Pending", 1),
    ]
    assert [(taken.type, taken.id, taken.result) for taken in status.trial_requests] == [
        ("Restore", "r1", "Done")
    ]
    assert shown(decision, "Succeeded") == ("Unknown", "Restoring")
    assert recorded_events(decision) == [("Restored", False)]


def test_lineage_shows_how_the_old_attempt_ended_and_the_new_one_begins():
    (action, _) = decide(failed_and_asked(restore="r1"), at(20)).actions
    assert isinstance(action, WriteEngine)
    first, second = action.status.attempts
    assert (first.number, first.outcome) == (1, "Failed")
    assert (second.number, second.reason, second.from_activity) == (2, "Restore", "two")


def test_an_attempt_that_was_stopped_for_a_restore_is_stopped_in_the_lineage():
    before = asking(settle(running(one="Succeeded", two="Running"), at(3)), restore="r1")
    over = replace(before, pod=pod(ended=True), engine_read_after_end=True)
    (action, _) = decide(over, at(20)).actions
    assert isinstance(action, WriteEngine)
    assert (action.status.attempts[0].outcome, action.status.attempts[0].completion_time) == (
        "Stopped",
        at(20),
    )
    before_it = before.engine.status.activity("two")
    assert before_it.start_time is not None
    assert action.status.activity("two") == ActivityStatus(
        name="two", state="Pending", run=1, start_time=before_it.start_time
    )


def test_the_next_attempt_gets_a_pod_of_its_own_name_and_then_its_grant():
    before = failed_and_asked(restore="r1")
    begun = settle(replace(written(before, decide(before, at(20))), pod=None), at(20))
    (create,) = decide(begun, at(20)).actions
    assert create.manifest["metadata"]["name"] == "example-2"
    (_, grant) = decide(replace(begun, pod=pod(2)), at(21)).actions
    assert grant.status.pod_ref.uid == "pod-2"
    assert [attempt.number for attempt in grant.status.attempts] == [1, 2]
    assert grant.status.attempts[1].start_time == at(21)
    assert grant.status.attempts_total == 2


def test_a_trial_whose_engine_is_restored_shows_it_and_echoes_the_answer():
    before = failed_and_asked(restore="r1")
    granted = settle(replace(written(before, decide(before, at(20))), pod=pod(2)), at(21))
    status = granted.trials[0].status
    assert status.phase == "Running"
    assert status.last_handled_restore is not None
    assert (status.last_handled_restore.id, status.last_handled_restore.result) == ("r1", "Done")


def test_a_restore_that_was_answered_is_not_done_again():
    before = failed_and_asked(restore="r1")
    granted = settle(replace(written(before, decide(before, at(20))), pod=pod(2)), at(21))
    failed = settle(
        replace(
            with_activities(granted, **HALF), pod=pod(2, ended=True, exit_code=0), engine_read_after_end=True
        ),
        at(30),
    )
    assert failed.engine is not None
    assert failed.engine.status.attempt == 2
    assert steps(decide(failed, at(31))) == []
    assert "WriteEngine" in steps(decide(asking(failed, restore="r2"), at(31)))


def test_a_finished_engine_is_restored_too_with_nothing_left_to_do():
    done = ended(one="Succeeded", two="Succeeded", three="Succeeded")
    (action, event) = decide(asking(done, restore="r1"), at(20)).actions
    assert isinstance(action, WriteEngine)
    assert action.status.attempts[-1].from_activity == ""
    assert "begins at the end" in event.message


def test_a_restore_on_the_engine_itself_is_answered_there():
    before = with_plan_read(asking(ended(**HALF), on="engine", restore="r1"), at(20))
    (action, _) = decide(before, at(20)).actions
    assert isinstance(action, WriteEngine)
    assert action.status.last_handled_restore is not None
    assert (action.status.last_handled_restore.id, action.status.last_handled_restore.result) == (
        "r1",
        "Done",
    )
    assert action.status.trial_requests == ()


def test_restores_on_both_are_met_by_one_attempt():
    before = with_plan_read(asking(failed_and_asked(restore="r1"), on="engine", restore="r2"), at(20))
    (action, _) = decide(before, at(20)).actions
    assert isinstance(action, WriteEngine)
    assert action.status.attempt == 2
    assert [taken.id for taken in action.status.trial_requests] == ["r1"]
    assert action.status.last_handled_restore is not None
    assert action.status.last_handled_restore.id == "r2"


# --- from an activity


def test_restore_from_an_activity_gives_those_that_had_succeeded_a_new_run():
    before = asking(
        ended(one="Succeeded", two="Succeeded", three="Failed"), restore="r1", restore_from="r1/two"
    )
    (action, _) = decide(before, at(20)).actions
    assert isinstance(action, WriteEngine)
    assert [(a.name, a.state, a.run) for a in action.status.activities] == [
        ("one", "Succeeded", 1),
        ("two", "Pending", 2),
        ("three", "Pending", 1),
    ]
    assert (action.status.attempts[-1].reason, action.status.attempts[-1].from_activity) == (
        "RestoreFrom",
        "two",
    )


def test_what_was_skipped_begins_again_with_the_same_run():
    before = asking(ended(one="Skipped", two="Failed"), restore="r1", restore_from="r1/one")
    (action, _) = decide(before, at(20)).actions
    assert isinstance(action, WriteEngine)
    assert [(a.state, a.run) for a in action.status.activities] == [("Pending", 1), ("Pending", 1)]


def test_a_restore_from_of_another_request_is_not_of_this_one():
    before = failed_and_asked(restore="r2", restore_from="r1/one")
    (action, _) = decide(before, at(20)).actions
    assert isinstance(action, WriteEngine)
    assert action.status.activity("one").state == "Succeeded"


def test_restore_from_an_unknown_activity_is_refused_and_reported():
    before = failed_and_asked(restore="r1", restore_from="r1/four")
    decision = decide(before, at(20))
    (action, _) = decision.actions
    assert isinstance(action, WriteEngine)
    assert action.status.attempt == 1
    assert [(taken.result, "'four'" in taken.message) for taken in action.status.trial_requests] == [
        ("Refused", True)
    ]
    assert recorded_events(decision) == [("RequestRefused", True)]
    after = decide(written(before, decision), at(20))
    assert isinstance(after.actions[0], WriteTrial)
    assert after.actions[0].status.last_handled_restore is not None
    assert after.actions[0].status.last_handled_restore.result == "Refused"


# --- what ran beside the plan


def with_more(before, **lists):
    """Return the snapshot with activities in onFailure or finally."""
    assert before.engine is not None
    added = {field: trial(activities=[nap(name)]).spec.activities for field, name in lists.items()}
    spec = msgspec.structs.replace(before.engine.spec, **added)
    return replace(before, engine=msgspec.structs.replace(before.engine, spec=spec))


@pytest.mark.parametrize(
    ("state", "run"),
    [
        pytest.param("Succeeded", 2, id="succeeded: a new run"),
        pytest.param("Failed", 2, id="failed: a new run"),
        pytest.param("Running", 2, id="was in flight: a new run"),
        pytest.param("Pending", 1, id="had not begun: the same run"),
        pytest.param("Skipped", 1, id="was skipped: the same run"),
    ],
)
@pytest.mark.parametrize(
    "field", [pytest.param("on_failure", id="onFailure"), pytest.param("finally_", id="finally")]
)
def test_a_restore_begins_again_what_of_the_report_or_the_release(field, state, run):
    this = with_more(ended(**HALF), **{field: "extra"}).engine
    assert this is not None
    saved = (*this.status.activities, ActivityStatus(name="extra", state=state, run=1))
    this = msgspec.structs.replace(this, status=msgspec.structs.replace(this.status, activities=saved))
    extra = restored(this, "Restore", at(20), None).activity("extra")
    assert (extra.state, extra.run) == ("Pending", run)


def test_one_more_attempt_that_releases_continues_with_what_was_in_flight():
    this = with_more(ended(**HALF), finally_="free").engine
    assert this is not None
    saved = (*this.status.activities, ActivityStatus(name="free", state="Running", run=3))
    this = msgspec.structs.replace(this, status=msgspec.structs.replace(this.status, activities=saved))
    status = released(this, at(20))
    assert [(a.name, a.state, a.run) for a in status.activities] == [
        ("one", "Succeeded", 1),
        ("two", "Failed", 1),
        ("free", "Pending", 3),
    ]
    assert status.phase == "Stopping"
    assert conditions.reason(status.conditions, "Succeeded") == "Stopping"


def test_one_more_attempt_that_releases_leaves_the_plan_as_it_was_stopped():
    this = with_more(running(one="Running"), finally_="free").engine
    assert this is not None
    assert released(this, at(20)).activity("one").state == "Running"


def test_a_restore_takes_back_that_an_engine_was_asked_to_stop():
    this = ended(**HALF).engine
    assert this is not None
    stop = Stop(mode="Deadline", request_time=at(15))
    stopped = msgspec.structs.replace(this, status=msgspec.structs.replace(this.status, stop=stop))
    status = restored(stopped, "Restore", at(20), None)
    assert (status.stop, status.phase) == (None, "Pending")
    assert released(stopped, at(20)).stop == stop


def test_what_failed_and_was_passed_by_is_not_begun_again():
    tolerant = trial(activities=[nap("one", continueOnError=True), nap("two")])
    (action, _) = decide(asking(ended(tolerant, one="Failed", two="Failed"), restore="r1"), at(20)).actions
    assert isinstance(action, WriteEngine)
    assert [(a.name, a.state) for a in action.status.activities] == [("one", "Failed"), ("two", "Pending")]
    assert action.status.attempts[-1].from_activity == "two"


# --- the lineage


def test_only_the_last_twenty_attempts_are_kept_and_all_are_counted():
    this = ended(**HALF).engine
    assert this is not None
    for _ in range(30):
        this = msgspec.structs.replace(this, status=restored(this, "Restore", at(20), None))
    assert [attempt.number for attempt in this.status.attempts] == list(range(12, 32))
    assert this.status.attempts_total == 31
    assert this.status.attempt == 31


def test_hundred_restores_in_a_row_give_the_failed_activity_no_new_run():
    before = ended(**HALF)
    runs = set()
    for number in range(2, 102):
        asked = asking(before, restore=f"r{number}")
        begun = written(asked, decide(asked, at(20)))
        assert begun.engine is not None
        runs.add(begun.engine.status.activity("two").run)
        granted = settle(replace(begun, pod=pod(number), engine_read_after_end=False), at(21))
        assert granted.engine is not None
        failed = tuple(
            msgspec.structs.replace(activity, state=HALF[activity.name], message="as told")
            for activity in granted.engine.status.activities
        )
        status = msgspec.structs.replace(granted.engine.status, activities=failed)
        over = replace(granted, engine=msgspec.structs.replace(granted.engine, status=status))
        gone = pod(number, ended=True, exit_code=1)
        before = settle(replace(over, pod=gone, engine_read_after_end=True), at(30))
    assert before.engine is not None
    status = before.engine.status
    assert runs == {1}
    assert [attempt.number for attempt in status.attempts] == list(range(82, 102))
    assert {attempt.outcome for attempt in status.attempts} == {"Failed"}
    assert (status.attempt, status.attempts_total) == (101, 101)
    assert {activity.name: activity.state for activity in status.activities} == HALF
