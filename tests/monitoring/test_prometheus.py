"""Alerts and dashboard with a real Prometheus, which scrapes a real operator on a real API server.

Each alert is provoked once. Only the waiting is shortened: what Prometheus waits for (`for`), and how long
Leases are unreadable. Each query of the dashboard returns something meanwhile.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pykube
import pytest
import yaml
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_harness import OperatorHarness, Trial, condition, in_seconds, nap
from tests.cluster.rest_harness import Registry, TrialRegistry, sidecar
from tests.monitoring.harness import Prometheus, scraping
from tests.monitoring.test_rules import RULES, alerts

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import COMPONENTS, CONTROL_PLANE, OPERATOR
from devcluster.cluster.guard import guarded
from devcluster.cluster.layout import REPOSITORY
from devcluster.waiting import wait_until

RBAC = REPOSITORY / "deploy" / "rbac" / "operator.yaml"
SHIFTED = REPOSITORY / "tests" / "cluster" / "shifted"
DEADLINE = 120
DASHBOARD = RULES.with_name("dashboard.json")
VARIABLES = {"$namespace": ".*", "$__rate_interval": "10s", "$__range": "1m"}
OF_TRIALS = {
    "LCMTrialMissed",
    "LCMTrialNotReady",
    "LCMEnginePodPending",
    "LCMStartLate",
    "LCMTrialFailed",
    "LCMReleaseFailed",
    "LCMEngineSilent",
    "LCMRegistryStale",
}
OF_OPERATOR = {"LCMClockSkew", "LCMLeasesUnreadable", "LCMNoLeader", "LCMOperatorAbsent"}


def hurried() -> dict[str, Any]:
    """Return the rules with shorter times to wait."""
    rules: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        if "for" in rule:
            rule["for"] = "2s"
        if rule["alert"] == "LCMLeasesUnreadable":
            rule["expr"] = rule["expr"].replace("> 30", "> 2")
    return rules


class Scene(OperatorHarness):
    """A namespace, an operator without a node, and the Prometheus that watches it."""

    prometheus: Prometheus
    shift: Path

    def until_firing(self, *names: str) -> None:
        """Wait until all these alerts have fired at the same time."""
        firing = self.prometheus.firing
        assert wait_until(lambda: set(names) <= firing().keys(), seconds=DEADLINE), (names, firing())

    def granted(self, name: str) -> Any:
        """Return the TrialEngine of a trial once it has its grant."""
        self.wait(lambda: self._pod_ref(name) is not None)
        return self.engine(name)

    def _pod_ref(self, name: str) -> Any:
        with suppress(pykube.exceptions.ObjectDoesNotExist):
            return self.engine(name).obj.get("status", {}).get("podRef")
        return None


@pytest.fixture(scope="module")
def scene(programs: Path, prometheus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Everything running, all well before, and the trials and registries of all alerts about them made."""
    folder, near = tmp_path_factory.mktemp("scene"), Registry()
    shift = folder / "shift"
    shift.write_text("0")
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="lcm-test-")))
    with guarded(cluster, remove=True):
        cluster.up(programs, CONTROL_PLANE)
        component, process = COMPONENTS[OPERATOR], cluster.layout.process(OPERATOR)
        changed = {
            "LCM_KUBECONFIG": str(cluster.service_account_kubeconfig("default", "lcm-operator")),
            "LCM_TEST_CLOCK_SHIFT": str(shift),
            "PYTHONPATH": str(SHIFTED),
        }
        process.start(component.command(cluster.layout), component.environment(cluster.layout) | changed)
        assert wait_until(lambda: component.ready(cluster.layout, cluster.kubectl), seconds=DEADLINE)
        with fresh_namespace(cluster) as name, sidecar(cluster, name, folder) as rest:
            targets = {"lcm-operator": cluster.layout.ports[OPERATOR], "lcm-operator-rest": rest.metrics_port}
            with scraping(prometheus, folder, targets, hurried()) as running:
                scene = Scene(cluster, name)
                scene.prometheus, scene.shift = running, shift
                scene.wait(lambda: running.series("lcm_leader == 1") and not running.firing())
                assert not wait_until(running.firing, seconds=3), running.firing()
                scene.create(TrialRegistry, "near", {"url": near.url, "intervalSeconds": 1})
                begin_failures(scene)
                yield scene
    near.close()


