"""The entrance: which part of the domain a slot is handed to."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    T,
    armed,
    at,
    deleting,
    engine,
    latched,
    pod,
    running,
    shown,
    slot,
    steps,
    trial,
    written,
)

from lcm_operator.domain.actions import DeleteEngine, Wait
from lcm_operator.domain.decide import decide
from lcm_operator.domain.ownership import decide_waiting


def test_an_empty_slot_rests():
    decision = decide(slot(), T)
    assert isinstance(decision, Wait)
    assert decision.wake_at is None


def test_an_engine_whose_trial_is_gone_is_left_to_the_garbage_collector():
    assert steps(decide(slot(engine=engine()), T)) == []


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(armed(), id="armed"),
        pytest.param(latched(), id="latched"),
        pytest.param(running(), id="running"),
    ],
)
def test_a_trial_that_is_being_deleted_takes_its_engine_with_it(before):
    """An armed engine is deleted once the Trial shows it; one that may act is stopped first."""
    (owner,) = before.trials
    metadata = msgspec.structs.replace(owner.metadata, deletion_timestamp=T, finalizers=("example.com/hold",))
    lingering = replace(before, trials=(msgspec.structs.replace(owner, metadata=metadata),))
    decision = decide(lingering, at(5))
    after = written(lingering, decision)
    if owner.status.started_time is None:
        assert shown(decision, "Succeeded") == ("False", "Cancelled")
        assert before.engine is not None
        assert decide(after, at(5)).actions == (DeleteEngine(before.engine),)
    else:
        assert after.engine.status.stop.mode == "Cancel"
        assert steps(decide(after, at(5))) == ["DeletePod"]


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        pytest.param("Succeeded", ("True", "Completed"), id="through"),
        pytest.param("Running", ("False", "Cancelled"), id="at work"),
    ],
)
@pytest.mark.parametrize("other", [pytest.param(True, id="the ID is held"), pytest.param(False, id="free")])
def test_a_deleted_trial_that_outlives_its_engine_is_judged_by_that(state, outcome, other):
    before = running(one=state, two=state, three=state)
    (owner,) = before.trials
    metadata = msgspec.structs.replace(owner.metadata, deletion_timestamp=T, finalizers=("example.com/hold",))
    lingering = msgspec.structs.replace(owner, metadata=metadata)
    left, holder = replace(before, engine=None, departed=before.engine, pod=None), None
    if other:
        holder = trial(name="other", uid="trial-2", trialID="example")
        left = replace(left, engine=engine(holder, uid="engine-2"))
    else:
        assert steps(decide_waiting(left, lingering, holder, at(60))) == ["LookUpEngine"]
        left = replace(left, engine_gone=True)
    assert shown(decide_waiting(left, lingering, holder, at(60)), "Succeeded") == outcome


def test_a_trial_that_is_being_deleted_and_has_no_engine_is_left_alone():
    assert steps(decide(slot(trial(deleted=True)), T)) == []


def test_an_engine_that_is_being_deleted_comes_before_anything_else():
    decision = decide(slot(trial(), engine=deleting(engine())), T)
    assert steps(decision) == ["LookUpPod"]


def test_a_trial_that_is_not_latched_is_scheduled():
    assert steps(decide(slot(trial()), at(-3000))) == ["WriteTrial", "RecordEvent"]


def test_a_trial_that_is_latched_is_followed_whatever_its_start_time_says():
    assert "GrantEngine" in steps(decide(latched(), at(-3000)))


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(slot(trial()), id="new"),
        pytest.param(armed(), id="armed"),
        pytest.param(latched(), id="latched"),
        pytest.param(running(), id="running"),
        pytest.param(slot(trial(), engine=deleting(engine()), pod=pod()), id="being removed"),
    ],
)
def test_a_decision_can_be_repeated(before):
    assert decide(before, at(1)) == decide(before, at(1))
