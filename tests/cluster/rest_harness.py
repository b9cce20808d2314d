"""Harness of the REST tests: the sidecar as a process of its own, and clients that know only HTTP.

`Caller` has all of it in one namespace. `Sidecar` runs as the ServiceAccount lcm-rest of a test's namespace,
with the rights of deploy/rbac/rest.yaml there. `Registry` is a trial registry that answers what the test
wants. Paths go out as they are given: no client library gets to normalise them.
"""

import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any

import yaml
from pykube.objects import NamespacedAPIObject
from tests.cluster.loopback import LoopbackServer
from tests.cluster.operator_harness import DEADLINE, GROUP, OperatorHarness

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.layout import REPOSITORY
from devcluster.waiting import wait_until

KEY = "key-of-the-tests"
FAR = "2031-07-01T10:00:00+02:00"
TRIGGER = "date[2031-07-01 11:00:00 EEST]"
"""FAR as a caller's /status shows it."""
LEVELS = ("0.1.1", "1.0.2")
NOT_NAMESPACED = ("ClusterRole", "ClusterRoleBinding")


class TrialRegistry(NamespacedAPIObject):
    version = f"{GROUP}/v1alpha1"
    endpoint = "trialregistries"
    kind = "TrialRegistry"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def permit(cluster: Cluster, namespace: str) -> None:
    """Give the sidecar's account its rights in a namespace, as deploy/rbac/rest.yaml does in `default`."""
    documents = list(yaml.safe_load_all((REPOSITORY / "deploy/rbac/rest.yaml").read_text()))
    for document in documents:
        if document["kind"] not in NOT_NAMESPACED:
            document["metadata"]["namespace"] = namespace
        if document["kind"] == "ClusterRoleBinding":
            document["metadata"]["name"] += f"-{namespace}"
        for subject in document.get("subjects", []):
            subject["namespace"] = namespace
    cluster.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(documents))


class Reply:
    """One answer: status, headers and what the body says."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def said(self) -> tuple[int, Any]:
        """The status, and what `message` or `detail` says, else the whole body."""
        body = self.json
        return self.status, body.get("detail", body.get("message", body)) if len(body) == 1 else body


class Sidecar:
    """One sidecar for one namespace."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path, **variables: str) -> None:
        self.port = free_port()
        self.metrics_port = free_port()
        self._folder = folder
        keys = folder / "api-keys"
        if not keys.exists():
            keys.write_text(hashed(KEY))
        self._environment = {
            **os.environ,
            "LCM_KUBECONFIG": str(cluster.service_account_kubeconfig(namespace, "lcm-rest")),
            "LCM_NAMESPACE": namespace,
            "LCM_REST_ADDRESS": f"127.0.0.1:{self.port}",
            "LCM_METRICS_ADDRESS": f"127.0.0.1:{self.metrics_port}",
            "LCM_API_KEYS_FILE": str(keys),
            **variables,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self._folder / "rest.log").read_text()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with (self._folder / "rest.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lcm_operator.rest"],
                env=self._environment,
                cwd="/",
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        assert wait_until(lambda: self._is_ready() or self.ended, seconds=DEADLINE), self.log
        assert not self.ended, self.log

    @property
    def ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _is_ready(self) -> bool:
        try:
            return self.call("GET", "/readyz").status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """End it by SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(DEADLINE)

    def stop(self) -> int:
        """End it by SIGTERM and return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(DEADLINE)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = KEY,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request; `body` is JSON, or bytes that go out as they are."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE + 30)
        try:
            content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            authorization = {"Authorization": key} if key is not None else {}
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in {**authorization, **(headers or {})}.items():
                connection.putheader(name, value)
            if content is not None:
                connection.putheader("Content-Length", str(len(content)))
            connection.endheaders(content)
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def schedule(self, trial_id: Any, start: Any) -> Reply:
        return self.call("POST", "/debug/schedule-trial", {"trial_id": trial_id, "start_time": start})

    def status(self) -> dict[str, Any]:
        body: dict[str, Any] = self.call("GET", "/status").json
        return body


def hashed(key: str, scope: str = "operate", name: str = "tests") -> str:
    """Return the line of the keys file for a key."""
    return f"{scope} {name} sha256:{hashlib.sha256(key.encode()).hexdigest()}\n"


@contextmanager
def sidecar(cluster: Cluster, namespace: str, folder: Path, **variables: str) -> Iterator[Sidecar]:
    """Run a sidecar for a namespace."""
    permit(cluster, namespace)
    running = Sidecar(cluster, namespace, folder, **variables)
    running.start()
    try:
        yield running
    finally:
        running.close()


class Registry(LoopbackServer):
    """A trial registry on loopback: `trials` is its list, `answer` overrules it by path: (status, body).

    `delays`: how many seconds it takes, by path; every path that has none by `delay`.
    """

    def __init__(self) -> None:
        self.trials: list[Any] = []
        self.answer: dict[str, tuple[int, bytes]] = {}
        self.delays: dict[str, float] = {}
        self.delay = 0.0
        self.asked: list[str] = []
        self.authorizations: list[str | None] = []
        super().__init__()

    def reply(self, path: str) -> tuple[int, bytes]:
        if path in self.answer:
            return self.answer[path]
        if path == "/trial/":
            return 200, json.dumps(self.trials).encode()
        wanted = path.removeprefix("/trial/").removesuffix("/")
        found = next((trial for trial in self.trials if str(trial.get("id")) == wanted), None)
        return (200, json.dumps(found).encode()) if found else (404, b'{"detail":"Not found."}')

    def respond(self, method: str, path: str, headers: Message, _: bytes) -> tuple[int, bytes]:
        if method != "GET":
            return 501, b""
        self.asked.append(path)
        self.authorizations.append(headers.get("Authorization"))
        time.sleep(self.delays.get(path, self.delay))
        return self.reply(path)


class Caller(OperatorHarness):
    """One namespace with operator, node, a registry and a sidecar, and the words of its level."""

    def __init__(self, cluster: Cluster, namespace: str, rest: Sidecar, registry: Registry, level: str):
        super().__init__(cluster, namespace)
        self.rest, self.registry, self.level = rest, registry, level
        self._given = 0

    def fresh_id(self, prefix: str = "trial") -> str:
        """Return an ID that no other test has."""
        self._given += 1
        return f"{prefix}-{self._given}"

    def scheduled(self) -> str:
        return str(self.rest.status()["scheduled_trials"])

    def engines_shown(self) -> str:
        return str(self.rest.status()["Executor_Engine_instances"])

    def word(self, status: str) -> str:
        return status.capitalize() if self.level == "1.0.2" else status

    def until_engine(self, trial_id: str, status: str) -> None:
        entry = f"{{'ID': {trial_id!r}, 'status': {self.word(status)!r}}}"
        self.wait(lambda: entry in self.engines_shown())
