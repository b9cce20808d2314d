"""Harness of the engine tests: the test acts as operator, node and partner; the engine is the real process.

`EngineHarness` creates TrialEngines, grants and resets as the operator does, and starts engines as the
ServiceAccount lcm-engine. `Partner` is the server that activities call: it records every
request and answers as configured.
"""

import functools
import json
import os
import ssl
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kubernetes import client
from tests.cluster.crd_api import Api, administrator, engine

from devcluster.cluster.cluster import Cluster
from devcluster.waiting import wait_until
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import parse, serialise, status_patch
from lcm_operator.domain.checkpoint import RESTORE, restored

DEADLINE = 60
Reply = Callable[["Request"], int]


class Request:
    """One request as it came: `line` is its method and path."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.line = f"{handler.command} {handler.path}"
        self.headers = dict(handler.headers.items())
        self.key = self.headers.get("Idempotency-Key")
        content = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.json = json.loads(content) if content else None


class Partner:
    """A service on loopback.

    `answer` maps a path to a status or to a function of the request that returns one, `body` to JSON.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: dict[str, int | Reply] = {}
        self.body: dict[str, Any] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def lines(self) -> list[str]:
        return [request.line for request in self.requests]

    def keys(self, line: str) -> list[str | None]:
        return [request.key for request in self.requests if request.line == line]

    def secure(self, identity: ssl.SSLContext) -> None:
        """Serve by https from now on."""
        self._server.socket = identity.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        partner = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                request = Request(self)
                partner.requests.append(request)
                reply = partner.answer.get(self.path, 200)
                status = reply(request) if callable(reply) else reply
                content = json.dumps(partner.body.get(self.path, {"path": self.path})).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:  # the engine was killed meanwhile
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server names them

            def log_message(self, *_: Any) -> None:
                """Keep the test's output quiet."""

        return Handler


def pod_of(uid: str) -> str:
    """Return the name of the pod that an engine believes to be: each start is another pod."""
    return f"example-{uid[:8]}"


def as_user(user: int | None) -> list[str]:
    """Return the command that runs another one as a user with group 0, who may read any file and write none.

    The right to read stands for the modes of the image's files: here, Python is in a home directory.
    """
    if user is None:
        return []
    capabilities = [f"--{each}-caps=-all,+dac_read_search" for each in ("inh", "ambient")]
    return ["setpriv", f"--reuid={user}", "--regid=0", "--clear-groups", *capabilities]


