"""How late trials start when many are due at one instant, beside bare pod creates in the same run.

A control plane of its own on free ports, without a node. Many trials lie ahead; in each round a bare client
creates as many pods as are due, then as many trials are due at one instant. Prints the 99th percentile of
both, from that instant to the acknowledged create, by round and as medians. Linux only: it reads /proc.

Run it as `python benchmarks/firing.py`; `--checkout` measures another version of the operator.
"""

import argparse
import asyncio
import json
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from checkouts import HERE, Operator, operator, use
from lcm_operator.local.cluster import Cluster
from lcm_operator.local.components import CONTROL_PLANE
from lcm_operator.local.guard import guarded
from lcm_operator.local.programs import find_programs

AT_ONCE = 48
GROUP = "/apis/lcm.5gdrones.eu/v1alpha1/namespaces/default"
PODS = "/api/v1/namespaces/default/pods"
# Trials are armed from 60 s before their start on, by a few requests each, after they were created.
ARM_SECONDS, ARM_PER_CREATE = 80, 15
PATIENCE = 600
POD = {
    "metadata": {"labels": {"example": "bare"}},
    "spec": {
        "restartPolicy": "Never",
        "serviceAccountName": "lcm-engine",
        "containers": [
            {
                "name": "engine",
                "image": "lcm-operator:local",
                "env": [{"name": f"VARIABLE_{number}", "value": "value"} for number in range(8)],
                "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}


class Round(NamedTuple):
    """Milliseconds from the instant to the acknowledged create: medians and 99th percentiles."""

    floor: float
    ours: float
    floor_median: float
    ours_median: float


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

    async def create(self, path: str, manifest: dict[str, Any]) -> float:
        """Create an object and return when (Unix time) that was acknowledged."""
        await self.call("POST", path, manifest)
        return time.time()

    async def create_all(self, path: str, manifests: Sequence[dict[str, Any]]) -> list[float]:
        """Create all, so many at a time."""
        few = asyncio.Semaphore(AT_ONCE)

        async def one(manifest: dict[str, Any]) -> float:
            async with few:
                return await self.create(path, manifest)

        return await asyncio.gather(*(one(manifest) for manifest in manifests))


def trial(name: str, start: datetime, **labels: str) -> dict[str, Any]:
    """Return a Trial."""
    return {
        "apiVersion": "lcm.5gdrones.eu/v1alpha1",
        "kind": "Trial",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "startTime": start.isoformat(),
            "activities": [{"name": "nap", "sleep": {"seconds": 3600}}],
        },
    }


async def until(what: str, holds: Callable[[], Any]) -> None:
    """Wait until `holds` yields something true."""
    end = time.monotonic() + PATIENCE
    while not await holds():
        if time.monotonic() > end:
            raise RuntimeError(f"in {PATIENCE} s it did not happen that {what}")
        await asyncio.sleep(1)


async def bare(api: Api, count: int, number: int) -> list[float]:
    """Create so many pods at one instant; return by how many milliseconds each was late."""
    manifests = [
        POD | {"metadata": {"name": f"bare-{number}-{one}", "labels": {"example": "bare"}}}
        for one in range(count)
    ]
    began = time.time()
    acknowledged = await api.create_all(PODS, manifests)
    await api.call("DELETE", PODS, labelSelector="example=bare", gracePeriodSeconds="0")
    return [1000 * (moment - began) for moment in acknowledged]


async def fire(api: Api, count: int, number: int, ahead: float) -> list[float]:
    """Have so many trials due at one instant; return by how many milliseconds each was late."""
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=int(ahead))
    trials, label = f"{GROUP}/trials", str(number)
    await api.create_all(trials, [trial(f"due-{number}-{one}", start, example=label) for one in range(count)])

    async def seen() -> list[dict[str, Any]]:
        found = await api.call("GET", trials, resourceVersion="0", labelSelector=f"example={label}")
        return [each.get("status", {}) for each in found["items"]]

    async def all_started() -> bool:
        return all("startLagMilliseconds" in status for status in await seen())

    async def all_gone() -> bool:
        return not (await api.call("GET", f"{GROUP}/trialengines", limit="1"))["items"]

    async def all_armed() -> bool:
        armed = sum(status.get("phase") == "Armed" for status in await seen())
        if datetime.now(UTC) > start - timedelta(seconds=1.5):
            sys.stdout.write(f"this machine is too slow: {armed} of {count} were armed in time\n")
            return True
        return armed == count

    await until("all trials are armed", all_armed)
    await asyncio.sleep(max((start - datetime.now(UTC)).total_seconds(), 0) + 2)
    await until("all trials are started", all_started)
    lags = [float(status["startLagMilliseconds"]) for status in await seen()]
    await api.call("DELETE", trials, labelSelector=f"example={label}")
    await until("the trials and their engines are gone", all_gone)
    return lags


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100)[98]


async def measure(server: str, trust: ssl.SSLContext, pending: int, due: int, rounds: int) -> list[Round]:
    """Fill the cluster, then take turns."""
    connector = aiohttp.TCPConnector(ssl=trust, limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:
        api = Api(session, server)
        ahead = datetime(2036, 7, 1, tzinfo=UTC)
        names = [f"ahead-{number}" for number in range(pending)]
        await api.create_all(
            f"{GROUP}/trials",
            [trial(name, ahead + timedelta(minutes=number)) for number, name in enumerate(names)],
        )

        async def all_known() -> bool:
            found = await api.call("GET", f"{GROUP}/trials", resourceVersion="0")
            return all(each.get("status", {}).get("phase") == "Scheduled" for each in found["items"])

        await until("all trials are scheduled", all_known)
        await bare(api, due, 0)  # connections and caches are warm from here on
        found = []
        for number in range(1, rounds + 1):
            floor = await bare(api, due, number)
            ours = await fire(api, due, number, ARM_SECONDS + ARM_PER_CREATE * max(floor) / 1000)
            found.append(Round(p99(floor), p99(ours), statistics.median(floor), statistics.median(ours)))
            show(str(number), found[-1])
        return found


def show(what: str, each: Round) -> None:
    """Print one line."""
    sys.stdout.write(
        f"{what:>8}{each.floor_median:10.0f}{each.floor:10.0f}{each.ours_median:10.0f}{each.ours:10.0f}"
        f"{each.ours / each.floor:8.2f}\n"
    )
    sys.stdout.flush()


@contextmanager
def running() -> Iterator[tuple[str, ssl.SSLContext, Operator]]:
    """Bring up a control plane and the operator, and take them down."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="lcm-benchmark-")))
    programs = find_programs(print)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with guarded(cluster, remove=True):
        cluster.up(programs, CONTROL_PLANE)
        trust = ssl.create_default_context(cafile=str(cluster.ca_file))
        trust.load_cert_chain(cluster.layout.pki / "admin.crt", cluster.layout.pki / "admin.key")
        kubeconfig = cluster.service_account_kubeconfig("default", "lcm-operator")
        variables = {"LCM_KUBECONFIG": str(kubeconfig), "LCM_HEALTH_ADDRESS": address}
        with operator(cluster.directory, variables) as process:
            yield cluster.server, trust, process


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkout", type=Path, default=HERE, help="whose operator (default: this one)")
    parser.add_argument("--pending", type=int, default=10_000)
    parser.add_argument("--due", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    use(wanted.checkout)
    sys.stdout.write(
        f"{'round':>8}{'floor p50':>10}{'p99, ms':>10}{'ours p50':>10}{'p99, ms':>10}{'ratio':>8}\n"
    )
    with running() as (server, trust, process):
        rounds = asyncio.run(measure(server, trust, wanted.pending, wanted.due, wanted.rounds))
        show("medians", Round(*map(statistics.median, zip(*rounds, strict=True))))
        worst = max((stall.wall for stall in process.stalls()), default=0.0)
        worst_cpu = max((stall.cpu for stall in process.stalls()), default=0.0)
        sys.stdout.write(
            f"longest stall of the loop: {1000 * worst:.0f} ms, of CPU {1000 * worst_cpu:.0f} ms\n"
        )
        sys.stdout.write(f"memory: {process.memory():.0f} MiB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
