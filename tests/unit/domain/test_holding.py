"""Who holds a trial ID, and what the others are told."""

import pytest
from tests.unit.domain.builders import T, at, engine, settle, shown, slot, steps, told, trial

from lcm_operator.domain.decide import decide
from lcm_operator.domain.holding import holder

OLD = trial(name="old", uid="b", created=-100, trialID="example")
YOUNG = trial(name="young", uid="a", created=-50, trialID="example")
TWIN = trial(name="twin", uid="c", created=-100, trialID="example")


@pytest.mark.parametrize(
    ("trials", "held_by"),
    [
        pytest.param((), None, id="nobody, if there is no trial"),
        pytest.param((YOUNG,), YOUNG, id="the only one"),
        pytest.param((YOUNG, OLD), OLD, id="the oldest"),
        pytest.param((TWIN, OLD), OLD, id="of equally old ones the smallest UID"),
    ],
)
def test_without_an_engine_an_id_is_held_by(trials, held_by):
    assert holder(trials, None) is held_by


def test_with_an_engine_its_trial_holds_the_id_however_young():
    assert holder((OLD, YOUNG), engine(YOUNG)) is YOUNG


def test_nobody_holds_the_id_of_an_engine_whose_trial_is_gone():
    assert holder((OLD,), engine(trial(uid="gone"))) is None


def test_the_others_are_told_who_holds_the_id_and_once_only():
    decision = decide(slot(OLD, YOUNG), at(-3000))
    assert shown(decision, "Accepted") == ("False", "DuplicateTrialID")
    assert told(decision) == [("DuplicateTrialID", True)]
    assert "Trial old" in decision.actions[0].status.conditions[0].message
    both = settle(slot(OLD, YOUNG), at(-3000))
    assert both.trials[0].status.phase == "Scheduled"
    assert steps(decide(both, at(-3000))) == []


def test_a_duplicate_never_starts():
    decision = decide(settle(slot(OLD, YOUNG, engine=engine(OLD)), T), T)
    (action,) = decision.actions
    assert action.engine.metadata.controller_uid == OLD.metadata.uid


def test_a_trial_waits_while_the_engine_of_a_trial_that_is_gone_is_there():
    before = slot(OLD, engine=engine(trial(uid="gone")))
    assert shown(decide(before, T), "Accepted") == ("False", "DuplicateTrialID")
    assert steps(decide(settle(before, T), T)) == []


def test_a_trial_that_waited_for_its_id_is_accepted_once_it_is_free():
    waiting = settle(slot(OLD, YOUNG), at(-3000)).trials[1]
    assert shown(decide(slot(waiting), at(-3000)), "Accepted") == ("True", "Accepted")


def test_a_duplicate_that_is_being_deleted_is_left_alone():
    going = trial(name="young", uid="a", created=-50, trialID="example", deleted=True)
    assert steps(decide(settle(slot(OLD, going), at(-3000)), at(-3000))) == []


def test_two_trials_with_different_ids_of_one_namespace_do_not_meet():
    assert trial(name="one").trial_id != trial(name="two").trial_id