class Engine:
    """One engine process and what it leaves."""

    def __init__(self, process: subprocess.Popen[bytes], uid: str, log: Path, last_message: Path) -> None:
        self.process = process
        self.uid = uid
        self.pod = pod_of(uid)
        self._log = log
        self._last_message = last_message

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def last_message(self) -> str:
        return self._last_message.read_text()

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition while this engine runs."""
        assert wait_until(lambda: bool(condition()) or self.ended, seconds=DEADLINE), self.log
        assert condition(), self.log

    def says(self, text: str) -> None:
        self.until(lambda: text in self.log)

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def exit_code(self) -> int:
        return self.process.wait(DEADLINE)


@functools.cache
def token(cluster: Cluster, namespace: str) -> str:
    """Return a token of the engines of a namespace."""
    return cluster.kubectl.token(namespace, "lcm-engine")


class EngineHarness:
    """One TrialEngine in a namespace of its own, or beside others."""

    def __init__(self, cluster, namespace: str, folder: Path, partner: Partner, name: str) -> None:
        self.cluster, self.namespace, self.partner, self.name = cluster, namespace, partner, name
        self.api = Api(cluster)
        self._folder = folder
        self._files = folder / "files"
        self._engines: list[Engine] = []
        self._leases = client.CoordinationV1Api(administrator(cluster.kubeconfig))
        self._token = token(cluster, namespace)
        self.server = cluster.server

    def create(self, *activities: dict[str, Any], **spec: Any) -> None:
        parameters = [{"name": "partner", "value": self.partner.url}, *spec.pop("parameters", [])]
        made = engine(self.name, activities=list(activities), parameters=parameters, **spec)
        self.api.admit(made, self.namespace, dry_run=False)

    def give_file(self, config_map: str, key: str, content: str) -> None:
        """Put a key of a ConfigMap where the node puts it into the pods of engines."""
        path = self._files / config_map / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    @property
    def object(self) -> dict[str, Any]:
        return self.api.get("TrialEngine", self.namespace, self.name)

    @property
    def states(self) -> dict[str, str]:
        return {a["name"]: a["state"] for a in self.object.get("status", {}).get("activities", [])}

    def activity(self, name: str) -> dict[str, Any]:
        return next(a for a in self.object["status"]["activities"] if a["name"] == name)

    def write(self, **status: Any) -> None:
        """Write as the operator does: by merge patch."""
        self.api.patch_status("TrialEngine", self.namespace, self.name, status)

    def give_lease(self, running: Engine) -> None:
        """Make the Lease in which an engine beats, as the operator does before the grant."""
        timeout = self.object["spec"]["engine"]["heartbeatTimeoutSeconds"]
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": running.pod},
            "spec": {"holderIdentity": running.uid, "leaseDurationSeconds": timeout},
        }
        self._leases.create_namespaced_lease(self.namespace, lease)

    def renewed(self, running: Engine) -> datetime | None:
        """Return when an engine beat last."""
        lease = self._leases.read_namespaced_lease(running.pod, self.namespace)
        moment: datetime | None = lease.spec.renew_time
        return moment

    def grant(self, running: Engine, *, attempt: int = 1, delay: float = 0, lease: bool = True) -> None:
        if lease:
            self.give_lease(running)
        moment = (datetime.now(UTC) + timedelta(seconds=delay)).isoformat()
        self.write(
            attempt=attempt,
            podRef={"name": f"{self.name}-{attempt}", "uid": running.uid, "notBefore": moment},
        )

    def reset(self) -> None:
        """Prepare a restore from the latest checkpoint, in one write, as the operator does."""
        old = parse(self.object, TrialEngine)
        new = restored(old, RESTORE, datetime.now(UTC), ending=None)
        patch = status_patch(old.metadata.resource_version, serialise(old.status), serialise(new))
        self.api.edit_status("TrialEngine", self.namespace, self.name, patch)

    def start(
        self,
        *,
        server: str | None = None,
        user: int | None = None,
        authority: Path | None = None,
        **environment: str,
    ) -> Engine:
        """Start an engine process with a pod's environment and identity, as `user` with group 0 if given."""
        uid = str(uuid.uuid4())
        folder = self._folder / uid
        folder.mkdir()
        (folder / "token").write_text(self._token)
        (folder / "namespace").write_text(self.namespace)
        (folder / "ca.crt").write_bytes((authority or self.cluster.ca_file).read_bytes())
        if user is not None:
            os.chown(folder, user, 0)
        host, port = (server or self.server).removeprefix("https://").split(":")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*as_user(user), sys.executable, "-m", "lcm_operator.engine"],
                env={
                    "PATH": os.environ["PATH"],
                    "TMPDIR": str(folder),
                    "LCM_FILES_DIRECTORY": str(self._files),
                    "KUBERNETES_SERVICE_HOST": host,
                    "KUBERNETES_SERVICE_PORT": port,
                    "LCM_TRIAL_ENGINE": self.name,
                    "LCM_POD_NAME": pod_of(uid),
                    "LCM_POD_UID": uid,
                    "LCM_SERVICE_ACCOUNT_DIRECTORY": str(folder),
                    "LCM_TERMINATION_LOG": str(folder / "last-message"),
                    **environment,
                },
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        engine_process = Engine(process, uid, folder / "log", folder / "last-message")
        self._engines.append(engine_process)
        return engine_process

    def run(self, *, attempt: int = 1, **environment: str) -> Engine:
        """Start an engine and grant it."""
        started = self.start(**environment)
        self.grant(started, attempt=attempt)
        return started

    def close(self) -> None:
        for started in self._engines:
            started.process.kill()
            started.process.wait()


@contextmanager
def acting(cluster, namespace: str, folder: Path, name: str = "example") -> Iterator[EngineHarness]:
    """Yield a harness with a running partner; close both afterwards."""
    partner = Partner()
    harness = EngineHarness(cluster, namespace, folder, partner, name)
    try:
        yield harness
    finally:
        harness.close()
        partner.close()


def http(name: str, **more: Any) -> dict[str, Any]:
    """Return an activity that posts to the partner's path of its own name."""
    request = {"method": "POST", "url": "{{ parameters.partner }}/" + name} | more.pop("http", {})
    return {"name": name, "http": request} | more
