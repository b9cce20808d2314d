"""This machine as a Node: registered, and kept Ready by its status, written every 10 s.

Run by `node`. It must not know anything about pods.
"""

import asyncio
import os
import platform
import time
from typing import Any

from devcluster.node.api import NodeApi
from devcluster.node.downward import ADDRESS
from devcluster.node.states import timestamp
from lcm_operator import logs
from lcm_operator.kube.errors import AlreadyExistsError, ApiError, NotFoundError

Json = dict[str, Any]
_HEARTBEAT_SECONDS = 10
_PODS = "1000"
log = logs.get(__name__)


def labels(name: str) -> dict[str, str]:
    """Return the labels of the node."""
    return {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(
            platform.machine(), platform.machine()
        ),
        "lcm.5gdrones.eu/local-node": "true",
    }


async def stay_registered(api: NodeApi, port: int | None = None) -> None:
    """Keep the Node there and Ready, until cancelled; `port`: where the logs of its pods are served."""
    ready_since = timestamp(time.time())
    while True:
        try:
            try:
                await _beat(api, ready_since, port)
            except NotFoundError:
                await _register(api)
                await _beat(api, ready_since, port)
        except ApiError as error:
            log.warning("node not reported Ready; retrying", node=api.node, error=error)
            await asyncio.sleep(1)
        else:
            await asyncio.sleep(_HEARTBEAT_SECONDS)


async def _register(api: NodeApi) -> None:
    metadata = {"name": api.node, "labels": labels(api.node)}
    try:
        await api.register({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    except AlreadyExistsError:
        return
    # The API server gives every new node this taint; the controller that takes it off isn't here.
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule", "$patch": "delete"}
    await api.patch_node({"spec": {"taints": [taint]}})
    log.info("node registered", node=api.node)


async def _beat(api: NodeApi, ready_since: str, port: int | None) -> None:
    now = timestamp(time.time())
    resources = {"cpu": str(os.cpu_count() or 1), "memory": f"{_memory_kibibytes()}Ki", "pods": _PODS}
    status: Json = {
        "capacity": resources,
        "allocatable": resources,
        "addresses": [
            {"type": "InternalIP", "address": ADDRESS},
            {"type": "Hostname", "address": api.node},
        ],
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "LocalNodeReady",
                "message": "runs pods as plain processes of this machine",
                "lastHeartbeatTime": now,
                "lastTransitionTime": ready_since,
            }
        ],
        "nodeInfo": {
            "architecture": labels(api.node)["kubernetes.io/arch"],
            "operatingSystem": "linux",
            "osImage": platform.system(),
            "kernelVersion": platform.release(),
            "containerRuntimeVersion": "none://0",
            "kubeletVersion": "v0.0.0-lcm-local",
            "kubeProxyVersion": "",
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
        },
    }
    if port is not None:
        status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": port}}
    await api.patch_node({"status": status}, subresource="status")


def _memory_kibibytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
