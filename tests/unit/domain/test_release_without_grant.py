"""What counts as released when the next attempt is not granted."""

from dataclasses import replace

from tests.unit.domain.builders import (
    absent,
    asking,
    at,
    ended,
    held,
    latched,
    nap,
    pod,
    refused,
    running,
    settle,
    shown,
    steps,
    succeeded,
    trial,
    with_activities,
    written,
)
from tests.unit.domain.releases import PASSED, RELEASING, on_trial, over, recorded, released

from lcm_operator.domain.decide import decide

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


def test_an_attempt_refused_for_too_long_has_failed_and_its_pod_is_deleted():
    late = settle(replace(latched(), refusal=refused(121)), at(121.1))
    assert on_trial(late, "Succeeded") == ("False", "EngineNotGranted")
    assert on_trial(late, "Finished") == ("True", "Failed")
    assert "exceeded quota" in succeeded(late.trials[0].status).message
    assert steps(decide(late, at(121.2))) == ["DeletePod"]
    assert [(a.number, a.outcome) for a in late.engine.status.attempts] == [(1, "Failed")]


def test_an_attempt_that_nobody_tried_meanwhile_is_tried_first():
    assert steps(decide(latched(), at(3600))) == ["CreateLease", "GrantEngine"]


def test_a_longer_starting_deadline_counts_for_the_grant_as_well():
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
