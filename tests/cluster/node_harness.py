"""Harness of the node's tests: the node as a process of its own, and pods as a user makes them.

The node runs with the rights of deploy/local/node-rbac.yaml and no others, as the cluster's component `node`,
so that the cluster's guardian ends it and its pods when the tests are killed.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import NODE
from devcluster.cluster.layout import REPOSITORY
from devcluster.node.reaping import reap
from devcluster.waiting import wait_until

DEADLINE = 60
NAME = "local"
LOOK = "tests.example/look"  # a finalizer: keeps a pod readable after the node has removed it
Pod = dict[str, Any]


class Node:
    """The node's process."""

    def __init__(self, cluster: Cluster) -> None:
        self._layout = cluster.layout
        self._process = cluster.layout.process(NODE)
        cluster.kubectl.apply([REPOSITORY / "deploy" / "local" / "node-rbac.yaml"])
        cluster.kubectl("create", "serviceaccount", "node-under-test", check=False)
        subject = "--serviceaccount=default:node-under-test"
        cluster.kubectl(
            *("create", "clusterrolebinding", "node-under-test", "--clusterrole=lcm-local-node", subject),
            check=False,
        )
        self._kubeconfig = cluster.service_account_kubeconfig("default", "node-under-test")

    @property
    def root(self) -> Path:
        return self._layout.node

    @property
    def logs(self) -> Path:
        return self._layout.log / "pods"

    def log_of(self, namespace: str, pod: str, container: str = "engine") -> str:
        file = self.logs / f"{namespace}_{pod}_{container}.log"
        return file.read_text() if file.exists() else ""

    @staticmethod
    def lives(pid: int) -> bool:
        return Path(f"/proc/{pid}").exists()

    def start(self) -> None:
        self._process.start(self._command(), {"PATH": os.environ["PATH"], "SECRET_OF_THE_NODE": "1"})

    def run_another(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call the program once more, on the same root."""
        command = [*self._command(), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)

    def _command(self) -> list[str]:
        paths = ("--kubeconfig", self._kubeconfig, "--root", self.root, "--log-dir", self.logs)
        return [sys.executable, "-m", "devcluster.node", *map(str, paths)]

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send(number)
        self._process.wait_ended(grace=10)


@contextlib.contextmanager
def running_node(cluster: Cluster) -> Iterator[Node]:
    """Yield a running node; no pod of it is left afterwards."""
    node = Node(cluster)
    node.start()
    try:
        yield node
    finally:
        node.end()
        reap(node.root, 0)


class Pods:
    """The pods of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.namespace = namespace
        self._url = f"{cluster.server}/api/v1/namespaces/{namespace}/pods"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(cluster.ca_file)
        pki = cluster.layout.pki
        self._session.cert = str(pki / "admin.crt"), str(pki / "admin.key")

    def close(self) -> None:
        self._session.close()

    def create(self, name: str, *command: str, metadata: Any = (), container: Any = (), **spec: Any) -> Pod:
        """Create a pod with one container `engine` that runs the command."""
        engine = {"name": "engine", "image": "none", "command": list(command), **dict(container)}
        body = {
            "metadata": {"name": name, **dict(metadata)},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 20,
                "containers": [engine],
                **spec,
            },
        }
        return self._done(self._session.post(self._url, json=body))

    def get(self, name: str) -> Pod | None:
        answer = self._session.get(f"{self._url}/{name}")
        return None if answer.status_code == requests.codes.not_found else self._done(answer)

    def all(self) -> list[Pod]:
        return self._done(self._session.get(self._url))["items"]

    def delete(self, name: str, grace: int | None = None) -> None:
        options = {} if grace is None else {"gracePeriodSeconds": grace}
        self._done(self._session.delete(f"{self._url}/{name}", json=options))

    def release(self, name: str) -> None:
        """Take our finalizer off."""
        self._done(
            self._session.patch(
                f"{self._url}/{name}",
                data=json.dumps({"metadata": {"finalizers": None}}),
                headers={"Content-Type": "application/merge-patch+json"},
            )
        )

    def wait(self, name: str, holds: Callable[[Pod], bool], *, seconds: float = DEADLINE) -> Pod:
        """Return the pod once it is as wanted."""
        seen: list[Pod | None] = [None]

        def as_wanted() -> bool:
            seen[0] = self.get(name)
            return seen[0] is not None and holds(seen[0])

        assert wait_until(as_wanted, seconds=seconds), f"{name} did not become so: {json.dumps(seen[0])}"
        assert seen[0] is not None
        return seen[0]

    def wait_phase(self, name: str, *phases: str, seconds: float = DEADLINE) -> Pod:
        return self.wait(name, lambda pod: pod["status"].get("phase") in phases, seconds=seconds)

    def wait_ended(self, name: str) -> Pod:
        return self.wait_phase(name, "Succeeded", "Failed")

    def wait_gone(self, name: str, *, seconds: float = DEADLINE) -> None:
        assert wait_until(lambda: self.get(name) is None, seconds=seconds), self.get(name)

    @staticmethod
    def _done(answer: requests.Response) -> Any:
        assert answer.ok, answer.text
        return answer.json()


def terminated(pod: Pod, container: int = 0) -> dict[str, Any]:
    """Return how a container of the pod ended."""
    return pod["status"]["containerStatuses"][container]["state"]["terminated"]


def conditions(pod: Pod) -> dict[str, str]:
    """Return the status of each condition."""
    return {item["type"]: item["status"] for item in pod["status"]["conditions"]}
