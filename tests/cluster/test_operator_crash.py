"""The operator killed before, during and after starts: every trial is started, and none twice."""

import signal

import pytest
from tests.cluster.operator_harness import OperatorHarness, in_seconds

from devcluster.cluster.components import NODE, OPERATOR

MANY = 100
OTHERS = 10


@pytest.fixture
def unstaffed(harness: OperatorHarness):
    """No node: pods are created but don't run, so a burst costs nothing but the burst itself."""
    harness.cluster.stop(NODE)
    yield harness
    for trial in harness.trials():
        trial.delete()
    harness.wait(lambda: not harness.engines() and not harness.pods())
    harness.cluster.start(NODE)


def apply_many(harness: OperatorHarness, count: int, seconds: float) -> None:
    start = in_seconds(seconds)
    for number in range(count):
        harness.trial(f"many-{number}", start=start)


def test_a_hundred_trials_due_in_one_second_are_each_started_once(unstaffed: OperatorHarness):
    apply_many(unstaffed, MANY, 8)
    unstaffed.each_was_started_once(MANY)
    assert len(unstaffed.pods_created()) == MANY
    assert all(trial.obj["status"]["startedTime"] for trial in unstaffed.trials())


@pytest.mark.parametrize(
    "pods_there",
    [
        pytest.param(0, id="killed just before the start"),
        pytest.param(1, id="killed when the first pod is there"),
        pytest.param(OTHERS, id="killed when all pods are there"),
    ],
)
def test_an_operator_killed_around_the_start_starts_each_trial_once(
    unstaffed: OperatorHarness, pods_there: int
):
    apply_many(unstaffed, OTHERS, 4)
    unstaffed.wait(lambda: len(unstaffed.engines()) == OTHERS)
    unstaffed.wait(lambda: len(unstaffed.pods()) >= pods_there)
    unstaffed.cluster.stop(OPERATOR, signal.SIGKILL)
    unstaffed.cluster.start(OPERATOR)
    unstaffed.each_was_started_once(OTHERS)


def test_operator_killed_repeatedly_during_a_burst_starts_each_trial_once(unstaffed: OperatorHarness):
    apply_many(unstaffed, OTHERS, 4)
    unstaffed.wait(lambda: len(unstaffed.engines()) == OTHERS)
    kills = 0
    while (seen := len(unstaffed.pods()) + unstaffed.started()) < 2 * OTHERS:
        unstaffed.wait(lambda seen=seen: len(unstaffed.pods()) + unstaffed.started() > seen)
        unstaffed.cluster.stop(OPERATOR, signal.SIGKILL)
        kills += 1
        unstaffed.cluster.start(OPERATOR)
    assert kills > 0
    unstaffed.each_was_started_once(OTHERS)
