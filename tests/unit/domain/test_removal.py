"""decide() about a TrialEngine that is being deleted."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    T,
    absent,
    armed,
    asking,
    at,
    deleting,
    edited,
    ended,
    engine,
    latched,
    nap,
    pod,
    recorded_events,
    refused,
    running,
    settle,
    shown,
    slot,
    steps,
    trial,
    with_activities,
    written,
)
from tests.unit.domain.removals import ended_pod, going, stopping

from lcm_operator.api.storage import rfc3339
from lcm_operator.domain.actions import (
    DeletePod,
    LookUpPod,
    UnholdEngine,
    Wait,
    WriteEngine,
    WriteTrial,
)
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Problem

ALL_DONE = {"one": "Succeeded", "two": "Succeeded", "three": "Succeeded"}
GOING = deleting(engine())


def with_finally(before):
    """Return the snapshot with a plan that has something to release."""
    assert before.engine is not None
    free = trial(activities=[nap("free")]).spec.activities
    spec = msgspec.structs.replace(before.engine.spec, finally_=free)
    return replace(before, engine=msgspec.structs.replace(before.engine, spec=spec))


def failed_with_something_to_release():
    """Return the snapshot of an engine that has failed, is being deleted, and has no live pod."""
    return ended_pod(stopping(with_finally(ended(one="Failed")), now=20))


def begun_to_release():
    """Return it after the write that begins one more attempt, for which there is no pod yet."""
    before = failed_with_something_to_release()
    return replace(written(before, decide(before, at(21))), pod=None)


def gone(before, attempt):
    """Return the snapshot after the pod of that attempt was looked for in vain, and the engine read after."""
    return replace(before, pod=absent(f"example-{attempt}"), engine_read_after_end=True)


# --- one that never acted


def test_the_pod_of_an_engine_that_was_never_granted_is_looked_for_first():
    assert decide(slot(engine=GOING), T).actions == (LookUpPod("example-1"),)


def test_a_pod_that_was_never_granted_is_deleted_by_uid():
    decision = decide(slot(engine=GOING, pod=pod()), T)
    assert decision.actions == (DeletePod("example-1", "pod-1"),)


def test_a_pod_that_is_ending_is_waited_for_and_looked_at_every_second():
    ending = slot(engine=GOING, pod=pod(deleting=True, seen=5))
    decision = decide(ending, at(5.5))
    assert isinstance(decision, Wait)
    assert decision.wake_at == at(6)
    assert decide(ending, at(6)).actions == (LookUpPod("example-1"),)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(pod(ended=True), id="ended"),
        pytest.param(pod(ended=True, deleting=True), id="ended while being deleted"),
        pytest.param(absent(), id="gone"),
    ],
)
def test_an_engine_of_nobody_is_released_once_its_pod_has(seen):
    decision = decide(slot(engine=GOING, pod=seen), T)
    assert decision.actions[-1] == UnholdEngine(GOING)
    assert recorded_events(decision) == [("Cancelled", False)]


def test_an_engine_that_others_still_hold_is_left_to_them():
    theirs = deleting(engine(), "example.com/hold")
    decision = decide(slot(engine=theirs, pod=absent()), T)
    assert isinstance(decision, Wait)
    assert decision.wake_at is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"startTime": rfc3339(at(600))}, id="rescheduled"),
        pytest.param({"suspend": True}, id="suspended"),
        pytest.param({"parameters": {"a": "b"}}, id="edited"),
    ],
)
def test_engine_deleted_because_its_trial_was_changes_nothing_of_the_trial(change):
    before = armed()
    changed = going(replace(before, trials=(edited(before.trials[0], **change),)), pod=absent())
    assert steps(decide(changed, at(-20))) == ["UnholdEngine"]


def test_engine_deleted_because_the_start_time_moved_changes_no_trial():
    waiting = trial(startTime=None, registryRef={"name": "default"})
    known = msgspec.structs.replace(waiting, status=msgspec.structs.replace(waiting.status, start_time=T))
    before = going(armed(known), pod=absent())
    status = msgspec.structs.replace(before.trials[0].status, start_time=at(600))
    moved = replace(before, trials=(msgspec.structs.replace(before.trials[0], status=status),))
    assert steps(decide(moved, at(-20))) == ["UnholdEngine"]


def test_an_armed_engine_that_a_person_deletes_is_made_anew():
    before = going(armed(), pod=absent())
    assert steps(decide(before, at(-20))) == ["UnholdEngine"]
    assert steps(decide(replace(before, engine=None, pod=None), at(-20))) == ["CreateEngine"]


def test_a_deleted_trial_that_is_still_there_shows_that_it_was_cancelled():
    before = going(armed(), pod=absent())
    (owner,) = before.trials
    metadata = msgspec.structs.replace(owner.metadata, deletion_timestamp=T)
    leaving = replace(before, trials=(msgspec.structs.replace(owner, metadata=metadata),))
    decision = decide(leaving, at(-20))
    assert shown(decision, "Succeeded") == ("False", "Cancelled")
    assert recorded_events(decision) == [("Cancelled", False)]
    assert steps(decide(written(leaving, decision), at(-20))) == ["UnholdEngine"]


def test_an_engine_whose_trial_is_gone_reports_that_it_has_succeeded():
    before = ended_pod(stopping(with_finally(running(one="Succeeded", two="Succeeded", three="Succeeded"))))
    freed = with_activities(replace(before, trials=()), **ALL_DONE, free="Succeeded")
    concluded = written(freed, decide(freed, at(21)))
    decision = decide(concluded, at(22))
    assert steps(decision) == ["RecordEvent", "UnholdEngine"]
    assert recorded_events(decision) == [("Completed", False)]


def test_an_engine_whose_trial_is_gone_reports_that_it_was_cancelled():
    before = ended_pod(stopping(with_finally(running(one="Succeeded"))))
    freed = with_activities(replace(before, trials=()), one="Succeeded", free="Succeeded")
    concluded = written(freed, decide(freed, at(21)))
    decision = decide(concluded, at(22))
    assert steps(decision) == ["RecordEvent", "UnholdEngine"]
    assert recorded_events(decision) == [("Cancelled", False)]


def test_engine_that_is_not_the_started_one_is_deleted_without_a_report():
    lost = settle(replace(ended(one="Failed"), engine=None, pod=None, engine_gone=True), at(20))
    stray = replace(lost, engine=engine(lost.trials[0], uid="engine-2"))
    assert steps(decide(stray, at(21))) == ["DeleteEngine"]
    leaving = going(stray, pod=absent())
    assert steps(decide(leaving, at(22))) == ["UnholdEngine"]
    waiting = going(stray, pod=pod(deleting=True, seen=22))
    assert steps(decide(waiting, at(22))) == []


def test_latched_trial_without_its_engine_before_the_grant_is_cancelled():
    before = going(latched())
    assert steps(decide(before, at(1))) == ["DeletePod"]
    decision = decide(replace(before, pod=pod(ended=True)), at(2))
    assert shown(decision, "Succeeded") == ("False", "Cancelled")
    assert "the engine was stopped" in decision.actions[0].status.conditions[-1].message


# --- one that acted


def test_an_engine_that_acted_is_asked_to_stop_first():
    (action,) = decide(going(running(one="Running")), at(5)).actions
    assert isinstance(action, WriteEngine)
    assert action.status.stop is not None
    assert (action.status.stop.mode, action.status.stop.request_time) == ("Cancel", at(5))


def test_without_anything_to_release_its_pod_is_deleted_then():
    assert decide(stopping(running()), at(5)).actions == (DeletePod("example-1", "pod-1"),)


def test_its_trial_is_cancelled_before_it_is_let_go():
    over = ended_pod(stopping(running(one="Succeeded")))
    concluded = written(over, decide(over, at(8)))
    decision = decide(concluded, at(8))
    assert steps(decision) == ["WriteTrial", "RecordEvent"]
    assert shown(decision, "Succeeded") == ("False", "Cancelled")
    assert recorded_events(decision) == [("Cancelled", False)]
    assert steps(decide(written(concluded, decision), at(8))) == ["UnholdEngine"]


def test_that_its_trial_was_edited_after_the_start_makes_no_difference():
    before = running(one="Running")
    changed = replace(before, trials=(edited(before.trials[0], ttlSecondsAfterFinished=5),))
    over = ended_pod(stopping(changed))
    assert shown(decide(over, at(8)), "Succeeded") == ("False", "Cancelled")


def test_while_it_stops_its_trial_shows_what_it_has_come_to():
    stops = replace(stopping(with_finally(running())), pod=pod(seen=6))
    before = with_activities(stops, one="Succeeded", two="Running")
    decision = decide(before, at(6))
    (action,) = decision.actions
    assert isinstance(action, WriteTrial)
    assert action.status.progress == "1/3"
    assert steps(decide(written(before, decision), at(6))) == []


def test_a_trial_that_succeeded_stays_so():
    over = ended_pod(stopping(ended(**ALL_DONE), now=20))
    assert steps(decide(settle(over, at(21)), at(21))) == ["UnholdEngine"]
    assert settle(over, at(21)).trials[0].status.phase == "Succeeded"


def test_a_trial_that_failed_is_cancelled():
    over = ended_pod(stopping(ended(one="Failed"), now=20))
    assert shown(decide(over, at(21)), "Succeeded") == ("False", "Cancelled")


def test_an_engine_with_something_to_release_is_left_to_it():
    decision = decide(stopping(with_finally(running(one="Running"))), at(5))
    assert "DeletePod" not in steps(decision)
    assert "UnholdEngine" not in steps(decision)


def test_it_is_let_go_once_it_has_released_and_ended():
    freed = with_activities(stopping(with_finally(running())), free="Succeeded")
    over = ended_pod(freed)
    assert steps(decide(settle(over, at(9)), at(9))) == ["UnholdEngine"]


def test_a_release_that_failed_is_not_waited_for():
    freed = with_activities(stopping(with_finally(running())), free="Failed")
    assert steps(decide(settle(ended_pod(freed), at(9)), at(9))) == ["UnholdEngine"]


def test_without_a_live_pod_one_more_attempt_releases_and_does_nothing_else():
    over = failed_with_something_to_release()
    (action,) = decide(over, at(21)).actions
    assert isinstance(action, WriteEngine)
    assert (action.status.attempt, action.status.pod_ref) == (2, None)
    last = action.status.attempts[-1]
    assert (last.reason, last.from_activity) == ("Finally", "free")
    assert action.status.activity("one").state == "Failed"
    begun = settle(begun_to_release(), at(22))
    (create,) = decide(begun, at(22)).actions
    assert create.manifest["metadata"]["name"] == "example-2"
    assert steps(decide(replace(begun, pod=pod(2)), at(22))) == ["CreateLease", "GrantEngine"]


def test_what_is_not_released_in_time_is_given_up():
    late = stopping(with_finally(running()))
    assert steps(decide(late, at(5 + 311))) == ["DeletePod"]
    assert steps(decide(settle(ended_pod(late), at(316)), at(316))) == ["UnholdEngine"]


@pytest.mark.parametrize(
    ("reason", "given_up"),
    [
        pytest.param("NamespaceTerminating", True, id="goes: given up"),
        pytest.param("AdmissionRefused", False, id="is full: tried again"),
    ],
)
def test_a_release_for_which_no_pod_can_be_made_since_the_namespace(reason, given_up):
    before = replace(begun_to_release(), refusal=refused(22, Problem(reason, "no")))
    decision = decide(settle(before, at(22.5)), at(22.5))
    if given_up:
        assert steps(decision) == ["LookUpPod"]
        assert shown(decide(gone(before, 2), at(22.5)), "Succeeded") == ("False", "Cancelled")
    else:
        assert (steps(decision), decision.wake_at) == ([], at(23))


def test_a_restore_that_was_overtaken_by_a_deletion_begins_no_attempt():
    failed = asking(ended(one="Failed"), restore="r1")
    begun = replace(written(failed, decide(failed, at(20))), pod=None)
    overtaken = settle(stopping(begun, now=21), at(22))
    assert steps(decide(overtaken, at(22))) == ["LookUpPod"]
    assert "CreatePod" not in steps(decide(gone(overtaken, 2), at(22)))


@pytest.mark.parametrize(
    "seen", [pytest.param(pod(ended=True), id="has ended"), pytest.param(absent(), id="is gone")]
)
def test_last_checkpoint_is_read_before_another_attempt_releases_for_a_pod(seen):
    before = stopping(with_finally(ended(one="Failed")), now=20)
    over = replace(before, pod=seen, engine_read_after_end=False)
    assert steps(decide(over, at(21))) == ["LookUpEngine"]


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(10, id="has not passed"),
        pytest.param(400, id="has passed"),
    ],
)
def test_alarm_for_a_pod_that_does_not_end_lies_ahead_though_the_time(late):
    now = at(late + 0.5)
    stuck = settle(replace(stopping(running()), pod=pod(deleting=True, seen=late)), now)
    decision = decide(stuck, now)
    assert isinstance(decision, Wait)
    assert decision.wake_at is not None
    assert decision.wake_at > now


@pytest.mark.parametrize("on", ["trial", "engine"])
def test_message_of_a_cancelled_trial_names_the_request(on):
    after = settle(asking(running(one="Running"), on=on, delete="d1"), at(20))
    after = settle(ended_pod(after), at(21))
    assert after.engine is not None
    condition = next(each for each in after.engine.status.conditions if each.type == "Succeeded")
    assert condition.message == "the trial was deleted by the request 'd1', the engine was stopped"
