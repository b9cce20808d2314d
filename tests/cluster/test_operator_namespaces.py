"""An operator that watches some namespaces and has no right on any other."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_harness import OperatorHarness, in_seconds

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import COMPONENTS, CONTROL_PLANE, LEASE_NAMESPACE, OPERATOR
from devcluster.cluster.guard import guarded
from devcluster.cluster.layout import REPOSITORY
from devcluster.waiting import wait_until

CLUSTER_SCOPED = {"namespaces", "customresourcedefinitions"}


@pytest.fixture(scope="module")
def bare(programs: Path) -> Iterator[Cluster]:
    """A control plane whose operator has rights in namespaces only, and none yet."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="lcm-test-")))
    with guarded(cluster, remove=True):
        cluster.up(programs, CONTROL_PLANE)
        cluster.kubectl("delete", "clusterrolebinding", "lcm-operator")
        yield cluster


def allow(cluster: Cluster, namespace: str) -> None:
    """Give the operator in one namespace what its ClusterRole gives in all."""
    documents = yaml.safe_load_all((REPOSITORY / "deploy/rbac/operator.yaml").read_text(encoding="utf-8"))
    rules = next(found["rules"] for found in documents if found["kind"] == "ClusterRole")
    api = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{api}/v1",
        "kind": "Role",
        "metadata": {"name": "lcm-operator", "namespace": namespace},
        "rules": [rule for rule in rules if not CLUSTER_SCOPED & set(rule["resources"])],
    }
    binding = role | {
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": api, "kind": "Role", "name": "lcm-operator"},
        "subjects": [{"kind": "ServiceAccount", "name": "lcm-operator", "namespace": "default"}],
    }
    del binding["rules"]
    cluster.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all([role, binding]))


@contextlib.contextmanager
def operator_watching(cluster: Cluster, *namespaces: str) -> Iterator[None]:
    layout, component = cluster.layout, COMPONENTS[OPERATOR]
    process = layout.process(OPERATOR)
    file = cluster.service_account_kubeconfig("default", "lcm-operator")
    environment = component.environment(layout) | {
        "LCM_KUBECONFIG": str(file),
        "LCM_WATCH_NAMESPACES": ",".join(namespaces),
    }
    process.start(component.command(layout), environment)
    try:
        assert wait_until(lambda: component.ready(layout, cluster.kubectl), seconds=60), process.log_tail()
        yield
    finally:
        process.stop(grace=10)


def test_trials_start_where_it_watches_and_nowhere_else(bare: Cluster) -> None:
    with fresh_namespace(bare) as watched, fresh_namespace(bare) as other:
        for namespace in (LEASE_NAMESPACE, watched):
            allow(bare, namespace)
        with operator_watching(bare, watched):
            before = OperatorHarness(bare, other).trial("elsewhere", start=in_seconds(2))
            trial = OperatorHarness(bare, watched).trial("here", start=in_seconds(2))

            OperatorHarness(bare, watched).until(trial, lambda status: status.get("startedTime"))
            before.reload()

            assert before.obj["status"] == {"observedGeneration": -1}
