"""What became of `finally`: the condition Released, its Events, and who holds the TrialEngine."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    absent,
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
    refused,
    running,
    settle,
    shown,
    steps,
    trial,
    with_activities,
    written,
)

from lcm_operator.api import conditions
from lcm_operator.domain.actions import HoldEngine, UnholdEngine, WriteEngine
from lcm_operator.domain.decide import decide
from lcm_operator.domain.release import must_be_held, release_of

RELEASING = trial(activities=[nap("one")], **{"finally": [nap("free"), nap("clean")]})
PASSED = {"one": "Succeeded", "free": "Succeeded", "clean": "Succeeded"}
TOO_LATE = "finally was not done within 300 s"


def released(before):
    """Return status, reason and message of the condition as the TrialEngine stands."""
    found = release_of(before.engine)
    assert found is not None
    return found.status, found.reason, found.message


def saying(before, **messages):
    """Return the snapshot after activities of it have said so, with that message."""
    status = before.engine.status
    activities = tuple(
        msgspec.structs.replace(each, message=messages.get(each.name, "")) for each in status.activities
    )
    decided = msgspec.structs.replace(status, activities=activities)
    return replace(before, engine=msgspec.structs.replace(before.engine, status=decided))


def over(before, now=20.0):
    """Return the snapshot after its pod has ended and all that follows is written."""
    return settle(replace(before, pod=pod(ended=True, exit_code=0), engine_read_after_end=True), at(now))


def on_trial(before, kind):
    found = conditions.find(before.trials[0].status.conditions, kind)
    return None if found is None else (found.status, found.reason)


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


# --- from latch to grant


def test_a_lease_that_is_refused_is_shown_and_tried_again():
    before = replace(latched(), refusal=refused(5))
    decision = decide(before, at(5.5))
    assert shown(decision, "Succeeded") == ("Unknown", "AdmissionRefused")
    waiting = decide(written(before, decision), at(5.6))
    assert (steps(waiting), waiting.wake_at) == ([], at(6))
    assert steps(decide(written(before, decision), at(6))) == ["CreateLease", "GrantEngine"]


def test_succeeded_trial_stays_so_when_its_next_attempt_gets_no_pod():
    through = {"one": "Succeeded", "two": "Succeeded", "three": "Succeeded", "free": "Succeeded"}
    done = ended(trial(**{"finally": [nap("free")]}), **through)
    before = asking(replace(done, engine=held(done.engine)), restore="r1")
    begun = written(before, decide(before, at(20)))
    assert begun.engine.status.attempt == 2
    late = settle(replace(begun, pod=absent("example-2"), refusal=refused(200)), at(200.1))
    assert on_trial(late, "Succeeded") == ("True", "Completed")
    assert on_trial(late, "Released") == ("True", "Released")
    (succeeded,) = (each for each in late.engine.status.conditions if each.type == "Succeeded")
    assert "attempt 2 was not granted within 120 s" in succeeded.message
    leftover = replace(late, pod=pod(2))
    assert steps(decide(leftover, at(201))) == ["DeletePod"]


def recorded(before, now):
    """Return the reasons of the Events until nothing is left to be written."""
    found = []
    for _ in range(10):
        decision = decide(before, now)
        found += [reason for reason, _ in recorded_events(decision)]
        before = written(before, decision)
    return found


def awaiting_pod(**states):
    """Return a trial that had its end, and whose next attempt has no pod yet."""
    done = over(running(RELEASING, **states))
    before = asking(replace(done, engine=held(done.engine)), restore="r1")
    begun = replace(written(before, decide(before, at(30))), pod=absent("example-2"))
    shows = written(begun, decide(begun, at(30)))
    assert on_trial(shows, "Released") == ("Unknown", "Owed")
    return shows


def ungranted(**states):
    """Return a trial that had its end, and whose next attempt got no pod until that was given up."""
    return settle(replace(awaiting_pod(**states), refusal=refused(200)), at(200.1))


def test_what_was_released_stays_so_when_the_next_attempt_gets_no_pod():
    late = ungranted(**PASSED)
    assert on_trial(late, "Succeeded") == ("True", "Completed")
    assert released(late) == ("True", "Released", "passed: free, clean")


def test_a_success_is_recorded_once_though_the_next_attempt_gets_no_pod():
    before = awaiting_pod(**PASSED)
    assert before.trials[0].status.phase == "Running"
    late = replace(before, refusal=refused(200))
    assert "Completed" not in recorded(late, at(200.1))
    assert on_trial(settle(late, at(200.1)), "Succeeded") == ("True", "Completed")


def test_a_success_of_an_attempt_that_ran_is_recorded_anew():
    granted = settle(replace(awaiting_pod(**PASSED), pod=pod(2)), at(31))
    again = replace(with_activities(granted, **PASSED), pod=pod(2, ended=True), engine_read_after_end=True)
    assert recorded(again, at(40)).count("Completed") == 1


def test_a_success_is_shown_before_a_restore_takes_it_back():
    ended = replace(running(RELEASING, **PASSED), pod=pod(ended=True), engine_read_after_end=True)
    judged = written(ended, decide(ended, at(20)))
    asked = replace(asking(judged, restore="r1"), engine=held(judged.engine))
    assert recorded(asked, at(20))[:2] == ["Completed", "Restored"]


def test_a_release_that_had_failed_is_not_taken_for_one_that_passed():
    late = ungranted(**(PASSED | {"clean": "Failed"}))
    assert released(late)[:2] == ("False", "FinallyNotRun")
    assert "clean" in released(late)[2]
    assert "free" not in released(late)[2]


def test_one_more_attempt_without_a_pod_changes_nothing_of_it():
    late = asking(replace(ungranted(**PASSED), refusal=None), restore="r2")
    begun = replace(written(late, decide(late, at(300))), pod=absent("example-3"))
    assert begun.engine.status.attempt == 3
    later = settle(replace(begun, refusal=refused(500)), at(500.1))
    assert released(later) == ("True", "Released", "passed: free, clean")


def test_from_a_grant_on_it_has_to_be_released_again():
    late = asking(replace(ungranted(**PASSED), refusal=None), restore="r2")
    begun = replace(written(late, decide(late, at(300))), pod=pod(3))
    granted = settle(begun, at(301))
    assert granted.engine.status.pod_ref is not None
    assert not any(each.completion_time for each in granted.engine.status.activities if each.name != "one")
    assert released(granted)[:2] == ("Unknown", "Owed")


def test_a_delete_has_nothing_to_release_then():
    late = asking(replace(ungranted(**PASSED), refusal=None), delete="d1")
    stop_requested = settle(late, at(300))
    assert stop_requested.engine.status.stop.mode == "Cancel"
    assert "CreatePod" not in steps(decide(stop_requested, at(301)))
    assert on_trial(stop_requested, "Succeeded") == ("True", "Completed")
    assert on_trial(stop_requested, "Released") == ("True", "Released")


def test_an_attempt_that_is_refused_for_too_long_has_failed_and_its_pod_goes():
    late = settle(replace(latched(), refusal=refused(121)), at(121.1))
    assert on_trial(late, "Succeeded") == ("False", "EngineNotGranted")
    assert on_trial(late, "Finished") == ("True", "Failed")
    assert "exceeded quota" in late.trials[0].status.conditions[-1].message
    assert steps(decide(late, at(121.2))) == ["DeletePod"]
    assert [(a.number, a.outcome) for a in late.engine.status.attempts] == [(1, "Failed")]


def test_an_attempt_that_nobody_tried_meanwhile_is_tried_first():
    assert steps(decide(latched(), at(3600))) == ["CreateLease", "GrantEngine"]


def test_a_longer_starting_deadline_counts_for_the_grant_too():
    patient = trial(startingDeadlineSeconds=600)
    assert on_trial(settle(replace(latched(patient), refusal=refused(300)), at(300.1)), "Succeeded") == (
        "Unknown",
        "AdmissionRefused",
    )


def test_one_that_was_not_granted_can_be_restored():
    late = settle(replace(latched(RELEASING), refusal=refused(121)), at(121.1))
    assert on_trial(late, "Released") == ("True", "NothingToRelease")
    cleared = replace(asking(late, restore="r1"), refusal=None, pod=absent())
    restored = settle(replace(cleared, engine_read_after_end=True), at(130))
    assert restored.engine.status.attempt == 2
    assert restored.engine.status.attempts_total == 2
    assert on_trial(restored, "Released") == ("Unknown", "Owed")
