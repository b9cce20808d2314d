"""The components of a local cluster: how each is started, when it is ready, how long its end may take.

Called by `cluster`, which starts them in the order of COMPONENTS and ends them the other way round. Nothing
here starts or ends anything, but for `clean_up`.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import requests

from devcluster import settings
from devcluster.cluster import controlplane, services
from devcluster.cluster.kubectl import Kubectl
from devcluster.cluster.layout import LOOPBACK, Layout
from devcluster.cluster.services import PARTNERS, REGISTRY, REST
from devcluster.failure import LocalClusterError

ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
NODE = "node"
OPERATOR = "operator"
STANDBY = "operator-2"
CONTROL_PLANE = (ETCD, API_SERVER, CONTROLLER_MANAGER)

LEASE_NAMESPACE = "lcm-system"
"""Of the election's Lease alone: engines may write the Leases of their own namespace, as `default`."""
# The rest of the caller's environment must not decide how a process behaves that outlives the caller.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER")


def _no_variables(_: Layout) -> Mapping[str, str]:
    return {}


def _nothing_to_clean(_: Layout) -> None:
    """Do nothing: most components leave nothing behind."""


@dataclass(frozen=True)
class Component:
    """One background process of the cluster."""

    command: Callable[[Layout], list[str]]
    ready: Callable[[Layout, Kubectl], bool]
    grace: float = 5
    variables: Callable[[Layout], Mapping[str, str]] = _no_variables
    clean_up: Callable[[Layout], None] = _nothing_to_clean
    # The ServiceAccount (namespace, name) that it runs as; its kubeconfig is made anew at each start.
    service_account: tuple[str, str] | None = None

    def environment(self, layout: Layout) -> dict[str, str]:
        """Return its whole environment."""
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        log = settings.read(os.environ).settings.log_variables
        return {**inherited, "PYTHONUNBUFFERED": "1", **dict(log), **self.variables(layout)}


def _answers(layout: Layout, url: str, client: str | None = None) -> bool:
    pair = (f"{layout.pki}/{client}.crt", f"{layout.pki}/{client}.key") if client else None
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(url, verify=str(layout.pki / "ca.crt"), cert=pair, timeout=5).ok
        except requests.RequestException:
            return False


def _listens(layout: Layout, name: str) -> bool:
    """Whether a dummy can be reached: faults may make it answer all requests with failures."""
    try:
        socket.create_connection((LOOPBACK, layout.ports[name]), timeout=5).close()
    except OSError:
        return False
    return True


def _etcd_ready(layout: Layout, _: Kubectl) -> bool:
    return _answers(layout, f"https://{LOOPBACK}:{layout.ports[ETCD]}/health", "etcd-client")


def _api_server_ready(layout: Layout, _: Kubectl) -> bool:
    return _answers(layout, f"https://{LOOPBACK}:{layout.ports[API_SERVER]}/readyz")


def _controller_manager_ready(layout: Layout, kubectl: Kubectl) -> bool:
    port = layout.ports[CONTROLLER_MANAGER]
    return _answers(layout, f"https://{LOOPBACK}:{port}/healthz") and bool(
        kubectl.get("serviceaccount", "default", "--namespace=default")
    )


def _operator(name: str) -> Component:
    """Return one replica of the operator; which one leads, they settle among themselves."""

    def variables(layout: Layout) -> Mapping[str, str]:
        return {
            "LCM_KUBECONFIG": str(layout.service_kubeconfig(name)),
            "LCM_HEALTH_ADDRESS": f"{LOOPBACK}:{layout.ports[name]}",
            "LCM_LEASE_NAMESPACE": LEASE_NAMESPACE,
            "LCM_ENGINE_IMAGE": settings.read(os.environ).settings.engine_image,
        }

    return Component(
        lambda _: [sys.executable, "-m", "lcm_operator.controllers"],
        lambda layout, _: _answers(layout, f"http://{LOOPBACK}:{layout.ports[name]}/readyz"),
        grace=10,
        variables=variables,
        service_account=("default", "lcm-operator"),
    )


def _node_command(layout: Layout) -> list[str]:
    return [
        *(sys.executable, "-m", "devcluster.node"),
        *("--kubeconfig", str(layout.service_kubeconfig(NODE))),
        *("--root", str(layout.node)),
        *("--log-dir", str(layout.log / "pods")),
        *("--port", str(layout.ports[NODE]), "--pki", str(layout.pki)),
    ]


def _node_ready(layout: Layout, kubectl: Kubectl) -> bool:
    """Whether a node is Ready by a heartbeat of this process: the one before it left its Node behind."""
    started = int(layout.process(NODE).pid_file.stat().st_mtime)
    return any(
        condition["type"] == "Ready"
        and condition["status"] == "True"
        and datetime.fromisoformat(condition["lastHeartbeatTime"]).timestamp() >= started
        for node in kubectl.get("nodes").get("items", [])
        for condition in node["status"].get("conditions", [])
    )


def _end_pods(layout: Layout) -> None:
    """End the pods, which outlive their node, by its own reaper, which needs no API server."""
    if layout.node.exists():
        reap = [sys.executable, "-m", "devcluster.node", "--root", str(layout.node), "--reap"]
        done = subprocess.run(reap, capture_output=True, text=True, check=False, cwd="/")
        if done.returncode != 0:
            raise LocalClusterError(f"the pods of the local node could not be ended:\n{done.stderr.strip()}")


COMPONENTS: Mapping[str, Component] = {
    ETCD: Component(controlplane.etcd, _etcd_ready),
    API_SERVER: Component(controlplane.kube_apiserver, _api_server_ready),
    CONTROLLER_MANAGER: Component(controlplane.kube_controller_manager, _controller_manager_ready),
    NODE: Component(_node_command, _node_ready, grace=10, clean_up=_end_pods),
    OPERATOR: _operator(OPERATOR),
    STANDBY: _operator(STANDBY),
    REGISTRY: Component(
        lambda _: [sys.executable, "-m", "dummies.registry"],
        lambda layout, _: _listens(layout, REGISTRY),
        variables=services.registry,
    ),
    PARTNERS: Component(
        lambda _: [sys.executable, "-m", "dummies.partners"],
        lambda layout, _: _listens(layout, PARTNERS),
        variables=services.partners,
    ),
    REST: Component(
        lambda _: [sys.executable, "-m", "lcm_operator.rest"],
        lambda layout, _: _answers(layout, f"http://{services.address(layout, REST)}/readyz"),
        grace=15,
        variables=services.rest,
        service_account=("default", "lcm-rest"),
    ),
}
OPERATORS = (OPERATOR, STANDBY)
# What trials need; up by default.
STANDARD = (*CONTROL_PLANE, NODE, OPERATOR)
SERVICES = (REGISTRY, PARTNERS, REST)
