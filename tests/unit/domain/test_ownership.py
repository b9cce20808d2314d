"""Who holds a trial ID, and what becomes of the others."""

from dataclasses import replace

import pytest
from tests.unit.domain.builders import (
    T,
    absent,
    armed,
    at,
    deleting,
    edited,
    ended,
    engine,
    message_of,
    pod,
    recorded_events,
    running,
    scheduled,
    settle,
    shown,
    slot,
    steps,
    trial,
)

from lcm_operator.api import conditions
from lcm_operator.api.storage import rfc3339
from lcm_operator.domain.actions import Act, WriteTrial
from lcm_operator.domain.decide import decide
from lcm_operator.domain.ownership import decide_waiting, holder

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
    """Return the younger of two, which shows that the older holds their ID."""
    young = trial(name="young", uid="a", created=-50, trialID="example", **spec)
    return settle(slot(OLD, young), at(now)).trials[1]


def test_the_others_are_shown_who_holds_the_id_and_once_only():
    both = slot(scheduled(OLD), YOUNG)
    decision = decide(both, at(-3000))
    assert shown(decision, "Accepted") == ("False", "DuplicateTrialID")
    assert recorded_events(decision) == [("DuplicateTrialID", True)]
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
    decision = decide(before, T)
    assert shown(decision, "Accepted") == ("False", "TrialIDNotFree")
    assert recorded_events(decision) == [("TrialIDNotFree", False)]
    assert "at 2026-11-24T10:02:00.000000Z at the latest" in message_of(decision, "Accepted")
    assert steps(decide(settle(before, T), T)) == []


def gone_before(now, **spec):
    """Return a Trial that waits for the end of a deleted Trial's engine."""
    young = trial(name="young", uid="a", created=-50, trialID="example", **spec)
    return settle(slot(young, engine=engine(trial(uid="gone"))), at(now)).trials[0]


@pytest.mark.parametrize(
    "duplicate_shown_at", [pytest.param(-5, id="before"), pytest.param(3, id="after its start time")]
)
def test_recreated_trial_starts_late_when_the_first_one_has_ended(duplicate_shown_at):
    decision = decide(slot(gone_before(duplicate_shown_at)), at(40))
    assert steps(decision) == ["CreateEngine"]


def test_it_is_missed_at_its_own_deadline_and_says_what_for():
    waits = gone_before(-5)
    still = slot(waits, engine=engine(trial(uid="gone")))
    assert steps(decide(still, at(120))) == []
    for late in (still, slot(waits)):
        decision = decide(late, at(121))
        assert shown(decision, "Succeeded") == ("False", "Missed")
        assert "is still ending" in message_of(decision, "Succeeded")
        (action, _) = decision.actions
        assert isinstance(action, WriteTrial)
        assert action.status.missed[0].reason == "TrialIDNotFree"


def test_a_deleted_holder_frees_its_id_for_who_has_waited_for_no_start_yet():
    young, leaving = waiting(), engine(LEAVING)
    before = slot(LEAVING, young, engine=leaving)
    assert waits(before, young, at(-10)) == "TrialIDNotFree"
    assert waits(before, young, at(10)) == "DuplicateTrialID"


def test_an_engine_that_is_armed_anew_frees_no_id():
    before = slot(scheduled(OLD), YOUNG, engine=deleting(engine(OLD)))
    assert waits(before, YOUNG, at(-30)) == "DuplicateTrialID"


def test_a_started_engine_that_is_being_removed_frees_its_id():
    before = running(OLD)
    going = replace(before, trials=(*before.trials, YOUNG), engine=deleting(before.engine))
    assert waits(going, YOUNG, at(5)) == "TrialIDNotFree"


def waits(before, young, now):
    """Return why a Trial does not have its ID."""
    chosen = holder(before.trials, before.engine)
    decision = decide_waiting(before, young, chosen, now)
    if isinstance(decision, Act):
        return shown(decision, "Accepted")[1]
    return conditions.reason(young.status.conditions, "Accepted")


def test_a_freed_id_is_given_to_a_waiting_trial_that_is_not_yet_due():
    decision = decide(slot(waiting()), at(-100))
    assert shown(decision, "Accepted") == ("True", "Accepted")


@pytest.mark.parametrize("late", [pytest.param(0, id="has just come"), pytest.param(5, id="has passed")])
def test_a_waiting_trial_is_missed_if_the_id_is_freed_when_its_start_time(late):
    decision = decide(slot(waiting()), at(late))
    assert shown(decision, "Succeeded") == ("False", "Missed")
    (action, _) = decision.actions
    assert isinstance(action, WriteTrial)
    assert action.status.missed[0].reason == "DuplicateTrialID"


def test_trial_that_waits_for_its_id_past_its_deadline_is_missed():
    before = slot(waiting(), engine=deleting(engine(trial(uid="gone")), "other"), pod=absent())
    rests = decide(settle(before, at(60)), at(60))
    assert rests.wake_at is not None
    assert at(120) < rests.wake_at < at(121)
    missed = decide(before, at(121))
    assert shown(missed, "Succeeded") == ("False", "Missed")
    assert recorded_events(missed) == [("Missed", True)]


def test_a_duplicate_whose_start_time_is_not_reported_yet_waits_for_a_change():
    both = settle(slot(scheduled(OLD), waiting(startTime=None, registryRef={"name": "default"})), at(-3000))
    assert decide(replace(both, trials=both.trials[1:], engine=engine(trial(uid="gone"))), T).wake_at is None


def test_a_duplicate_that_is_edited_is_not_reported_again():
    changed = edited(waiting(), ttlSecondsAfterFinished=5, trialID="example")
    decision = decide(slot(scheduled(OLD), changed), at(-3000))
    assert steps(decision) == ["WriteTrial"]


def test_a_duplicate_is_shown_when_somebody_else_holds_its_id():
    other = scheduled(trial(name="other", uid="f", created=-300, trialID="example"))
    decision = decide(slot(other, waiting()), at(-3000))
    assert recorded_events(decision) == [("DuplicateTrialID", True)]


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


def test_a_duplicate_shows_the_state_of_the_holder():
    first, second = trial(name="old", uid="trial-0", created=-7200), trial()
    before = settle(slot(first, second), at(-3000))
    duplicate = next(each for each in before.trials if each.metadata.name == "example")
    assert "is held by Trial old, which waits for its start; delete Trial old" in duplicate.status.message

    running_holder = replace(armed(before.trials[0]), trials=(armed(before.trials[0]).trials[0], duplicate))
    started = settle(replace(running_holder, pod=pod()), at(0.2))
    duplicate = next(each for each in started.trials if each.metadata.name == "example")
    assert "which has started" in duplicate.status.message
