"""What a Trial shows of a pod that does not run."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    at,
    message_of,
    nap,
    recorded_events,
    running,
    settle,
    shown,
    steps,
    trial,
    with_activities,
)
from tests.unit.domain.test_life import beating

from lcm_operator.api import conditions
from lcm_operator.api.engine import CheckpointMark
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import PendingPod

WHY = 'container engine: ImagePullBackOff: Back-off pulling image "nowhere/none"'


def pending(before, why=WHY, uid="pod-1"):
    return replace(before, pending=PendingPod(uid, why))


def test_the_trial_shows_why_its_pod_does_not_run():
    decision = decide(pending(running()), at(2))
    assert shown(decision, "Succeeded") == ("Unknown", "PodPending")
    assert message_of(decision, "Succeeded") == f"pod example-1 is not running: {WHY}"
    assert recorded_events(decision) == [("PodPending", True)]


def test_a_trial_whose_pod_does_not_run_is_not_ready():
    before = running()
    assert before.trials[0].status.ready == "True"
    assert settle(pending(before), at(2)).trials[0].status.ready == "False"


def test_the_words_are_updated_without_another_event():
    before = settle(pending(running()), at(2))
    decision = decide(pending(before, "container engine: ErrImagePull: not found"), at(9))
    assert message_of(decision, "Succeeded").endswith("ErrImagePull: not found")
    assert recorded_events(decision) == []


def test_the_same_words_are_written_once():
    before = settle(pending(running()), at(2))
    assert steps(decide(before, at(3))) == []


def test_a_pod_that_runs_at_last_is_pending_no_more():
    before = settle(pending(running()), at(2))
    decision = decide(replace(before, pending=None), at(30))
    assert shown(decision, "Succeeded") == ("Unknown", "Starting")


def test_a_pod_whose_engine_has_saved_something_is_not_pending():
    before = running()
    mark = CheckpointMark(version=1, sequence=1, saved_time=at(1))
    status = msgspec.structs.replace(before.engine.status, checkpoint=mark)
    engine = msgspec.structs.replace(before.engine, status=status)
    assert steps(decide(pending(replace(before, engine=engine)), at(2))) == []


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(pending(running(), uid="pod-0"), id="another pod"),
        pytest.param(pending(running(), why=""), id="a pod on its way"),
    ],
)
def test_nothing_is_said_of(before):
    assert steps(decide(before, at(2))) == []


def test_the_final_message_of_an_attempt_that_never_ran_says_why():
    before = pending(beating(running(), begun=False, silent=121))
    after = settle(before, at(121))
    found = conditions.find(after.trials[0].status.conditions, "Succeeded")
    assert (found.status, found.reason) == ("False", "EngineNotReady")
    assert WHY in found.message
    assert WHY in after.engine.status.attempts[-1].message


def test_an_outcome_is_not_replaced_by_a_pending_pod():
    before = settle(with_activities(running(trial(activities=[nap("one")])), one="Succeeded"), at(10))
    assert steps(decide(pending(before), at(11))) == []
