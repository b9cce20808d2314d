"""Finished is True once nothing acts or will act, and never changes back by itself."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    absent,
    asking,
    at,
    edited,
    nap,
    pod,
    running,
    settle,
    steps,
    trial,
    with_activities,
)
from tests.unit.domain.test_life import beating

from lcm_operator.api import conditions
from lcm_operator.domain.actions import DeletePod
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Absent, Leftover, Observation, Pod

REPORTING = trial(onFailure=[nap("tell")])


def finished(before):
    """Return status and reason of Finished."""
    found = conditions.find(before.trials[0].status.conditions, "Finished")
    assert found is not None
    return found.status, found.reason


def silent(reason="EngineSilent"):
    """Return the slot of an engine that was given up for its silence, whose pod has not ended."""
    begun = reason == "EngineSilent"
    before = settle(beating(running(one="Running") if begun else running(), silent=130, begun=begun), at(200))
    assert conditions.reason(before.trials[0].status.conditions, "Succeeded") == reason
    return before


def gone(last=None):
    return Observation(Absent("example-1", last), at(201))


@pytest.mark.parametrize("reason", ["EngineSilent", "EngineNotReady"])
def test_a_trial_whose_lifeless_pod_has_not_ended_is_not_finished(reason):
    before = silent(reason)
    assert finished(before) == ("False", "Ending")
    assert decide(before, at(200)).actions == (DeletePod("example-1", "pod-1"),)


@pytest.mark.parametrize("reason", ["EngineSilent", "EngineNotReady"])
def test_it_is_finished_once_its_pod_was_seen_to_end(reason):
    over = settle(replace(silent(reason), pod=pod(ended=True, deleting=True)), at(210))
    assert finished(over) == ("True", "Failed")
    assert over.engine.status.pod_ref.end_time == at(210)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(pod(ended=True, disrupted=True), id="disrupted"),
        pytest.param(gone(), id="gone"),
        pytest.param(gone(Pod("example-1", "pod-1", at(0.2), disrupted=True)), id="gone, disrupted"),
    ],
)
def test_nothing_that_is_learnt_of_its_pod_takes_that_back(seen):
    over = settle(replace(silent(), pod=pod(ended=True, deleting=True)), at(210))
    later = settle(replace(over, pod=seen, engine_read_after_end=True), at(400))
    assert finished(later) == ("True", "Failed")
    assert later.engine.status.attempt == 1
    assert steps(decide(later, at(400))) == []


def test_a_silent_engine_that_was_taken_away_was_never_finished():
    taken = settle(replace(silent(), pod=gone(), engine_read_after_end=True), at(210))
    assert finished(taken) == ("False", "Restoring")


def test_a_pod_that_stays_on_a_lost_node_leaves_its_trial_unfinished():
    lost = replace(silent(), pod=pod(deleting=True, killed_by=at(230), seen=999))
    later = settle(beating(lost, silent=900), at(1000))
    assert finished(later) == ("False", "Ending")
    assert "still exists" in decide(later, at(1000)).reason


def test_one_that_never_began_and_is_gone_is_finished_once_it_can_not_act():
    early = settle(replace(silent("EngineNotReady"), pod=absent()), at(210))
    late = settle(beating(early, silent=900, begun=False), at(1000))
    assert finished(late) == ("True", "Failed")


def test_a_trial_whose_failure_is_being_reported_is_not_finished():
    failed = settle(with_activities(running(REPORTING), one="Failed", tell="Running"), at(9))
    assert conditions.reason(failed.trials[0].status.conditions, "Succeeded") == "ActivityFailed"
    assert finished(failed) == ("False", "Reporting")
    reported = settle(with_activities(failed, one="Failed", tell="Succeeded"), at(12))
    assert finished(reported) == ("True", "Failed")


def test_it_is_finished_once_its_report_can_not_go_on():
    failed = settle(with_activities(running(REPORTING), one="Failed", tell="Running"), at(9))
    over = replace(failed, pod=pod(ended=True, exit_code=137), engine_read_after_end=True)
    assert finished(settle(over, at(20))) == ("True", "Failed")


def test_a_trial_without_a_report_is_finished_when_it_fails():
    assert finished(settle(with_activities(running(), one="Failed"), at(9))) == ("True", "Failed")


def test_a_request_takes_it_back():
    failed = replace(running(one="Failed"), pod=pod(ended=True), engine_read_after_end=True)
    over = replace(settle(failed, at(9)), pod=absent())
    assert finished(over) == ("True", "Failed")
    assert finished(settle(asking(over, restore="r1"), at(12))) == ("False", "Restoring")


def test_an_edit_of_the_trial_changes_nothing_of_it():
    before = silent()
    (owner,) = before.trials
    assert finished(settle(replace(before, trials=(edited(owner, suspend=False),)), at(201))) == (
        "False",
        "Ending",
    )


# --- the TrialEngine is gone, its pod may not be


def engine_deleted(*, by="engine-1", listed=True, **spec):
    """Return the slot of a trial whose TrialEngine is gone, while a pod of it was not seen to end."""
    left = (Leftover("example-1", by),) if by else ()
    before = replace(running(trial(**spec)), engine=None, engine_gone=True, pod=None)
    return settle(replace(before, leftovers=left, pods_listed=listed), at(60))


@pytest.mark.parametrize(
    ("spec", "outcome"),
    [
        pytest.param({}, "Cancelled", id="without finally"),
        pytest.param({"finally": [nap("free")]}, "Failed", id="with finally, taken away by force"),
    ],
)
def test_a_trial_whose_engine_left_a_pod_is_finished_once_that_has_ended(spec, outcome):
    before = engine_deleted(**spec)
    assert before.trials[0].status.phase == outcome
    assert finished(before) == ("False", "Ending")
    assert steps(decide(before, at(61))) == []
    assert decide(before, at(61)).wake_at is not None
    over = settle(replace(before, leftovers=()), at(90))
    assert finished(over) == ("True", outcome)
    assert over.trials[0].status.phase == outcome


def test_nothing_that_is_learnt_of_its_pod_later_takes_that_back_either():
    over = settle(replace(engine_deleted(), leftovers=()), at(90))
    again = replace(over, leftovers=engine_deleted().leftovers, pods_listed=False)
    assert steps(decide(again, at(120))) == []
    assert finished(again) == ("True", "Cancelled")


def test_pods_that_were_not_listed_yet_may_be_there():
    before = engine_deleted(by="", listed=False)
    assert finished(before) == ("False", "Ending")
    assert finished(settle(replace(before, pods_listed=True), at(70))) == ("True", "Cancelled")


def test_a_pod_of_another_engine_is_not_waited_for():
    assert finished(engine_deleted(by="engine-0")) == ("True", "Cancelled")


def test_an_answer_to_a_request_does_not_finish_a_trial():
    before = asking(engine_deleted(), restore="r1", delete="d1")
    answered = settle(before, at(62))
    assert answered.trials[0].status.last_handled_restore.result == "Refused"
    assert finished(answered) == ("False", "Ending")


def test_trial_that_is_kept_for_no_time_is_removed_only_once_finished():
    before = engine_deleted(ttlSecondsAfterFinished=0)
    assert steps(decide(before, at(9000))) == []
    assert steps(decide(settle(replace(before, leftovers=()), at(9000)), at(9000))) == ["DeleteTrial"]


def test_deleted_trial_with_a_foreign_finalizer_finishes_with_its_pod():
    before = engine_deleted()
    (owner,) = before.trials
    metadata = msgspec.structs.replace(owner.metadata, deletion_timestamp=at(61), finalizers=("other/hold",))
    going = replace(before, trials=(msgspec.structs.replace(owner, metadata=metadata),))
    assert steps(decide(going, at(62))) == []
    assert finished(settle(replace(going, leftovers=()), at(90))) == ("True", "Cancelled")
