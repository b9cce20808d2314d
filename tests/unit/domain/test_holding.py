"""Who holds a trial ID, and what becomes of the others."""

from dataclasses import replace

import pytest
from tests.unit.domain.builders import (
    T,
    absent,
    at,
    deleting,
    edited,
    ended,
    engine,
    scheduled,
    settle,
    shown,
    slot,
    steps,
    told,
    trial,
)

from lcm_operator.api.storage import rfc3339
from lcm_operator.domain.actions import WriteTrial
from lcm_operator.domain.decide import decide
from lcm_operator.domain.holding import holder

OLD = trial(name="old", uid="b", created=-100, trialID="example")
YOUNG = trial(name="young", uid="a", created=-50, trialID="example")
TWIN = trial(name="twin", uid="c", created=-100, trialID="example")
LEAVING = trial(name="leaving", uid="d", created=-200, trialID="example", deleted=True)
ACCEPTED = scheduled(YOUNG)
MISSED = settle(slot(trial(name="missed", uid="e", created=-200, trialID="example")), at(121)).trials[0]
MOVED = edited(MISSED, startTime=rfc3339(at(600)), trialID="example")
LOST = settle(replace(ended(one="Failed"), engine=None, pod=None, engine_gone=True), at(20)).trials[0]


@pytest.mark.parametrize(
    ("trials", "held_by"),
    [
        pytest.param((), None, id="nobody, if there is no trial"),
        pytest.param((YOUNG,), YOUNG, id="the only one"),
        pytest.param((YOUNG, OLD), OLD, id="the oldest"),
        pytest.param((TWIN, OLD), OLD, id="of equally old ones the smallest UID"),
        pytest.param((OLD, ACCEPTED), ACCEPTED, id="the one that holds it already, however young"),
        pytest.param((LEAVING, YOUNG), YOUNG, id="not by one that is being deleted"),
        pytest.param((MISSED, YOUNG), YOUNG, id="not by one that was missed"),
        pytest.param((MISSED,), None, id="nobody, if the only one was missed"),
        pytest.param((MOVED, YOUNG), MOVED, id="by one that was missed and has a new start time"),
        pytest.param((LOST, YOUNG), YOUNG, id="not by one whose engine was lost"),
    ],
)
def test_without_an_engine_an_id_is_held(trials, held_by):
    assert holder(trials, None) is held_by


def test_with_an_engine_its_trial_holds_the_id_however_young():
    assert holder((OLD, YOUNG), engine(YOUNG)) is YOUNG


def test_nobody_holds_the_id_of_an_engine_whose_trial_is_gone():
    assert holder((OLD,), engine(trial(uid="gone"))) is None


def test_an_engine_that_was_orphaned_is_still_its_trial_s():
    orphan = engine(YOUNG, ownerReferences=[])
    assert holder((OLD, YOUNG), orphan) is YOUNG


def test_an_orphan_whose_trial_is_gone_is_deleted():
    assert steps(decide(slot(engine=engine(ownerReferences=[])), T)) == ["DeleteEngine"]


# --- the others


def waiting(*, now=-3000.0, **spec):
    """Return the younger of two, told that the older holds their ID."""
    young = trial(name="young", uid="a", created=-50, trialID="example", **spec)
    return settle(slot(OLD, young), at(now)).trials[1]


def test_the_others_are_told_who_holds_the_id_and_once_only():
    both = slot(scheduled(OLD), YOUNG)
    decision = decide(both, at(-3000))
    assert shown(decision, "Accepted") == ("False", "DuplicateTrialID")
    assert told(decision) == [("DuplicateTrialID", True)]
    (action, _) = decision.actions
    assert isinstance(action, WriteTrial)
    assert action.status.phase == "Pending"
    assert "Trial old" in action.status.conditions[0].message
    assert steps(decide(settle(both, at(-3000)), at(-3000))) == []


