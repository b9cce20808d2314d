"""The local cluster: its parts may die, and what is started goes when its starter does."""

import signal
from pathlib import Path

from lcm_operator.local.cluster import Cluster
from lcm_operator.local.components import API_SERVER, CONTROL_PLANE, ETCD


def test_everything_that_was_applied_survives_the_death_of_etcd_and_the_api_server(
    cluster: Cluster, namespace: str, programs: Path
) -> None:
    before = {name: cluster.layout.process(name).pid() for name in CONTROL_PLANE}
    cluster.kubectl("create", "configmap", "memory", "--from-literal=a=b", f"--namespace={namespace}")

    cluster.stop(ETCD, signal.SIGKILL)
    cluster.stop(API_SERVER, signal.SIGKILL)
    started = cluster.up(programs, CONTROL_PLANE)

    after = {name: cluster.layout.process(name).pid() for name in CONTROL_PLANE}
    assert started == [ETCD, API_SERVER]
    assert {name for name in CONTROL_PLANE if before[name] == after[name]} == {"kube-controller-manager"}
    assert cluster.kubectl.get("configmap", "memory", f"--namespace={namespace}")["data"] == {"a": "b"}
