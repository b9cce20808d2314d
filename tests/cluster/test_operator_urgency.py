"""What is due comes first, whatever else there is to do: with a real API server, an operator and no node."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_harness import Trial, condition
from tests.cluster.proxied_harness import ProxiedHarness, ProxiedOperator

from devcluster.waiting import wait_until

pytestmark = pytest.mark.timeout(600)

REFUSED = 400
ROOM = 40
PATIENCE = 300


def moment(begin: datetime, seconds: float) -> str:
    return (begin + timedelta(seconds=seconds)).isoformat()


def wait_for(begin: datetime, seconds: float) -> None:
    """Wait until so many seconds after `begin`."""
    end = begin + timedelta(seconds=seconds)
    assert wait_until(lambda: datetime.now(UTC) >= end, seconds=PATIENCE)


def started(trial: Trial) -> bool:
    trial.reload()
    return "startedTime" in trial.obj.get("status", {})


def is_refused(trial: Trial) -> bool:
    trial.reload()
    return condition(trial, "Armed") == ("False", "AdmissionRefused")


def over(trial: Trial) -> bool:
    trial.reload()
    return trial.obj.get("status", {}).get("phase") == "Missed"


def test_a_trial_that_gets_due_within_seconds_is_not_held_back(proxied: ProxiedHarness):
    """Made, resumed, moved or given its ID two seconds before its start, while others start all the time."""
    begin = datetime.now(UTC) + timedelta(seconds=12)
    for number in range(30):
        proxied.trial(f"steady-{number}", start=moment(begin, 0.4 * number))
    strict = {"startingDeadlineSeconds": 2}
    resumed = proxied.trial("resumed", start=moment(begin, 6.2), suspend=True, **strict)
    moved = proxied.trial("moved", start=moment(begin, 3600), **strict)
    first = proxied.trial("first", start=moment(begin, 6.4), trialID="one-id", **strict)
    proxied.until_condition(first, "Accepted", "True", "Accepted")
    freed = proxied.trial("second", start=moment(begin, 6.4), trialID="one-id", **strict)
    proxied.until_condition(freed, "Accepted", "False", "DuplicateTrialID")
    wait_for(begin, 4)
    made = proxied.trial("made", start=moment(begin, 6), **strict)
    resumed.patch({"spec": {"suspend": False}})
    moved.patch({"spec": {"startTime": moment(begin, 6.6)}})
    first.delete()
    for trial in (made, resumed, moved, freed):
        assert wait_until(lambda trial=trial: started(trial) or over(trial), seconds=PATIENCE)
        assert started(trial), trial.obj["status"]


@pytest.fixture
def neighbour(proxied_operator: ProxiedOperator) -> Iterator[ProxiedHarness]:
    """Another namespace of the same operator."""
    with fresh_namespace(proxied_operator.cluster) as name:
        yield ProxiedHarness(proxied_operator, name)


def allow_pods(harness: ProxiedHarness, count: int) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "pods", "namespace": harness.namespace},
        "spec": {"hard": {"pods": str(count)}},
    }
    harness.cluster.kubectl.apply([Path("-")], stdin=json.dumps(quota))


def test_refused_starts_of_a_namespace_do_not_delay_those_of_another(
    proxied: ProxiedHarness, neighbour: ProxiedHarness
):
    allow_pods(neighbour, 0)
    begin = datetime.now(UTC)
    for number in range(REFUSED):
        neighbour.trial(f"refused-{number}", start=moment(begin, 0), startingDeadlineSeconds=3600)
    last = neighbour.get(Trial, f"refused-{REFUSED - 1}")
    assert wait_until(lambda: is_refused(last), seconds=PATIENCE), last.obj
    due = datetime.now(UTC) + timedelta(seconds=8)
    trials = [
        proxied.trial(f"due-{number}", start=moment(due, number), startingDeadlineSeconds=2)
        for number in range(5)
    ]
    for trial in trials:
        assert wait_until(lambda trial=trial: started(trial) or over(trial), seconds=PATIENCE)
        assert started(trial), trial.obj["status"]

    allow_pods(neighbour, ROOM)
    assert wait_until(lambda: len(neighbour.pods()) == ROOM, seconds=PATIENCE), "they are tried on"