def test_the_holder_comes_first_and_none_is_forgotten():
    both = settle(slot(OLD, YOUNG), at(-3000))
    assert [each.status.phase for each in both.trials] == ["Scheduled", "Pending"]


def test_a_duplicate_wakes_nobody_before_the_holder_is_due():
    decision = decide(settle(slot(OLD, YOUNG), at(-3000)), at(-3000))
    assert decision.wake_at == at(-60)


def test_a_duplicate_never_starts():
    made = engine(OLD)
    decision = decide(settle(slot(OLD, YOUNG, engine=made), T), T)
    (action,) = decision.actions
    assert action.engine.metadata.controller_uid == OLD.metadata.uid


def test_a_trial_waits_while_the_engine_of_a_trial_that_is_gone_is_there():
    before = slot(OLD, engine=engine(trial(uid="gone")))
    assert shown(decide(before, T), "Accepted") == ("False", "DuplicateTrialID")
    assert steps(decide(settle(before, T), T)) == []


def test_a_freed_id_goes_to_a_waiting_trial_whose_start_time_is_still_ahead():
    decision = decide(slot(waiting()), at(-100))
    assert shown(decision, "Accepted") == ("True", "Accepted")


@pytest.mark.parametrize("late", [pytest.param(0, id="has just come"), pytest.param(5, id="has passed")])
def test_a_waiting_trial_is_missed_if_the_id_is_freed_when_its_start_time(late):
    decision = decide(slot(waiting()), at(late))
    assert shown(decision, "Succeeded") == ("False", "Missed")
    (action, _) = decision.actions
    assert isinstance(action, WriteTrial)
    assert action.status.missed[0].reason == "DuplicateTrialID"


def test_a_trial_that_waits_past_its_deadline_is_missed_though_the_id_is_held():
    before = slot(waiting(), engine=deleting(engine(trial(uid="gone")), "other"), pod=absent())
    rests = decide(settle(before, at(60)), at(60))
    assert rests.wake_at is not None
    assert at(120) < rests.wake_at < at(121)
    missed = decide(before, at(121))
    assert shown(missed, "Succeeded") == ("False", "Missed")
    assert told(missed) == [("Missed", True)]


def test_a_duplicate_whose_start_time_nobody_has_told_yet_waits_for_a_change():
    both = settle(slot(scheduled(OLD), waiting(startTime=None, registryRef={"name": "default"})), at(-3000))
    assert decide(replace(both, trials=both.trials[1:], engine=engine(trial(uid="gone"))), T).wake_at is None


def test_a_duplicate_that_is_edited_is_not_told_again():
    changed = edited(waiting(), ttlSecondsAfterFinished=5, trialID="example")
    decision = decide(slot(scheduled(OLD), changed), at(-3000))
    assert steps(decision) == ["WriteTrial"]


def test_a_duplicate_is_told_when_somebody_else_holds_its_id():
    other = scheduled(trial(name="other", uid="f", created=-300, trialID="example"))
    decision = decide(slot(other, waiting()), at(-3000))
    assert told(decision) == [("DuplicateTrialID", True)]


def test_a_restore_of_a_duplicate_is_not_refused_while_it_may_still_start():
    young = edited(waiting(), annotations={"lcm.5gdrones.eu/restore": "r1"})
    assert steps(decide(slot(scheduled(OLD), young), at(-3000))) == []


def test_a_duplicate_that_is_being_deleted_is_left_alone():
    going = trial(name="young", uid="a", created=-50, trialID="example", deleted=True)
    both = settle(slot(OLD, going), at(-3000))
    assert both.trials[1].status.phase == ""


def test_a_duplicate_that_is_to_be_deleted_is_cancelled():
    young = edited(waiting(), annotations={"lcm.5gdrones.eu/delete": "d1"})
    decision = decide(slot(scheduled(OLD), young), at(-3000))
    assert shown(decision, "Succeeded") == ("False", "Cancelled")
    (action, *_) = decision.actions
    assert isinstance(action, WriteTrial)
    assert action.status.last_handled_delete is not None
