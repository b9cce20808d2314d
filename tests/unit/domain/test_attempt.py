"""decide() from the latch to the outcome."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    absent,
    asking,
    at,
    edited,
    ended,
    engine,
    gone,
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
    succeeded,
    trial,
    with_activities,
    written,
)

from lcm_operator.api import conditions
from lcm_operator.api.engine import Attempt
from lcm_operator.domain.actions import (
    CreateLease,
    CreatePod,
    GrantEngine,
    LookUpEngine,
    LookUpPod,
    Urgency,
    Wait,
    WriteEngine,
    WriteTrial,
)
from lcm_operator.domain.decide import decide

RELEASING = trial(activities=[nap("one")], **{"finally": [nap("free")]})
ALL_DONE = {"one": "Succeeded", "two": "Succeeded", "three": "Succeeded"}


# --- grant


def test_a_latched_trial_without_grant_is_granted():
    decision = decide(latched(), at(0.4))
    (lease, action) = decision.actions
    assert isinstance(lease, CreateLease)
    assert lease.manifest["metadata"]["name"] == "example-1"
    assert lease.manifest["metadata"]["ownerReferences"][0]["uid"] == "pod-1"
    assert isinstance(action, GrantEngine)
    granted = action.status.pod_ref
    assert granted is not None
    assert (granted.name, granted.uid, granted.not_before) == ("example-1", "pod-1", at(0.4))
    assert action.status.attempt == 1
    assert action.status.attempts == (
        Attempt(number=1, reason="Start", start_time=at(0.4), outcome="Running"),
    )
    assert action.status.attempts_total == 1
    assert shown(decision, "Started") == ("True", "EngineStarted")
    assert shown(decision, "Succeeded") == ("Unknown", "Running")
    assert decision.urgency is Urgency.FOLLOW


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(None, id="nobody has looked for since a crash"),
        pytest.param(absent(), id="is gone before its grant"),
    ],
)
def test_a_latched_trial_gets_its_pod_created_or_adopted_if_it(seen):
    before = replace(latched(), pod=seen)
    decision = decide(before, at(0.4))
    (action,) = decision.actions
    assert isinstance(action, CreatePod)
    assert action.manifest["metadata"]["name"] == "example-1"
    assert decision.urgency is Urgency.FOLLOW


def test_a_latched_trial_whose_pod_was_refused_is_tried_again_after_a_second():
    before = settle(replace(latched(), pod=None, refusal=refused(5)), at(5.5))
    decision = decide(before, at(5.5))
    assert isinstance(decision, Wait)
    assert (decision.wake_at, decision.wake_urgency) == (at(6), Urgency.RETRY)
    assert steps(decide(before, at(6))) == ["CreatePod"]


def test_a_restore_that_comes_before_the_grant_is_met_by_it():
    decision = decide(asking(latched(), restore="r1"), at(0.4))
    (_, action) = decision.actions
    assert isinstance(action, GrantEngine)
    assert [(taken.id, taken.result) for taken in action.status.trial_requests] == [("r1", "Merged")]


# --- following


def test_a_granted_engine_that_works_is_left_alone():
    before = running()
    assert steps(decide(before, at(5))) == []


def test_after_a_crash_the_pod_of_a_granted_engine_is_looked_up():
    assert decide(replace(running(), pod=None), at(5)).actions == (LookUpPod("example-1"),)


def test_what_the_engine_has_saved_is_shown_on_the_trial():
    before = running(one="Succeeded", two="Running")
    (action,) = decide(before, at(5)).actions
    assert isinstance(action, WriteTrial)
    assert action.status.progress == "1/3"
    assert action.status.first_activity_lag_milliseconds == 500


def test_the_lag_of_the_first_activity_is_never_negative():
    before = running(one="Running")
    assert before.engine is not None
    (activity,) = before.engine.status.activities
    early = msgspec.structs.replace(
        before.engine.status, activities=(msgspec.structs.replace(activity, start_time=at(-1)),)
    )
    (action,) = decide(
        replace(before, engine=msgspec.structs.replace(before.engine, status=early)), at(5)
    ).actions
    assert isinstance(action, WriteTrial)
    assert action.status.first_activity_lag_milliseconds == 0


def test_a_trial_that_shows_all_there_is_is_not_written_again():
    assert steps(decide(settle(running(one="Succeeded"), at(5)), at(6))) == []


# --- outcome


@pytest.mark.parametrize(
    ("states", "status", "reason", "word"),
    [
        pytest.param(ALL_DONE, "True", "Completed", "Succeeded", id="succeeds: the plan is through"),
        pytest.param(
            {"one": "Succeeded", "two": "Failed"},
            "False",
            "ActivityFailed",
            "Failed",
            id="fails: an activity failed",
        ),
    ],
)
def test_outcome_is_recorded_on_the_engine_as_soon_as_the_checkpoint_has_it(states, status, reason, word):
    decision = decide(running(**states), at(9))
    (action,) = decision.actions
    assert isinstance(action, WriteEngine)
    assert shown(decision, "Succeeded") == (status, reason)
    assert action.status.phase == word
    (attempt,) = action.status.attempts
    assert (attempt.outcome, attempt.completion_time) == (word, at(9))


def test_the_outcome_is_then_shown_on_the_trial_with_an_event():
    before = running(**ALL_DONE)
    recorded = written(before, decide(before, at(9)))
    decision = decide(recorded, at(9))
    assert shown(decision, "Succeeded") == ("True", "Completed")
    assert recorded_events(decision) == [("Completed", False)]


def test_a_failure_is_reported_as_a_warning():
    before = running(one="Failed")
    recorded = written(before, decide(before, at(9)))
    decision = decide(recorded, at(9))
    assert recorded_events(decision) == [("ActivityFailed", True)]
    (action, _) = decision.actions
    assert isinstance(action, WriteTrial)
    assert "activity one failed: as told" in succeeded(action.status).message


@pytest.mark.parametrize(
    "states",
    [pytest.param(ALL_DONE, id="success"), pytest.param({"one": "Failed"}, id="failure")],
)
def test_an_outcome_that_is_recorded_and_shown_stays(states):
    decision = decide(ended(**states), at(60))
    assert isinstance(decision, Wait)
    assert decision.wake_at is None


@pytest.mark.parametrize(
    ("over", "outcome"),
    [
        pytest.param(
            lambda before: replace(before, pod=pod(ended=True)), ("False", "EngineEnded"), id="has ended"
        ),
        pytest.param(gone, ("Unknown", "Restoring"), id="is gone"),
    ],
)
def test_the_engine_is_read_once_more_when_its_pod(over, outcome):
    before = over(settle(running(one="Succeeded"), at(5)))
    assert decide(before, at(9)).actions == (LookUpEngine(),)
    read = replace(before, engine_read_after_end=True)
    decision = decide(read, at(9))
    assert shown(decision, "Succeeded") == outcome


def test_a_last_checkpoint_that_came_with_the_end_counts_more_than_the_end():
    over = replace(running(**ALL_DONE), pod=pod(ended=True, exit_code=1), engine_read_after_end=True)
    assert shown(decide(over, at(9)), "Succeeded") == ("True", "Completed")


def test_a_failure_that_was_passed_by_does_not_fail_the_trial():
    tolerant = trial(activities=[nap("one", continueOnError=True), nap("two")])
    decision = decide(running(tolerant, one="Failed", two="Succeeded"), at(9))
    assert shown(decision, "Succeeded") == ("True", "Completed")


# --- obstacles


def test_a_latched_trial_whose_pod_was_refused_shows_it_and_reports_it_once():
    before = replace(latched(), pod=None, refusal=refused(5))
    decision = decide(before, at(5.5))
    assert shown(decision, "Succeeded") == ("Unknown", "AdmissionRefused")
    assert shown(decision, "Finished") == ("False", "AdmissionRefused")
    assert recorded_events(decision) == [("AdmissionRefused", True)]
    (action, _) = decision.actions
    assert isinstance(action, WriteTrial)
    assert "exceeded quota" in succeeded(action.status).message
    assert steps(decide(written(before, decision), at(5.6))) == []


def test_what_else_changes_meanwhile_is_shown_without_telling_it_again():
    before = replace(latched(), pod=None, refusal=refused(5))
    decided_once = written(before, decide(before, at(5.5)))
    changed = edited(decided_once.trials[0], ttlSecondsAfterFinished=5)
    assert steps(decide(replace(decided_once, trials=(changed,)), at(5.6))) == ["WriteTrial"]


def test_the_lag_of_the_first_activity_stays_what_it_was():
    before = settle(running(one="Running"), at(5))
    later = with_activities(before, two="Running")
    assert settle(later, at(6)).trials[0].status.first_activity_lag_milliseconds == 500


def test_a_reported_outcome_is_not_reported_again_with_other_changes():
    before = ended(one="Failed")
    changed = edited(before.trials[0], ttlSecondsAfterFinished=5)
    assert steps(decide(replace(before, trials=(changed,)), at(20))) == ["WriteTrial"]


def test_a_refusal_from_before_says_nothing_about_an_outcome():
    over = replace(ended(one="Failed"), refusal=refused(5))
    assert steps(decide(over, at(20))) == []


# --- lost


def test_latched_trial_without_a_known_engine_waits_for_the_look_up():
    before = replace(running(), engine=None)
    assert decide(before, at(60)).actions == (LookUpEngine(),)


@pytest.mark.parametrize(
    "state", [pytest.param("latched", id="granted or not"), pytest.param("", id="running")]
)
def test_a_latched_trial_whose_engine_was_taken_away_by_force_has_failed(state):
    before = latched(RELEASING) if state else running(RELEASING)
    before = replace(before, engine=None, engine_gone=True, pod=None)
    decision = decide(before, at(60))
    assert shown(decision, "Succeeded") == ("False", "EngineLost")
    assert shown(decision, "Released") == ("False", "EngineLost")
    assert shown(decision, "Finished") == ("True", "Failed")
    assert recorded_events(decision) == [("EngineLost", True)]
    assert steps(decide(settle(before, at(60)), at(61))) == []


@pytest.mark.parametrize(
    "granted", [pytest.param(False, id="granted or not"), pytest.param(True, id="running")]
)
def test_latched_trial_of_a_deleted_engine_without_releases_is_cancelled(granted):
    before = replace(running() if granted else latched(), engine=None, engine_gone=True, pod=None)
    decision = decide(before, at(60))
    assert shown(decision, "Succeeded") == ("False", "Cancelled")
    assert shown(decision, "Finished") == ("True", "Cancelled")
    assert recorded_events(decision) == [("Cancelled", False)]
    assert steps(decide(settle(before, at(60)), at(61))) == []


def test_an_engine_that_went_when_its_plan_was_through_has_succeeded():
    before = running(**ALL_DONE)
    gone_with_it = replace(before, engine=None, engine_gone=True, pod=None, departed=before.engine)
    decision = decide(gone_with_it, at(60))
    assert shown(decision, "Succeeded") == ("True", "Completed")
    assert recorded_events(decision) == [("Completed", False)]


def test_a_failed_trial_whose_engine_was_deleted_is_cancelled():
    before = replace(ended(one="Failed"), engine=None, pod=None)
    assert decide(before, at(60)).actions == (LookUpEngine(),)
    decision = decide(replace(before, engine_gone=True), at(60))
    assert shown(decision, "Succeeded") == ("False", "Cancelled")


def test_failed_trial_of_a_force_deleted_engine_reports_missing_releases():
    before = ended(RELEASING, one="Failed")
    lost = replace(before, engine=None, engine_gone=True, pod=None, departed=before.engine)
    decision = decide(lost, at(60))
    assert shown(decision, "Succeeded") == ("False", "ActivityFailed")
    assert shown(decision, "Released") == ("False", "EngineLost")
    assert "free: never begun" in message_of(decision, "Released")
    assert steps(decide(settle(lost, at(60)), at(61))) == []


def test_a_latched_trial_that_names_no_engine_has_lost_it():
    before = replace(running(), engine_gone=True)
    status = msgspec.structs.replace(before.trials[0].status, engine_ref=None)
    nameless = replace(before, trials=(msgspec.structs.replace(before.trials[0], status=status),))
    assert shown(decide(nameless, at(60)), "Succeeded") == ("False", "Cancelled")


def test_a_latched_trial_is_never_started_again_with_another_engine():
    before = replace(running(), engine=engine(uid="engine-2"), engine_gone=True, pod=None)
    assert not {"CreatePod", "GrantEngine", "CreateEngine", "LatchTrial"} & set(steps(decide(before, at(1))))


def test_a_trial_that_has_its_outcome_does_not_lose_it_with_its_engine():
    before = replace(ended(**ALL_DONE), engine=None, engine_gone=True, pod=None)
    assert steps(decide(before, at(60))) == []
    assert conditions.is_true(before.trials[0].status.conditions, "Succeeded")