def begin_failures(scene: Scene) -> None:
    """Make what will miss, not be ready, be late, fall silent, stay stale, fail, or not be released."""
    scene.trial("missed", start=in_seconds(-30), startingDeadlineSeconds=10)
    scene.trial("unready", start=in_seconds(600), planRef={"name": "nowhere"})
    scene.trial("late", start=in_seconds(-5), engine={"heartbeatTimeoutSeconds": 4})
    scene.create(TrialRegistry, "away", {"url": "http://127.0.0.1:1", "intervalSeconds": 1})
    failing = scene.trial("failing", start=in_seconds(0))
    holding = scene.trial(
        "holding",
        start=in_seconds(0),
        activities=[nap("hold", 600)],
        engine={"finallyTimeoutSeconds": 1},
        **{"finally": [nap("free")]},
    )
    fail(scene, failing)
    leave_unreleased(scene, holding)


def fail(scene: Scene, trial: Trial) -> None:
    """End the pod of a trial as its node would."""
    engine = scene.granted(trial.name)
    pod = pykube.Pod.objects(scene.api, namespace=scene.namespace).get_by_name(
        engine.obj["status"]["podRef"]["name"]
    )
    pod.patch({"status": {"phase": "Failed"}}, subresource="status")
    scene.until_condition(trial, "Succeeded", "False", "EngineEnded")


def leave_unreleased(scene: Scene, trial: Trial) -> None:
    """Begin an activity as an engine would, then cancel the trial: nobody runs its `finally`."""
    engine = scene.granted(trial.name)
    begun = {"name": "hold", "state": "Running", "run": 1, "startTime": in_seconds(0)}
    engine.patch({"status": {"activities": [begun]}}, subresource="status")
    scene.annotate(trial, delete="now")
    scene.wait(lambda: (trial.reload(), condition(trial, "Released")[0] == "False")[1])


def without_leases(scene: Scene) -> None:
    """Take the operator's rights to all Leases away."""
    role = next(found for found in yaml.safe_load_all(RBAC.read_text()) if found["kind"] == "ClusterRole")
    role["rules"] = [rule for rule in role["rules"] if "leases" not in rule["resources"]]
    scene.cluster.kubectl("replace", "--filename=-", stdin=yaml.safe_dump(role))


def queries() -> list[str]:
    """Return each query of the dashboard as Grafana would send it."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    pattern = re.compile("|".join(map(re.escape, VARIABLES)))
    return [pattern.sub(lambda name: VARIABLES[name[0]], query) for query in found]


@pytest.mark.timeout(600)  # each of its waits may take two minutes
def test_alerts_about_trials_fire_when_their_cause_occurs(scene: Scene):
    scene.until_firing(*OF_TRIALS)
    for name, found in scene.prometheus.firing().items():
        assert {labels["namespace"] for labels in found} == {scene.namespace}, name


@pytest.mark.timeout(600)
def test_every_query_of_the_dashboard_returns_series(scene: Scene):
    def empty() -> list[str]:
        return [query for query in queries() if not scene.prometheus.series(query)]

    assert len(queries()) > 30
    assert wait_until(lambda: not empty(), seconds=DEADLINE), empty()
    assert not scene.prometheus.series("lcm_no_such_metric")


@pytest.mark.timeout(600)
def test_alerts_about_the_operator_fire_when_their_cause_occurs(scene: Scene):
    """The last one: no operator runs afterwards."""
    scene.shift.write_text("3600")
    scene.until_firing("LCMClockSkew")
    without_leases(scene)
    scene.until_firing("LCMLeasesUnreadable", "LCMNoLeader")
    scene.cluster.stop(OPERATOR)
    scene.until_firing("LCMOperatorAbsent")


def test_no_alert_is_left_out():
    assert {rule["alert"] for rule in alerts()} == OF_TRIALS | OF_OPERATOR
