"""A real API server for the tests in this folder: one cluster for the session, one namespace per test."""

import contextlib
import functools
import ssl
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, utils
from tests.cluster.crd_api import administrator
from tests.cluster.node_harness import Node, Pods, running_node
from tests.cluster.operator_harness import OperatorHarness, TrialPlan, nap
from tests.cluster.proxied_harness import ProxiedHarness, ProxiedOperator
from tests.cluster.proxy import Proxy
from tests.cluster.registry_harness import RegistryHarness
from tests.cluster.rest_harness import LEVELS, Caller, Registry, TrialRegistry, sidecar

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import CONTROL_PLANE, STANDARD
from devcluster.cluster.guard import guarded
from devcluster.cluster.layout import REPOSITORY
from devcluster.programs.kubernetes import find_programs
from devcluster.waiting import wait_until


@pytest.fixture(scope="session")
def programs() -> Path:
    """Return the folder of the control plane's programs, which `make test` builds before."""
    return find_programs(print)


@pytest.fixture(scope="session")
def cluster(programs: Path) -> Iterator[Cluster]:
    """A control plane of its own with our CRDs and RBAC; no operator and no node."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="lcm-test-")))
    with guarded(cluster, remove=True):
        cluster.up(programs, CONTROL_PLANE)
        yield cluster


@functools.cache
def engine_rights() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((REPOSITORY / "deploy" / "rbac" / "engine.yaml").read_text()))


@contextlib.contextmanager
def fresh_namespace(cluster: Cluster) -> Iterator[str]:
    """Make a namespace in which engines may run, and delete it afterwards without waiting."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api = administrator(cluster.kubeconfig)
    core = client.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": name}})
    for manifest in engine_rights():
        utils.create_from_dict(api, manifest, namespace=name)

    def pods_are_admitted() -> bool:
        accounts = core.list_namespaced_service_account(name, field_selector="metadata.name=default")
        return bool(accounts.items)

    assert wait_until(pods_are_admitted, seconds=60)
    yield name
    with contextlib.suppress(client.ApiException):  # the test may have deleted it
        core.delete_namespace(name)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace in which engines may run."""
    with fresh_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="session")
def staffed(programs: Path) -> Iterator[Cluster]:
    """A control plane with the operator and the local node, as `make up` starts them."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="lcm-test-")))
    with guarded(cluster, remove=True):
        cluster.up(programs)
        yield cluster


@pytest.fixture
def harness(staffed: Cluster) -> Iterator[OperatorHarness]:
    """A fresh namespace of the staffed cluster, with everything in it running."""
    if not all(staffed.layout.process(name).alive() for name in STANDARD):
        staffed.up(find_programs(print))
    with fresh_namespace(staffed) as name:
        yield OperatorHarness(staffed, name)


@pytest.fixture
def field(harness: OperatorHarness) -> Iterator[RegistryHarness]:
    """A namespace with a registry that the test is, asked every second."""
    registry = Registry()
    yield RegistryHarness(harness, registry)
    registry.close()


@pytest.fixture(scope="module")
def proxied_operator(cluster: Cluster) -> Iterator[ProxiedOperator]:
    """An operator behind a proxy; no node and no engines."""
    with Proxy(cluster.server, ssl.create_default_context(cafile=cluster.ca_file)) as proxy:
        operator = ProxiedOperator(cluster, proxy)
        operator.start()
        yield operator
        operator.kill()


@pytest.fixture
def proxied(proxied_operator: ProxiedOperator, namespace: str) -> Iterator[ProxiedHarness]:
    """A fresh namespace with an operator behind a proxy; the test plays the engines."""
    if not proxied_operator.process.alive():
        proxied_operator.start()
    yield ProxiedHarness(proxied_operator, namespace)
    proxied_operator.proxy.release()


@pytest.fixture(scope="module")
def node(cluster: Cluster) -> Iterator[Node]:
    """A local node of the module's own, with its least rights, on the session's control plane."""
    with running_node(cluster) as node:
        yield node


@pytest.fixture
def pods(cluster: Cluster, namespace: str, node: Node) -> Iterator[Pods]:  # noqa: ARG001 - they need the node
    """The pods of one test on the local node."""
    pods = Pods(cluster, namespace)
    yield pods
    pods.close()


@pytest.fixture(scope="module", params=LEVELS, ids=[f"level {level}" for level in LEVELS])
def caller(
    request: pytest.FixtureRequest, staffed: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Caller]:
    """A namespace with everything in it; tests of a module share it, each with IDs of its own."""
    level, registry = request.param, Registry()
    folder = tmp_path_factory.mktemp("rest")
    with fresh_namespace(staffed) as namespace:
        harness = OperatorHarness(staffed, namespace)
        harness.create(TrialPlan, "default", {"activities": [nap()]})
        harness.create(TrialRegistry, "default", {"url": registry.url, "intervalSeconds": 3600})
        settings = {"LCM_API_LEVEL": level, "LCM_TIMEZONE": "Europe/Helsinki"}
        with sidecar(staffed, namespace, folder, **settings) as rest:
            yield Caller(staffed, namespace, rest, registry, level)
    registry.close()
