"""At the start time: pod, latch and grant, and what is tried again until the deadline."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.domain.builders import (
    REFUSED,
    T,
    armed,
    at,
    engine,
    pod,
    recorded_events,
    refused,
    scheduled,
    settle,
    shown,
    slot,
    steps,
    trial,
    written,
)

from lcm_operator.domain.actions import (
    CreatePod,
    LatchTrial,
    Urgency,
    Wait,
)
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Problem

NO_PLAN = Problem("PlanNotFound", "TrialPlan default does not exist")


# --- starting


def test_a_trial_that_is_due_and_armed_has_its_pod_created_at_once():
    before = armed()
    decision = decide(before, T)
    (action,) = decision.actions
    assert isinstance(action, CreatePod)
    assert action.engine is before.engine
    assert action.manifest["metadata"]["name"] == "example-1"
    assert decision.urgency is Urgency.START


def test_a_trial_that_is_due_without_an_engine_gets_it_at_once():
    decision = decide(slot(trial()), at(5))
    assert steps(decision) == ["CreateEngine"]
    assert decision.urgency is Urgency.START


def test_a_trial_that_is_due_is_not_checked_for_admission_first():
    assert steps(decide(slot(scheduled(), engine=engine()), T)) == ["CreatePod"]


def test_a_created_pod_is_latched_and_the_start_is_reported_after_it():
    before = replace(armed(), pod=pod())
    decision = decide(before, at(0.2))
    (latch, _) = decision.actions
    assert isinstance(latch, LatchTrial)
    assert latch.trial is before.trials[0]
    assert latch.status.started_time == at(0.2)
    assert latch.status.engine_ref is not None
    assert (latch.status.engine_ref.name, latch.status.engine_ref.uid) == ("example", "engine-1")
    assert latch.status.start_lag_milliseconds == 200
    assert latch.status.progress == "0/3"
    assert shown(decision, "Started") == ("True", "EngineStarted")
    assert recorded_events(decision) == [("Started", False)]
    assert decision.urgency is Urgency.FOLLOW


def test_a_pod_that_was_adopted_is_never_shown_as_early():
    early = replace(armed(), pod=pod(created=at(-0.7)))
    (latch, _) = decide(early, at(3)).actions
    assert isinstance(latch, LatchTrial)
    assert latch.status.start_lag_milliseconds == 0


@pytest.mark.parametrize(
    ("seen", "reason", "again"),
    [
        pytest.param({"plan": NO_PLAN}, "PlanNotFound", at(15), id="its plan does not exist"),
        pytest.param({"stranger": True}, "NameTaken", at(15), id="its engine's name is taken"),
        pytest.param(
            {"refusal": refused(4.5)}, "AdmissionRefused", at(5.625), id="its engine was refused just now"
        ),
        pytest.param(
            {"engine": engine(), "refusal": refused(4.5)},
            "AdmissionRefused",
            at(5.625),
            id="its pod was refused just now",
        ),
    ],
)
def test_trial_that_is_due_and_cannot_start_shows_why_and_tries_again(seen, reason, again):
    before = slot(scheduled(), **seen)
    decision = decide(before, at(5))
    assert shown(decision, "Armed") == ("False", reason)
    assert recorded_events(decision) == [(reason, True)]
    after = decide(written(before, decision), at(5))
    assert isinstance(after, Wait)
    assert (after.wake_at, after.wake_urgency) == (again, Urgency.RETRY)


def test_a_pod_that_was_refused_is_tried_again_after_a_second():
    before = settle(slot(scheduled(), engine=engine(), refusal=refused(4)), at(4))
    assert steps(decide(before, at(5))) == ["CreatePod"]


def test_refusal_is_shown_before_the_next_try_however_late_its_turn():
    before = slot(scheduled(), engine=engine(), refusal=refused(4))
    decision = decide(before, at(30))
    assert shown(decision, "Armed") == ("False", "AdmissionRefused")
    assert decision.urgency is Urgency.RETRY
    after = decide(written(before, decision), at(30))
    assert (steps(after), after.urgency) == (["CreatePod"], Urgency.RETRY)


def test_last_try_before_the_deadline_waits_for_nothing():
    before = slot(scheduled(), engine=engine(), refusal=refused(4))
    assert steps(decide(before, at(119.5))) == ["CreatePod"]


def busy(at_second, seconds):
    """Return a create that was to be tried again after so many seconds."""
    return refused(at_second, replace(REFUSED, retry_after=timedelta(seconds=seconds)))


def test_a_start_is_not_tried_again_before_the_api_server_wants_it():
    before = settle(slot(scheduled(), engine=engine(), refusal=busy(4, 20)), at(4))
    assert decide(before, at(23)).wake_at == at(24)
    assert steps(decide(before, at(24))) == ["CreatePod"]


def test_start_is_retried_before_its_deadline_whatever_retry_after_demands():
    short = scheduled(trial(startingDeadlineSeconds=15))
    before = settle(slot(short, engine=engine(short), refusal=busy(4, 20)), at(4))
    again = decide(before, at(4)).wake_at
    assert again is not None
    assert at(14) < again < at(15)
    assert steps(decide(before, again)) == ["CreatePod"]


def test_arming_is_not_tried_again_before_the_api_server_wants_it():
    before = settle(settle(slot(scheduled(), refusal=busy(-50, 25)), at(-50)), at(-26))
    assert isinstance(decide(before, at(-26)), Wait)
    assert steps(decide(before, at(-25))) == ["CreateEngine"]


def test_a_start_is_tried_for_the_last_time_right_after_its_deadline():
    before = settle(slot(scheduled(), stranger=True), at(119.5))
    decision = decide(before, at(119.5))
    assert decision.wake_at is not None
    assert at(120) < decision.wake_at < at(120.1)
