"""The clock of the operator's node is set by an hour: nothing starts early, and nothing is missed.

The operator is the real process; only its own wall clock is shifted (`shifted/sitecustomize.py`).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pykube
import pytest
import requests
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_harness import OperatorHarness, in_seconds

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import COMPONENTS, LEASE_NAMESPACE, OPERATOR
from devcluster.cluster.layout import LOOPBACK
from devcluster.waiting import wait_until

HOUR = 3600
SHIFTED = Path(__file__).parent / "shifted"
LATE = timedelta(seconds=3)


class Node(OperatorHarness):
    """A namespace, and an operator whose clock can be set."""

    shift: Path

    def set_clock(self, seconds: float) -> None:
        self.shift.write_text(str(seconds))

    def ask(self, path: str) -> str:
        return requests.get(f"http://{LOOPBACK}:{self.cluster.layout.ports[OPERATOR]}/{path}", timeout=5).text

    def offset(self) -> float:
        lines = self.ask("metrics").splitlines()
        return float(next(line for line in lines if line.startswith("lcm_clock_offset_seconds")).split()[1])

    def started(self) -> list[datetime]:
        """Return when each pod was created, by the API server's clock."""
        return [datetime.fromisoformat(pod.obj["metadata"]["creationTimestamp"]) for pod in self.pods()]

    def warnings(self) -> set[str]:
        found = pykube.Event.objects(self.api, namespace=LEASE_NAMESPACE)
        return {event.obj["reason"] for event in found}


@pytest.fixture
def node(cluster: Cluster, tmp_path: Path) -> Iterator[Node]:
    """An operator of its own; there is no local node, so that pods stay as they are."""
    shift = tmp_path / "shift"
    shift.write_text("0")
    file = cluster.service_account_kubeconfig("default", "lcm-operator")
    component, process = COMPONENTS[OPERATOR], cluster.layout.process(OPERATOR)
    environment = {
        **component.environment(cluster.layout),
        "LCM_KUBECONFIG": str(file),
        "LCM_TEST_CLOCK_SHIFT": str(shift),
        "PYTHONPATH": str(SHIFTED),
    }
    process.start(component.command(cluster.layout), environment)
    with fresh_namespace(cluster) as name:
        node = Node(cluster, name)
        node.shift = shift
        assert wait_until(lambda: component.ready(cluster.layout, cluster.kubectl), seconds=60), (
            process.log_tail()
        )
        assert wait_until(lambda: "lcm_leader 1.0" in node.ask("metrics"), seconds=30), process.log_tail()
        yield node
        cluster.stop(OPERATOR)


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["an hour ahead", "an hour back"])
def test_a_clock_that_is_set_starts_nothing_early_and_misses_nothing(node: Node, step: int):
    soon, start = in_seconds(4), in_seconds(12)
    node.trial("before", start=soon, startingDeadlineSeconds=5)
    trial = node.trial("over", start=start, startingDeadlineSeconds=5)
    distant = node.trial("distant", start=in_seconds(HOUR - 30), startingDeadlineSeconds=5)
    node.until_condition(trial, "Armed", "True", "Admitted")
    node.set_clock(step)
    status = node.until_condition(trial, "Started", "True", "EngineStarted")
    begun = max(node.started())
    assert timedelta(0) <= begun - datetime.fromisoformat(start) <= LATE
    assert min(node.started()) >= datetime.fromisoformat(soon)
    assert status["startLagMilliseconds"] <= LATE / timedelta(milliseconds=1)
    late = node.trial("late", start=in_seconds(-3), startingDeadlineSeconds=10)
    node.until_condition(late, "Started", "True", "EngineStarted")
    over = node.trial("missed", start=in_seconds(-30), startingDeadlineSeconds=10)
    node.until_condition(over, "Succeeded", "False", "Missed")
    distant.reload()
    assert distant.obj["status"]["phase"] == "Scheduled"
    assert abs(node.offset() - step) < 2
    assert f"{HOUR - 1}" in node.ask("healthz") or f"{HOUR}" in node.ask("healthz")
    node.wait(lambda: {"ClockStepped", "ClockSkew"} <= node.warnings())
    node.set_clock(0)
    again = node.trial("again", start=in_seconds(3), startingDeadlineSeconds=5)
    node.until_condition(again, "Started", "True", "EngineStarted")
    node.wait(lambda: node.ask("healthz") == "ok\n")


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_retries_go_on_after_a_step_of_the_clock(node: Node, step: int):
    node.cluster.kubectl("delete", "serviceaccount", "lcm-engine", f"--namespace={node.namespace}")
    trial = node.trial("waits", start=in_seconds(30))
    node.until_condition(trial, "Armed", "False", "ServiceAccountNotFound")
    node.set_clock(step)
    node.wait(lambda: abs(node.offset() - step) < 2)
    node.cluster.kubectl("create", "serviceaccount", "lcm-engine", f"--namespace={node.namespace}")
    node.until_condition(trial, "Armed", "True", "Admitted")
