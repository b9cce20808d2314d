"""Forty engines at once on the local node, while the API server is away: they wait, and repeat nothing.

The cluster is of the test's own: others must not meet an API server that is stopped.
"""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_harness import OperatorHarness, in_seconds

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import API_SERVER
from devcluster.cluster.guard import guarded
from devcluster.waiting import wait_until

MANY = 40
OUTAGE_SECONDS = 20
PATIENCE = 240


@pytest.fixture
def harness(programs: Path) -> Iterator[OperatorHarness]:
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="lcm-test-")))
    with guarded(cluster, remove=True):
        cluster.up(programs)
        with fresh_namespace(cluster) as name:
            yield OperatorHarness(cluster, name)


def program(name: str, command: str) -> dict[str, object]:
    return {"name": name, "exec": {"command": ["sh", "-c", command]}}


@pytest.mark.timeout(2 * PATIENCE + 3 * OUTAGE_SECONDS)
def test_forty_engines_survive_an_api_server_outage_and_repeat_nothing(harness, tmp_path):
    logs = {f"trial-{number}": tmp_path / f"trial-{number}" for number in range(MANY)}
    away = tmp_path / "away"

    def lines(log: Path) -> list[str]:
        return log.read_text().split() if log.exists() else []

    start = in_seconds(5)
    for name, log in logs.items():
        plan = [
            program("one", f"echo one >> {log}"),
            program("two", f"echo two >> {log}; until [ -e {away} ]; do sleep 0.5; done"),
            program("three", f"echo three >> {log}"),
            {"name": "settle", "sleep": {"seconds": 0.1}},
            program("four", f"echo four >> {log}"),
        ]
        harness.trial(name, start=start, activities=plan)
    assert wait_until(lambda: all(lines(log) == ["one", "two"] for log in logs.values()), seconds=PATIENCE), {
        name: lines(log) for name, log in logs.items()
    }

    harness.cluster.stop(API_SERVER, signal.SIGKILL)
    away.touch()
    ran_ahead = wait_until(
        lambda: any(lines(log) != ["one", "two"] for log in logs.values()), seconds=OUTAGE_SECONDS
    )
    harness.cluster.start(API_SERVER)

    def succeeded() -> bool:
        return all(trial.obj["status"].get("phase") == "Succeeded" for trial in harness.trials())

    assert wait_until(succeeded, seconds=PATIENCE), [
        (trial.name, trial.obj["status"].get("conditions")) for trial in harness.trials()
    ]
    assert not ran_ahead
    assert [lines(log) for log in logs.values()] == [["one", "two", "three", "four"]] * MANY
    assert {engine.obj["status"]["attempt"] for engine in harness.engines()} == {1}
