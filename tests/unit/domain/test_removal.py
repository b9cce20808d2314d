"""decide() about a TrialEngine that is being deleted."""

import pytest
from tests.unit.domain.builders import T, deleting, engine, pod, running, slot, steps, trial

from lcm_operator.api import names
from lcm_operator.domain.actions import DeletePod, LookUpPod, ReleaseEngine
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Absent

GOING = deleting(engine())


def test_the_pod_is_looked_for_first():
    assert decide(slot(engine=GOING), T).actions == (LookUpPod("lab", "example-1"),)


def test_it_is_the_pod_of_the_current_attempt():
    before = running()
    assert before.engine is not None
    assert decide(slot(engine=deleting(before.engine)), T).actions == (LookUpPod("lab", "example-1"),)


def test_a_pod_that_runs_is_deleted_by_uid():
    decision = decide(slot(engine=GOING, pod=pod()), T)
    assert decision.actions == (DeletePod("lab", "example-1", "pod-1"),)


def test_a_pod_that_is_ending_is_waited_for():
    assert "ReleaseEngine" not in steps(decide(slot(engine=GOING, pod=pod(deleting=True)), T))


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(pod(ended=True), id="ended"),
        pytest.param(pod(ended=True, deleting=True), id="ended while being deleted"),
        pytest.param(Absent("example-1"), id="gone"),
    ],
)
def test_the_engine_is_released_once_its_pod_has(seen):
    assert decide(slot(engine=GOING, pod=seen), T).actions == (ReleaseEngine(GOING),)


def test_an_engine_that_others_still_hold_is_left_to_them():
    theirs = deleting(engine(), names.FINALIZER_TIMER)
    decision = decide(slot(trial(), engine=theirs), T)
    assert not decision.actions
    assert decision.wake_at is None


def test_removal_goes_on_whatever_has_become_of_the_trial():
    assert decide(slot(trial(deleted=True), engine=GOING, pod=Absent("example-1")), T).actions == (
        ReleaseEngine(GOING),
    )
