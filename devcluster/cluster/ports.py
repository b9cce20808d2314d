"""Which port each listener of a local cluster has.

Called by `cluster` and `preparation`. Ports are settled when a cluster is made and hold until it is taken
down: its kubeconfig and what is applied to it name them.
"""

import os
import random
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from devcluster.cluster.layout import LOOPBACK
from devcluster.failure import LocalClusterError
from devcluster.waiting import wait_until

PORT_NAMES = (
    "etcd",
    "etcd-peer",
    "kube-apiserver",
    "kube-controller-manager",
    "node",
    "operator",
    "operator-2",
    "registry",
    "partners",
    "rest",
    "rest-metrics",
)
# Those that callers count on, and the variable of make by which each is moved.
CONTRACT = {"rest": "REST_PORT", "registry": "REGISTRY_PORT", "partners": "PARTNERS_PORT"}
# Who has just been killed may hold its port a little longer than its pid file.
_FREED_SECONDS = 2
# Listeners start one after the other, and some much later: for so long no other cluster draws the same port.
_CLAIM_SECONDS = 3600


def settle(settled: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, int]:
    """Return a port for each listener: the settled one, else the wanted one, else any (also if 0 is wanted).

    Raises LocalClusterError if a wanted port is taken or was settled differently.
    """
    for name, port in wanted.items():
        if port and settled.get(name, port) != port:
            raise LocalClusterError(
                f"{name} already listens on port {settled[name]}; to move it, run make down,"
                f" then make up {CONTRACT[name]}={port}"
            )
    new = {name: port for name, port in wanted.items() if port and name not in settled}
    for name, port in new.items():
        check_free(name, port)
    fixed = {**settled, **new}
    return {**fixed, **_drawn([name for name in PORT_NAMES if name not in fixed], set(fixed.values()))}


def check_free(name: str, port: int) -> None:
    """Raise LocalClusterError if somebody else listens where this one is to."""
    if not wait_until(lambda: _is_free(port), seconds=_FREED_SECONDS):
        raise LocalClusterError(
            f"port {port} on {LOOPBACK}, needed by {name}, is in use by another program: stop it,"
            f" or choose another port: make up {CONTRACT[name]}=… (after make down, if it was up before)"
        )


def _drawn(names: list[str], taken: set[int]) -> dict[str, int]:
    """Choose a free port for each, below those that the kernel hands out to connections.

    A process that died has to find its port free again: one out of the kernel's own range could meanwhile
    belong to any connection of this machine.
    """
    drawn = random.sample(range(15000, 32000), 500)
    free = (port for port in drawn if port not in taken and _is_free(port) and _claim(port))
    chosen = dict(zip(names, free, strict=False))
    if len(chosen) < len(names):
        raise LocalClusterError(f"no free port on {LOOPBACK} between 15000 and 32000")
    return chosen


def _claim(port: int) -> bool:
    """Claim a port that was drawn, so that no cluster that starts at the same time draws it as well."""
    claims = Path(tempfile.gettempdir()) / f"lcm-ports-{os.getuid()}"
    claims.mkdir(mode=0o700, exist_ok=True)
    claim = claims / str(port)
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        if time.time() - claim.stat().st_mtime < _CLAIM_SECONDS:
            return False
        claim.touch()
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: their ended connections do not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
