"""What benchmarks of the operator run on: a control plane of its own without a node, and a bare client."""

import asyncio
import json
import socket
import ssl
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from checkouts import Operator, operator
from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import CONTROL_PLANE
from devcluster.cluster.guard import guarded
from devcluster.programs.kubernetes import find_programs

AT_ONCE = 48
TRIALS = "/apis/lcm.5gdrones.eu/v1alpha1/namespaces/default/trials"
ENGINES = "/apis/lcm.5gdrones.eu/v1alpha1/namespaces/default/trialengines"
PODS = "/api/v1/namespaces/default/pods"
PATIENCE = 1800


class Api:
    """A bare client of the API server."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    async def call(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        """Return the decoded answer. Raises RuntimeError if it is a refusal."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        async with self._session.request(
            method, self._server + path, data=content, headers=headers, params=params
        ) as answer:
            found = await answer.json()
            if not answer.ok:
                raise RuntimeError(f"{method} {path}: {found}")
            return found

    async def create(self, path: str, manifest: Mapping[str, Any]) -> float:
        """Create an object and return when (Unix time) that was acknowledged."""
        await self.call("POST", path, manifest)
        return time.time()

    async def create_all(self, path: str, manifests: Sequence[Mapping[str, Any]]) -> list[float]:
        """Create all, so many at a time."""
        few = asyncio.Semaphore(AT_ONCE)

        async def one(manifest: Mapping[str, Any]) -> float:
            async with few:
                return await self.create(path, manifest)

        return await asyncio.gather(*(one(manifest) for manifest in manifests))

    async def are_scheduled(self) -> bool:
        """Return whether all trials show that they are scheduled."""
        more: dict[str, str] = {}
        while True:
            page = await self.call("GET", TRIALS, limit="500", **more)
            if any(each.get("status", {}).get("phase") != "Scheduled" for each in page["items"]):
                return False
            if not page["metadata"].get("continue"):
                return True
            more = {"continue": page["metadata"]["continue"]}


class Ground:
    """A control plane, a client of it, and operators on it, one at a time."""

    def __init__(self, checkout: Path, cluster: Cluster, api: Api) -> None:
        self.api = api
        self._checkout = checkout
        self._cluster = cluster
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.health = f"127.0.0.1:{probe.getsockname()[1]}"

    @contextmanager
    def operator(self, **environment: str) -> Iterator[Operator]:
        """Run the operator."""
        kubeconfig = self._cluster.service_account_kubeconfig("default", "lcm-operator")
        variables = {"LCM_KUBECONFIG": str(kubeconfig), "LCM_HEALTH_ADDRESS": self.health, **environment}
        with operator(self._checkout, self._cluster.directory, variables) as process:
            try:
                yield process
            except BaseException:
                sys.stderr.write((self._cluster.directory / "operator.log").read_text()[-4000:])
                raise

    async def is_ready(self) -> bool:
        """Return whether the operator has read everything once."""
        return await asyncio.to_thread(self._answers)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.health}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)  # noqa: PLR2004
        except (urllib.error.URLError, OSError):
            return False


async def until(what: str, holds: Callable[[], Awaitable[bool]], pause: float = 1) -> None:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE
    while not await holds():
        if time.monotonic() > end:
            raise RuntimeError(f"in {PATIENCE} s it did not happen that {what}")
        await asyncio.sleep(pause)


@asynccontextmanager
async def ground(checkout: Path) -> AsyncIterator[Ground]:
    """Bring up a control plane with the manifests of a checkout, and take it down."""
    directory = Path(tempfile.mkdtemp(prefix="lcm-benchmark-"))
    cluster = Cluster(directory, manifests=checkout / "deploy")
    programs = find_programs(print)
    with guarded(cluster, remove=True):
        cluster.up(programs, CONTROL_PLANE)
        trust = ssl.create_default_context(cafile=str(cluster.ca_file))
        trust.load_cert_chain(cluster.layout.pki / "admin.crt", cluster.layout.pki / "admin.key")
        connector = aiohttp.TCPConnector(ssl=trust, limit=AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            yield Ground(checkout, cluster, Api(session, cluster.server))
