"""How a Trial's status is made."""

import pytest
from tests.unit.domain.builders import T, at, edited, ended, running, scheduled, settle, slot, trial

from lcm_operator.api import conditions
from lcm_operator.api.conditions import ConditionUpdate
from lcm_operator.api.storage import rfc3339
from lcm_operator.domain.status import (
    has_outcome,
    outcome,
    phase,
    ready,
    resolved_start_time,
    scheduled_again,
    trial_status,
)


def conditions_of(*pairs):
    found = ()
    for kind, status, reason in pairs:
        found = conditions.with_condition(found, ConditionUpdate(kind, status, reason), T)
    return found


def test_all_conditions_but_released_are_there_from_the_first_write_on():
    status = trial_status(trial(), T, ConditionUpdate("Accepted", "True", "Accepted"))
    assert {(c.type, c.status) for c in status.conditions} == {
        ("Accepted", "True"),
        ("Scheduled", "Unknown"),
        ("Armed", "Unknown"),
        ("Started", "Unknown"),
        ("Succeeded", "Unknown"),
        ("Finished", "False"),
    }


def test_the_effective_trial_id_and_the_generation_seen_are_shown():
    status = trial_status(trial(generation=4, trialID="Trial 1"), T)
    assert (status.trial_id, status.observed_generation) == ("Trial 1", 4)
    assert {condition.observed_generation for condition in status.conditions} == {4}
    assert trial_status(trial(name="plain"), T).trial_id == "plain"


def test_what_is_not_named_stays():
    before = running().trials[0]
    after = trial_status(before, at(60), progress="2/3")
    assert after.started_time == before.status.started_time
    assert after.engine_ref == before.status.engine_ref
    assert after.progress == "2/3"


def test_writing_the_same_again_changes_nothing():
    before = scheduled()
    again = trial_status(before, at(-60), ConditionUpdate("Accepted", "True", "Accepted"))
    assert again == before.status


@pytest.mark.parametrize(
    ("pairs", "word"),
    [
        pytest.param([], "Pending", id="nothing known"),
        pytest.param([("Scheduled", "False", "AwaitingRegistry")], "Pending", id="no start time"),
        pytest.param([("Scheduled", "True", "StartTimeKnown")], "Scheduled", id="start time known"),
        pytest.param([("Scheduled", "False", "Suspended")], "Suspended", id="suspended"),
        pytest.param(
            [("Accepted", "False", "DuplicateTrialID"), ("Scheduled", "True", "StartTimeKnown")],
            "Pending",
            id="another one has taken its ID",
        ),
        pytest.param(
            [("Scheduled", "True", "StartTimeKnown"), ("Armed", "True", "Admitted")], "Armed", id="armed"
        ),
        pytest.param(
            [("Started", "True", "EngineStarted"), ("Succeeded", "Unknown", "Starting")],
            "Starting",
            id="started, nothing begun",
        ),
        pytest.param(
            [("Started", "True", "EngineStarted"), ("Succeeded", "Unknown", "Running")],
            "Running",
            id="an activity has begun",
        ),
        pytest.param(
            [("Started", "True", "EngineStarted"), ("Succeeded", "True", "Completed")],
            "Succeeded",
            id="succeeded",
        ),
        pytest.param(
            [("Started", "True", "EngineStarted"), ("Succeeded", "False", "ActivityFailed")],
            "Failed",
            id="an activity failed",
        ),
        pytest.param([("Succeeded", "False", "EngineLost")], "Failed", id="the engine was lost"),
        pytest.param([("Succeeded", "False", "Missed")], "Missed", id="missed"),
        pytest.param([("Succeeded", "False", "Cancelled")], "Cancelled", id="cancelled"),
    ],
)
def test_the_phase_is_one_word_for(pairs, word):
    assert phase(conditions_of(*pairs), T, at(-1)) == word


@pytest.mark.parametrize("armed", ["True", "False", "Unknown"])
def test_a_trial_past_its_start_that_is_not_latched_is_due(armed):
    known = conditions_of(("Scheduled", "True", "StartTimeKnown"), ("Armed", armed, "Any"))
    assert phase(known, T, at(0)) == "Due"


@pytest.mark.parametrize(
    ("pairs", "word"),
    [
        pytest.param([], "", id="nothing known"),
        pytest.param([("Armed", "Unknown", "Waiting")], "", id="not checked yet"),
        pytest.param([("Armed", "Unknown", "Checked")], "Checked", id="checked"),
        pytest.param([("Armed", "True", "Admitted")], "True", id="armed"),
        pytest.param([("Armed", "False", "PlanNotFound")], "False", id="not armed"),
        pytest.param(
            [("Accepted", "False", "DuplicateTrialID"), ("Armed", "Unknown", "Waiting")],
            "False",
            id="without its ID",
        ),
    ],
)
def test_the_column_ready_shows(pairs, word):
    assert ready(conditions_of(*pairs)) == word


def test_a_trial_that_is_new_or_runs_has_no_outcome():
    assert outcome(trial()) is None
    assert outcome(running().trials[0]) is None


def test_success_and_failure_are_outcomes():
    done = ended(one="Succeeded", two="Succeeded", three="Succeeded").trials[0]
    missed = settle(slot(trial()), at(121)).trials[0]
    assert outcome(done) is not None
    assert outcome(missed) is not None
    assert has_outcome(missed, "Missed")
    assert not has_outcome(missed, "Cancelled")
    assert not has_outcome(done, "Completed")


def test_the_first_status_of_a_trial_answers_a_restore_that_came_with_it():
    asked = trial(annotations={"lcm.5gdrones.eu/restore": "r1"})
    answered = trial_status(asked, T).last_handled_restore
    assert answered is not None
    assert (answered.id, answered.result) == ("r1", "Ignored")


def test_missed_trial_is_rescheduled_by_a_start_time_that_it_has_not_missed():
    missed = settle(slot(trial()), at(121)).trials[0]
    assert not scheduled_again(missed)
    moved = edited(missed, startTime=rfc3339(at(600)))
    assert scheduled_again(moved)
    missed_again = settle(slot(settle(slot(moved), at(300)).trials[0]), at(721)).trials[0]
    assert not scheduled_again(missed_again)
    assert scheduled_again(edited(missed_again, startTime=rfc3339(T)))


def test_the_start_time_of_the_spec_counts_more_than_what_the_status_shows():
    assert resolved_start_time(scheduled()) == T
    assert resolved_start_time(trial(startTime="2026-11-24T12:00:00+02:00")) == T
    assert resolved_start_time(trial(startTime=None, registryRef={"name": "default"})) is None
