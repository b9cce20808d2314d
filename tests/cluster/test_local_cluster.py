"""The local cluster: its parts may die and come back; what was started ends with its starter."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import API_SERVER, CONTROL_PLANE, CONTROLLER_MANAGER, ETCD
from devcluster.cluster.layout import LOOPBACK
from devcluster.waiting import wait_until

STARTER = """
import pathlib, sys
from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import CONTROL_PLANE
from devcluster.cluster.guard import guarded
cluster = Cluster(pathlib.Path(sys.argv[1]), lambda message: print(message, flush=True))
with guarded(cluster):
    cluster.up(pathlib.Path(sys.argv[2]), CONTROL_PLANE)
    print("up", flush=True)
    sys.stdin.read()
"""


def pids(cluster: Cluster) -> dict[str, int | None]:
    return {name: cluster.layout.process(name).pid() for name in CONTROL_PLANE}


def test_parts_that_died_are_started_on_the_data_that_was_there(
    cluster: Cluster, namespace: str, programs: Path
) -> None:
    before = pids(cluster)
    cluster.kubectl("create", "configmap", "memory", "--from-literal=a=b", f"--namespace={namespace}")

    cluster.stop(ETCD, signal.SIGKILL)
    cluster.stop(API_SERVER, signal.SIGKILL)
    started = cluster.up(programs, CONTROL_PLANE)

    assert started == [ETCD, API_SERVER]
    assert pids(cluster)[CONTROLLER_MANAGER] == before[CONTROLLER_MANAGER]
    assert cluster.kubectl.get("configmap", "memory", f"--namespace={namespace}")["data"] == {"a": "b"}


def test_up_with_everything_running_changes_nothing(cluster: Cluster, programs: Path) -> None:
    before = pids(cluster), cluster.kubeconfig.read_bytes(), cluster.kubectl.get("crds")

    assert cluster.up(programs, CONTROL_PLANE) == []

    assert (pids(cluster), cluster.kubeconfig.read_bytes(), cluster.kubectl.get("crds")) == before


def test_the_audit_log_has_the_content_of_pods_but_not_of_secrets(cluster: Cluster, namespace: str) -> None:
    here = f"--namespace={namespace}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "audited"},
        "spec": {"serviceAccountName": "lcm-engine", "containers": [{"name": "engine", "image": "none"}]},
    }
    cluster.kubectl("create", "--filename=-", here, stdin=json.dumps(pod))
    cluster.kubectl("create", "secret", "generic", "hidden", "--from-literal=k=v", here)

    def created() -> dict[str, dict[str, Any]]:
        return {
            event["objectRef"]["resource"]: event
            for event in cluster.audit()
            if event["verb"] == "create" and event.get("objectRef", {}).get("namespace") == namespace
        }

    assert wait_until(lambda: {"pods", "secrets"} <= created().keys(), seconds=10)
    assert created()["pods"]["user"]["username"] == "admin"
    assert created()["pods"]["requestObject"]["spec"]["containers"][0]["image"] == "none"
    assert "requestObject" not in created()["secrets"]


def test_etcd_answers_nobody_without_a_certificate_of_this_cluster(cluster: Cluster) -> None:
    """Anybody on this machine could otherwise write pods there, which the local node runs as us."""
    url = f"https://{LOOPBACK}:{cluster.layout.ports[ETCD]}/version"
    with requests.Session() as stranger, pytest.raises(requests.exceptions.ConnectionError):
        stranger.get(url, verify=str(cluster.ca_file), timeout=10)


def test_keys_and_kubeconfigs_are_nobody_else_s_to_read(cluster: Cluster) -> None:
    layout = cluster.layout
    secrets = [cluster.kubeconfig, *layout.run.glob("*.kubeconfig"), *layout.pki.glob("*.key")]

    assert {oct(file.stat().st_mode & 0o777) for file in secrets} == {"0o600"}


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("starting kube-apiserver\n", id="in the middle of its start"),
        pytest.param("up\n", id="when everything is up"),
    ],
)
def test_nothing_is_left_when_the_starter_is_killed(tmp_path: Path, programs: Path, moment: str) -> None:
    cluster = Cluster(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path), str(programs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout
        assert moment in iter(starter.stdout.readline, "")
        # Kept open, the locks of the pid files show the end of the processes even without the files.
        locks = [os.open(process.pid_file, os.O_RDONLY) for process in cluster.layout.processes()]
        starter.kill()

    assert locks
    assert wait_until(lambda: not any(is_locked(lock) for lock in locks), seconds=60)
    assert wait_until(lambda: not cluster.kubeconfig.exists(), seconds=60)
    for lock in locks:
        os.close(lock)


def is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False
