"""What became of `finally`: the condition Released, its Events, and who holds the TrialEngine."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    armed,
    asking,
    at,
    deleting,
    ended,
    held,
    latched,
    message_of,
    nap,
    pod,
    recorded_events,
    running,
    settle,
    shown,
    steps,
    trial,
    with_activities,
    written,
)
from tests.unit.domain.releases import PASSED, RELEASING, on_trial, over, released

from lcm_operator.api import conditions
from lcm_operator.domain.actions import HoldEngine, UnholdEngine, WriteEngine
from lcm_operator.domain.decide import decide
from lcm_operator.domain.release import must_be_held, release_of

TOO_LATE = "finally was not done within 300 s"


def saying(before, **messages):
    """Return the snapshot after activities of it have said so, with that message."""
    status = before.engine.status
    activities = tuple(
        msgspec.structs.replace(each, message=messages.get(each.name, "")) for each in status.activities
    )
    decided = msgspec.structs.replace(status, activities=activities)
    return replace(before, engine=msgspec.structs.replace(before.engine, status=decided))


def test_a_plan_without_finally_has_no_such_condition():
    before = ended(one="Succeeded", two="Succeeded", three="Succeeded")
    assert on_trial(before, "Released") is None
    assert release_of(before.engine) is None


def test_it_is_owed_from_the_latch_on():
    assert on_trial(latched(RELEASING), "Released") == ("Unknown", "Owed")
    assert released(running(RELEASING, one="Running"))[:2] == ("Unknown", "Owed")


def test_the_engine_says_how_to_free_it_while_it_is_owed():
    (engine,) = [running(RELEASING).engine]
    found = conditions.find(engine.status.conditions, "Released")
    assert found is not None
    assert "kubectl patch trialengine example -n lab --type=merge" in found.message


@pytest.mark.parametrize(
    ("states", "messages", "reason", "part"),
    [
        pytest.param({}, {}, "Released", "passed: free, clean", id="all passed"),
        pytest.param({"free": "Skipped"}, {}, "Released", "passed", id="one had nothing to do"),
        pytest.param(
            {"free": "Failed"},
            {"free": "free: 500"},
            "FinallyFailed",
            "free: failed: 500",
            id="failed",
        ),
        pytest.param(
            {"free": "Failed", "clean": "Skipped"},
            {"free": f"free: {TOO_LATE}", "clean": TOO_LATE},
            "FinallyTimedOut",
            "clean: never begun",
            id="timed out",
        ),
        pytest.param(
            {"free": "Failed", "clean": "Skipped"},
            {"free": "free: 500", "clean": TOO_LATE},
            "FinallyFailed",
            "not released: free, clean",
            id="failed, and another timed out",
        ),
    ],
)
def test_after_success_it_says_what_became_of_each(states, messages, reason, part):
    before = over(saying(running(RELEASING, **(PASSED | states)), **messages))
    assert on_trial(before, "Succeeded") == ("True", "Completed")
    assert released(before)[1] == reason
    assert on_trial(before, "Released") == ("True" if reason == "Released" else "False", reason)
    assert part in released(before)[2]


def test_each_release_that_failed_is_an_event():
    before = saying(running(RELEASING, one="Succeeded", free="Failed", clean="Failed"), free="no", clean="no")
    decision = decide(before, at(9))
    assert recorded_events(decision) == [("FinallyFailed", True), ("FinallyFailed", True)]
    assert [action.message for action in decision.actions[1:]] == [
        "release free: failed: no",
        "release clean: failed: no",
    ]


def test_of_a_trial_that_is_gone_one_event_names_all_and_comes_first():
    before = saying(running(RELEASING, one="Running", free="Failed", clean="Failed"), free="no", clean="no")
    going = replace(before, trials=(), engine=deleting(before.engine))
    stopped = written(going, decide(going, at(9)))
    done = replace(stopped, pod=pod(ended=True), engine_read_after_end=True)
    decision = decide(done, at(10))
    assert steps(decision) == ["RecordEvent", "WriteEngine"]
    assert decision.actions[0].first
    assert decision.actions[0].message == "not released: free, clean (free: failed: no; clean: failed: no)"


def test_many_failed_releases_are_few_events():
    names = [f"free-{number}" for number in range(40)]
    many = trial(activities=[nap("one")], **{"finally": [nap(name) for name in names]})
    decision = decide(running(many, one="Succeeded", **dict.fromkeys(names, "Failed")), at(9))
    assert len(recorded_events(decision)) == 17
    assert names[-1] in decision.actions[-1].message
    assert "not released: free-0, free-1" in message_of(decision, "Released")


def test_a_failed_trial_owes_its_releases_until_it_is_deleted():
    before = over(running(RELEASING, one="Failed"))
    assert on_trial(before, "Released") == ("Unknown", "Owed")
    assert on_trial(before, "Finished") == ("True", "Failed")
    stopped = settle(asking(before, delete="d1"), at(30))
    assert on_trial(stopped, "Released") == ("Unknown", "Releasing")
    assert on_trial(stopped, "Finished") == ("False", "Stopping")


def test_an_engine_that_never_began_has_nothing_to_release():
    lifeless = replace(latched(RELEASING), pod=pod())
    stopped = settle(asking(settle(lifeless, at(1)), delete="d1"), at(2))
    assert steps(decide(stopped, at(2))) == ["DeletePod"]
    gone = settle(replace(stopped, pod=pod(ended=True), engine_read_after_end=True), at(3))
    assert on_trial(gone, "Released") == ("True", "NothingToRelease")
    assert on_trial(gone, "Succeeded") == ("False", "Cancelled")


def test_that_it_had_begun_is_read_after_its_end():
    """The engine may have begun between the stop and its end."""
    before = settle(asking(running(RELEASING), delete="d1"), at(2))
    unread = replace(before, pod=pod(ended=True), engine_read_after_end=False)
    assert steps(decide(unread, at(3))) == ["LookUpEngine"]
    begun = with_activities(replace(unread, engine_read_after_end=True), one="Running")
    decision = decide(begun, at(3))
    (action,) = decision.actions
    assert isinstance(action, WriteEngine)
    assert action.status.attempts[-1].reason == "Finally"


def test_completed_plan_whose_pod_ended_early_is_released_by_another_attempt():
    before = running(RELEASING, one="Succeeded", free="Running")
    died = replace(before, pod=pod(ended=True, exit_code=137), engine_read_after_end=True)
    stop = decide(died, at(9))
    stopped = written(died, stop)
    assert stopped.engine.status.stop.mode == "Release"
    begun = written(stopped, decide(stopped, at(9)))
    assert begun.engine.status.attempts[-1].reason == "Finally"
    done = replace(
        with_activities(begun, one="Succeeded", free="Succeeded", clean="Succeeded"),
        pod=pod(2, ended=True),
        engine_read_after_end=True,
    )
    again = msgspec.structs.replace(done.engine.status, pod_ref=before.engine.status.pod_ref)
    finished = settle(
        replace(done, engine=msgspec.structs.replace(done.engine, status=again)),
        at(12),
    )
    assert on_trial(finished, "Succeeded") == ("True", "Completed")
    assert on_trial(finished, "Released") == ("True", "Released")


def test_more_attempts_at_finally_come_ever_later():
    before = settle(asking(over(running(RELEASING, one="Failed")), delete="d1"), at(30))
    first = written(before, decide(before, at(30)))
    assert first.engine.status.attempts[-1].reason == "Finally"
    died = replace(first, pod=pod(2, ended=True), engine_read_after_end=True)
    status = msgspec.structs.replace(
        first.engine.status,
        pod_ref=msgspec.structs.replace(running().engine.status.pod_ref, name="example-2", uid="pod-2"),
    )
    died = settle(replace(died, engine=msgspec.structs.replace(died.engine, status=status)), at(31))
    waits = decide(died, at(31))
    assert (steps(waits), waits.wake_at) == ([], at(35))
    assert steps(decide(died, at(35))) == ["WriteEngine"]


def test_a_plan_that_is_through_when_its_deletion_comes_has_succeeded():
    before = asking(running(RELEASING, **PASSED), delete="d1")
    settled = over(before)
    assert on_trial(settled, "Succeeded") == ("True", "Completed")
    assert on_trial(settled, "Released") == ("True", "Released")
    assert steps(decide(settled, at(21))) == ["UnholdEngine"]


def test_completed_plan_that_is_stopped_at_its_deadline_has_succeeded():
    limited = trial(activities=[nap("one")], engine={"activeDeadlineSeconds": 5})
    late = running(limited, one="Running")
    stopped = written(late, decide(late, at(9)))
    assert stopped.engine.status.stop.mode == "Deadline"
    done = over(with_activities(stopped, one="Succeeded"), 12)
    assert on_trial(done, "Succeeded") == ("True", "Completed")


def test_the_answer_to_the_delete_request_says_what_was_not_released():
    before = settle(asking(over(running(RELEASING, one="Failed")), delete="d1"), at(30))
    given_up = settle(replace(before, pod=pod(ended=True)), at(30 + 311))
    answer = given_up.trials[0].status.last_handled_delete
    assert answer is not None
    assert answer.result == "Done"
    assert "not released: free, clean" in answer.message
    assert on_trial(given_up, "Released") == ("False", "FinallyNotRun")
    assert on_trial(given_up, "Finished") == ("True", "Cancelled")


# --- who is held


def test_an_engine_is_held_from_just_before_the_latch():
    before = replace(armed(RELEASING), pod=pod())
    decision = decide(before, at(0.2))
    assert decision.actions == (HoldEngine(before.engine),)
    assert steps(decide(written(before, decision), at(0.2))) == ["LatchTrial", "RecordEvent"]


def test_one_with_nothing_to_release_is_not_held():
    assert steps(decide(replace(armed(), pod=pod()), at(0.2))) == ["LatchTrial", "RecordEvent"]


def test_it_is_let_go_once_nothing_is_owed_and_the_trial_shows_it():
    before = running(RELEASING, **PASSED)
    recorded = written(before, decide(before, at(9)))
    mirrored = decide(recorded, at(9))
    assert shown(mirrored, "Released") == ("True", "Released")
    assert decide(written(recorded, mirrored), at(9)).actions == (UnholdEngine(recorded.engine),)


def test_a_failed_one_that_owes_its_releases_stays_held():
    before = over(running(RELEASING, one="Failed"))
    assert "UnholdEngine" not in steps(decide(before, at(30)))


def test_a_restore_holds_it_again_before_the_write_that_makes_it_owed():
    done = over(running(RELEASING, **PASSED))
    let_go = msgspec.structs.replace(
        done.engine, metadata=msgspec.structs.replace(done.engine.metadata, finalizers=())
    )
    before = asking(replace(done, engine=let_go), restore="r1")
    decision = decide(before, at(30))
    assert steps(decision) == ["HoldEngine"]
    before = written(before, decision)
    begun = replace(written(before, decide(before, at(30))), pod=None)
    restored = written(begun, decide(begun, at(30)))
    assert on_trial(restored, "Released") == ("Unknown", "Owed")
    assert on_trial(restored, "Finished") == ("False", "Restoring")


def test_one_that_is_being_deleted_can_not_be_held_any_more():
    assert not must_be_held(deleting(running(RELEASING).engine, "example.com/hold"))


def test_one_that_an_earlier_version_holds_without_need_is_let_go():
    early = armed()
    assert steps(decide(replace(early, engine=held(early.engine)), at(-20))) == ["UnholdEngine"]
    at_work = running(one="Running")
    at_work = settle(at_work, at(5))
    assert steps(decide(replace(at_work, engine=held(at_work.engine)), at(6))) == ["UnholdEngine"]
