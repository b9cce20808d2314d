"""Before the start time: the engine is made and checked, and why that may fail is shown."""

from dataclasses import replace

import pytest
from tests.unit.domain.builders import (
    REFUSED,
    T,
    admitted,
    armed,
    at,
    edited,
    engine,
    recorded_events,
    refused,
    scheduled,
    settle,
    shown,
    slot,
    steps,
    written,
)

from lcm_operator.api.storage import rfc3339
from lcm_operator.domain.actions import (
    CheckAdmission,
    CreateEngine,
    Urgency,
    Wait,
)
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Problem

NO_PLAN = Problem("PlanNotFound", "TrialPlan default does not exist")


# --- arming


def test_within_its_lead_a_trial_gets_its_engine():
    (action,) = decide(slot(scheduled()), at(-60)).actions
    assert isinstance(action, CreateEngine)
    assert action.manifest["metadata"]["name"] == "example"


def test_a_new_engine_is_checked_for_admission():
    made = engine()
    (action,) = decide(slot(scheduled(), engine=made), at(-50)).actions
    assert isinstance(action, CheckAdmission)
    assert action.engine is made
    assert action.manifest["metadata"]["name"] == "example-1"


def test_what_was_said_of_an_earlier_engine_does_not_count():
    made = engine(uid="engine-2")
    (action,) = decide(slot(scheduled(), engine=made, admission=admitted(engine())), at(-50)).actions
    assert isinstance(action, CheckAdmission)


def test_an_admitted_trial_is_armed_and_said_to_be():
    made = engine()
    decision = decide(slot(scheduled(), engine=made, admission=admitted(made)), at(-40))
    assert shown(decision, "Armed") == ("True", "Admitted")
    assert recorded_events(decision) == [("Armed", False)]


def test_an_armed_trial_waits_for_its_start_time_with_the_highest_urgency():
    decision = decide(armed(), at(-30))
    assert isinstance(decision, Wait)
    assert (decision.wake_at, decision.wake_urgency) == (T, Urgency.START)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param({"plan": NO_PLAN}, "PlanNotFound", id="its plan does not exist"),
        pytest.param({"stranger": True}, "NameTaken", id="its engine's name is taken"),
        pytest.param({"refusal": refused(-35)}, "AdmissionRefused", id="its engine was refused just now"),
        pytest.param(
            {"engine": engine(), "admission": admitted(engine(), REFUSED, checked=-35)},
            "AdmissionRefused",
            id="its pod would be refused",
        ),
    ],
)
def test_trial_that_cannot_be_armed_reports_why_and_is_tried_again_when(seen, reason):
    before = slot(scheduled(), **seen)
    decision = decide(before, at(-30))
    assert shown(decision, "Armed") == ("False", reason)
    assert recorded_events(decision) == [(reason, True)]
    after = decide(written(before, decision), at(-30))
    assert isinstance(after, Wait)
    assert after.wake_at == at(-20)


def test_arming_is_tried_again_at_the_start_time_at_the_latest():
    before = settle(slot(scheduled(), stranger=True), at(-3))
    decision = decide(before, at(-3))
    assert (decision.wake_at, decision.wake_urgency) == (T, Urgency.START)


def test_a_create_that_was_refused_some_time_ago_is_tried_again():
    assert steps(decide(slot(scheduled(), refusal=refused(-45)), at(-35))) == ["CreateEngine"]


def test_a_pod_that_would_have_been_refused_some_time_ago_is_checked_again():
    made = engine()
    before = slot(scheduled(), engine=made, admission=admitted(made, REFUSED, checked=-45))
    assert steps(decide(before, at(-35))) == ["CheckAdmission"]


def test_an_admitted_pod_is_not_checked_again():
    assert steps(decide(armed(), at(-1))) == []


def test_a_trial_that_can_be_armed_at_last_shows_it():
    made = engine()
    before = settle(slot(scheduled(), engine=made, admission=admitted(made, REFUSED)), at(-39))
    decision = decide(replace(before, admission=admitted(made)), at(-25))
    assert shown(decision, "Armed") == ("True", "Admitted")
    assert recorded_events(decision) == [("Armed", False)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"startTime": rfc3339(at(600))}, id="start time"),
        pytest.param({"parameters": {"slice": "true"}}, id="parameters"),
    ],
)
def test_an_armed_trial_whose_spec_changes_gives_up_its_engine(change):
    before = armed()
    changed = replace(before, trials=(edited(before.trials[0], **change),))
    assert "DeleteEngine" in steps(decide(changed, at(-30)))


def test_trial_with_a_changed_spec_gets_a_new_engine_after_the_old_one():
    before = armed()
    after = replace(before, trials=(edited(before.trials[0], parameters={"slice": "true"}),), engine=None)
    assert steps(decide(after, at(-30))) == ["CreateEngine"]
