"""Trials that are over: what they still answer, and when they go."""

from dataclasses import replace

import pytest
from tests.unit.domain.builders import asking, at, ended, pod, running, settle, shown, slot, steps, trial

from lcm_operator.domain.actions import DeleteTrial, WriteTrial
from lcm_operator.domain.decide import decide
from lcm_operator.domain.finished import expire

ALL_DONE = {"one": "Succeeded", "two": "Succeeded", "three": "Succeeded"}
KEPT = trial(ttlSecondsAfterFinished=60)


def lost():
    """Return a slot whose trial has lost its engine."""
    return settle(replace(ended(one="Failed"), engine=None, pod=None, engine_gone=True), at(20))


def missed(**spec):
    return settle(slot(trial(**spec)), at(121))


def test_a_trial_that_succeeded_is_kept_for_its_time_and_then_deleted():
    done = ended(trial(ttlSecondsAfterFinished=180), **ALL_DONE)
    assert decide(done, at(20)).wake_at == at(190)
    assert decide(done, at(190)).actions == (DeleteTrial(done.trials[0]),)


def test_a_trial_that_was_missed_is_kept_for_its_time_and_then_deleted():
    over = missed(ttlSecondsAfterFinished=60)
    assert decide(over, at(130)).wake_at == at(181)
    assert steps(decide(over, at(181))) == ["DeleteTrial"]


@pytest.mark.parametrize(
    ("deadline", "allowed_until"),
    [
        pytest.param(120, 120, id="of two minutes"),
        pytest.param(0, 1, id="of 0, which allows a start one second late"),
        pytest.param(315_360_000, 86_400, id="of ten years, of which a day counts"),
    ],
)
def test_no_trial_is_deleted_while_its_start_would_still_be_allowed(deadline, allowed_until):
    quick = running(trial(ttlSecondsAfterFinished=0, startingDeadlineSeconds=deadline), **ALL_DONE)
    over = settle(replace(quick, pod=pod(ended=True), engine_read_after_end=True), at(0.5))
    end = decide(over, at(0.5)).wake_at
    assert end is not None
    assert at(allowed_until) < end <= at(allowed_until + 3)
    assert steps(decide(over, end)) == ["DeleteTrial"]


def test_a_trial_cancelled_before_its_start_is_kept_until_its_deadline():
    cancelled = settle(asking(settle(slot(KEPT), at(-3000)), delete="d1"), at(-3000))
    assert decide(cancelled, at(-2900)).wake_at == at(122)


def test_a_trial_that_has_no_start_time_is_kept_from_its_outcome_on():
    without_outcome = trial(startTime=None, registryRef={"name": "default"}, ttlSecondsAfterFinished=60)
    cancelled = settle(asking(settle(slot(without_outcome), at(0)), delete="d1"), at(0))
    assert cancelled.trials[0].status.phase == "Cancelled"
    assert decide(cancelled, at(1)).wake_at == at(60)


def test_a_time_to_live_of_zero_means_at_once():
    over = settle(slot(trial(ttlSecondsAfterFinished=0)), at(200))
    assert steps(decide(over, at(200))) == ["DeleteTrial"]


@pytest.mark.parametrize(
    "over",
    [
        pytest.param(ended(KEPT, one="Failed").trials[0], id="failed, for somebody may want its checkpoint"),
        pytest.param(ended(**ALL_DONE).trials[0], id="has no time to live"),
        pytest.param(KEPT, id="is not over"),
    ],
)
def test_a_trial_does_not_expire_that(over):
    assert expire(over, at(100_000)) is None


def test_trial_that_failed_long_ago_is_kept_for_its_time_after_its_cancel():
    failed = replace(ended(KEPT, one="Failed"), engine=None, pod=None, engine_gone=True)
    cancelled = settle(asking(failed, delete="d1"), at(5000))
    assert cancelled.trials[0].status.phase == "Cancelled"
    assert decide(cancelled, at(5001)).wake_at == at(5060)


def test_the_longest_time_to_live_is_no_accident():
    far = trial(startTime="9998-12-31T00:00:00Z", ttlSecondsAfterFinished=2**31)
    cancelled = settle(asking(settle(slot(far), at(0)), delete="d1"), at(0)).trials[0]
    assert cancelled.status.phase == "Cancelled"
    assert expire(cancelled, at(0)) is not None


def test_a_restore_of_a_trial_without_engine_is_refused():
    (action, *_) = decide(asking(lost(), restore="r1"), at(30)).actions
    assert isinstance(action, WriteTrial)
    answered = action.status.last_handled_restore
    assert answered is not None
    assert (answered.id, answered.result) == ("r1", "Refused")


def test_a_delete_makes_the_failure_of_a_trial_without_engine_final():
    decision = decide(asking(lost(), delete="d1"), at(30))
    assert shown(decision, "Succeeded") == ("False", "Cancelled")
    (action, *_) = decision.actions
    assert isinstance(action, WriteTrial)
    assert action.status.last_handled_delete is not None
    assert action.status.last_handled_delete.result == "Done"


def test_a_delete_leaves_a_missed_trial_missed():
    decision = decide(asking(missed(), delete="d1"), at(130))
    assert shown(decision, "Succeeded") == ("False", "Missed")


def test_what_was_answered_is_not_answered_again():
    answered = settle(asking(lost(), delete="d1", restore="r1"), at(30))
    assert steps(decide(answered, at(31))) == []
