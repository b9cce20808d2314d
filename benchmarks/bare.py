"""A control plane to be measured, bare clients of it, and the rows of a report."""

import http.client
import json
import ssl
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import CONTROL_PLANE
from devcluster.cluster.guard import guarded
from devcluster.cluster.services import REST

TRIALS_PATH = "/apis/lcm.5gdrones.eu/v1alpha1/namespaces/default/trials"


class Row(NamedTuple):
    """One line of the report. `target`: whether it is met; None if there is none."""

    what: str
    floor: str
    ours: str
    ratio: float | None = None
    met: bool | None = None


class Caller:
    """A bare client with one connection that it keeps."""

    def __init__(self, url: str, headers: dict[str, str], trust: ssl.SSLContext | None = None) -> None:
        place = urllib.parse.urlsplit(url)
        assert place.hostname is not None  # noqa: S101 - our own addresses
        self._headers = {"Content-Type": "application/json", **headers}
        self._connection = (
            http.client.HTTPSConnection(place.hostname, place.port, timeout=120, context=trust)
            if trust
            else http.client.HTTPConnection(place.hostname, place.port, timeout=120)
        )

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> bytes:
        """Return the body of the answer. Raises RuntimeError if it is a refusal."""
        sent = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, sent, {**self._headers, **headers})
        answer = self._connection.getresponse()
        content = answer.read()
        if not answer.status < http.client.MULTIPLE_CHOICES:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:200]!r}")
        return content

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Ground:
    """The control plane that is measured on, and clients of it."""

    def __init__(self, cluster: Cluster, programs: Path) -> None:
        self.cluster = cluster
        self._programs = programs
        self._trust = ssl.create_default_context(cafile=str(cluster.ca_file))
        self._trust.load_cert_chain(cluster.layout.pki / "admin.crt", cluster.layout.pki / "admin.key")

    def start(self, component: str) -> None:
        """Start one more component and wait until it is ready."""
        self.cluster.up(self._programs, (*CONTROL_PLANE, component))

    def api(self) -> Caller:
        """Return a client of the API server."""
        return Caller(self.cluster.server, {}, self._trust)

    def rest(self) -> Caller:
        """Return a client of the sidecar."""
        layout = self.cluster.layout
        key = layout.api_key.read_text().strip()
        return Caller(f"http://127.0.0.1:{layout.ports[REST]}", {"Authorization": key})

    def memory(self, component: str, field: str = "VmRSS") -> float:
        """Return the MiB that a component has in memory, or had at most (VmHWM)."""
        status = Path(f"/proc/{self.cluster.layout.process(component).pid()}/status").read_text()
        return int(status.partition(f"{field}:")[2].split()[0]) / 1024


@contextmanager
def ground(programs: Path) -> Iterator[Ground]:
    """Bring up a control plane, and take it down."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="lcm-benchmark-")))
    with guarded(cluster, remove=True):
        cluster.up(programs, CONTROL_PLANE)
        yield Ground(cluster, programs)


def at_once(
    make: Callable[[], Caller], count: int, work: Sequence[Any], do: Callable[[Caller, Any], Any]
) -> float:
    """Do all the work over so many connections, and return how many seconds that took."""
    callers = [make() for _ in range(count)]
    shares = [work[number::count] for number in range(count)]

    def one(caller: Caller, share: Sequence[Any]) -> None:
        for item in share:
            do(caller, item)

    with ThreadPoolExecutor(count) as threads:
        began = time.perf_counter()
        list(threads.map(one, callers, shares))
        took = time.perf_counter() - began
    for caller in callers:
        caller.close()
    return took


def start_time(number: int) -> str:
    """Return a start time far ahead: the larger the number, the later."""
    return f"2031-07-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"


def create(caller: Caller, name: str) -> None:
    """Create the Trial that a scheduling of this ID makes."""
    manifest = {
        "apiVersion": "lcm.5gdrones.eu/v1alpha1",
        "kind": "Trial",
        "metadata": {"name": name, "annotations": {}},
        "spec": {
            "trialID": name,
            "planRef": {"name": "default"},
            "startTime": start_time(int(name.rpartition("-")[2])),
        },
    }
    caller.call("POST", TRIALS_PATH, manifest)
