"""What /healthz and /metrics of a real operator report during real faults."""

import contextlib
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_harness import OperatorHarness, in_seconds

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import API_SERVER, COMPONENTS, CONTROL_PLANE, OPERATOR
from devcluster.cluster.guard import guarded
from devcluster.cluster.layout import LOOPBACK, REPOSITORY
from devcluster.waiting import wait_until

RBAC = REPOSITORY / "deploy" / "rbac" / "operator.yaml"


class ProbedOperator(OperatorHarness):
    """A harness whose operator is asked how it is."""

    def ask(self, path: str) -> tuple[int, str]:
        """Return status and text of an answer; 0 and what is wrong if there is none."""
        try:
            answer = requests.get(f"http://{LOOPBACK}:{self.cluster.layout.ports[OPERATOR]}{path}", timeout=5)
        except requests.RequestException as error:
            return 0, str(error)
        return answer.status_code, answer.text

    def faults(self) -> set[str]:
        """Return what /healthz complains of: the words before the colons."""
        status, text = self.ask("/healthz")
        return {line.split(":")[0] for line in text.splitlines()} if status == 503 else set()

    def metric(self, name: str, **labels: str) -> float | None:
        """Return the sample with exactly these labels, and with the namespace if it has that one."""
        families = text_string_to_metric_families(self.ask("/metrics")[1])
        samples = (sample for family in families for sample in family.samples)
        wanted = (labels, labels | {"namespace": self.namespace})
        return next((s.value for s in samples if s.name == name and s.labels in wanted), None)

    @contextlib.contextmanager
    def frozen(self, component: str) -> Iterator[None]:
        """Stop a process for the length of the block, as a machine does that is short of memory."""
        process = self.cluster.layout.process(component)
        process.send(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send(signal.SIGCONT)

    def pid(self) -> int | None:
        return self.cluster.layout.process(OPERATOR).pid()


@pytest.fixture(scope="module")
def operated(programs: Path) -> Iterator[Cluster]:
    """A control plane with an operator and no node."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="lcm-test-")))
    with guarded(cluster, remove=True):
        cluster.up(programs, (*CONTROL_PLANE, OPERATOR))
        yield cluster


@pytest.fixture
def probed(operated: Cluster, programs: Path) -> Iterator[ProbedOperator]:
    """A fresh namespace and an operator that is well; the operator is the same one afterwards."""
    operated.up(programs, (*CONTROL_PLANE, OPERATOR))
    with fresh_namespace(operated) as name:
        probed = ProbedOperator(operated, name)
        probed.wait(lambda: probed.ask("/healthz") == (200, "ok\n") and probed.metric("lcm_leader") == 1)
        before = probed.pid()
        yield probed
        probed.wait(lambda: probed.ask("/healthz") == (200, "ok\n") and probed.metric("lcm_leader") == 1)
        assert probed.pid() == before


def test_unresponsive_api_server_is_a_dead_watch_and_a_stale_lease(probed: ProbedOperator):
    with probed.frozen(API_SERVER):
        probed.wait(lambda: probed.faults() == {"watch", "lease"})
        assert probed.metric("lcm_leader") == 0


def test_an_operator_that_was_frozen_says_that_its_loop_was_late(probed: ProbedOperator):
    with probed.frozen(OPERATOR):
        assert not wait_until(lambda: probed.ask("/healthz")[0] != 0, seconds=6)
    probed.wait(lambda: "loop" in probed.faults())


def test_missing_permission_is_a_stale_lease_until_it_is_granted_again(
    probed: ProbedOperator,
):
    kubectl = probed.cluster.kubectl
    role = next(found for found in yaml.safe_load_all(RBAC.read_text()) if found["kind"] == "ClusterRole")
    role["rules"] = [rule for rule in role["rules"] if "leases" not in rule["resources"]]
    try:
        kubectl("replace", "--filename=-", stdin=yaml.safe_dump(role))
        probed.wait(lambda: "lease" in probed.faults())
        assert probed.metric("lcm_leader") == 0
    finally:
        kubectl("apply", f"--filename={RBAC}")


def test_an_operator_that_starts_before_its_api_server_waits_for_it(operated: Cluster, programs: Path):
    layout = operated.layout
    operated.stop(OPERATOR)
    operated.stop(API_SERVER)
    layout.process(OPERATOR).start(
        COMPONENTS[OPERATOR].command(layout), COMPONENTS[OPERATOR].environment(layout)
    )
    lonely = layout.process(OPERATOR).pid()
    probed = ProbedOperator(operated, "default")
    probed.wait(lambda: probed.faults() == {"lease"})  # kopf begins after the first list
    assert probed.ask("/readyz")[0] == 503
    operated.up(programs, CONTROL_PLANE)
    probed.wait(lambda: probed.ask("/healthz") == (200, "ok\n"))
    assert probed.ask("/readyz")[0] == 200
    assert probed.pid() == lonely


def test_a_start_shows_in_the_metrics(probed: ProbedOperator):
    count = "lcm_trial_start_lag_seconds_count"
    before = probed.metric(count) or 0
    ahead = probed.trial("ahead", start=in_seconds(50))
    probed.until_condition(ahead, "Armed", "True", "Admitted")
    probed.wait(lambda: probed.metric("lcm_trials", phase="armed") == 1)
    assert probed.metric("lcm_heap_size") == 1
    due = probed.trial("due", start=in_seconds(1))
    probed.until_condition(due, "Started", "True", "EngineStarted")
    probed.wait(lambda: probed.metric(count) == before + 1)
    assert probed.metric("lcm_trials_due") == 0
    missed = probed.metric("lcm_trials_missed_total") or 0
    late = probed.trial("late", start=in_seconds(-30), startingDeadlineSeconds=10)
    probed.until_condition(late, "Succeeded", "False", "Missed")
    probed.wait(lambda: probed.metric("lcm_trials_missed_total") == missed + 1)
    unready = probed.trial("unready", start=in_seconds(3000), planRef={"name": "nowhere"})
    probed.wait(lambda: probed.metric("lcm_trials_not_ready", reason="PlanNotFound") == 1)
    assert probed.metric("lcm_trials_last_missed_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    for trial in (ahead, due, late, unready):
        trial.delete()
    probed.wait(lambda: not probed.engines())
