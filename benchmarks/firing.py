"""How late trials start when many are due at one instant, beside bare pod creates in the same run.

A control plane of its own on free ports, without a node. Many trials lie ahead; in each round a bare client
creates as many pods as are due, then as many trials are due at one instant. Prints the 99th percentile of
both, from that instant to the acknowledged create, by round and as medians. Linux only: it reads /proc.

Run it as `python benchmarks/firing.py`; `--checkout` measures another version of the operator.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from checkouts import HERE
from ground import ENGINES, PODS, TRIALS, Api, ground, until

# Trials are armed from 60 s before their start on, by a few requests each, after they were created.
ARM_SECONDS, ARM_PER_CREATE = 80, 15
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
    label = str(number)
    await api.create_all(TRIALS, [trial(f"due-{number}-{one}", start, example=label) for one in range(count)])

    async def seen() -> list[dict[str, Any]]:
        found = await api.call("GET", TRIALS, resourceVersion="0", labelSelector=f"example={label}")
        return [each.get("status", {}) for each in found["items"]]

    async def all_started() -> bool:
        return all("startLagMilliseconds" in status for status in await seen())

    async def all_gone() -> bool:
        return not (await api.call("GET", ENGINES, limit="1"))["items"]

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
    await api.call("DELETE", TRIALS, labelSelector=f"example={label}")
    await until("the trials and their engines are gone", all_gone)
    return lags


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(values, n=100)[98]


async def measure(checkout: Path, pending: int, due: int, rounds: int) -> None:
    """Fill the cluster, then take turns; print each round."""
    ahead, found = datetime(2036, 7, 1, tzinfo=UTC), []
    async with ground(checkout) as place:
        with place.operator() as process:
            manifests = [
                trial(f"ahead-{number}", ahead + timedelta(minutes=number)) for number in range(pending)
            ]
            await place.api.create_all(TRIALS, manifests)
            await until("all trials are scheduled", place.api.are_scheduled)
            await bare(place.api, due, 0)  # connections and caches are warm from here on
            for number in range(1, rounds + 1):
                floor = await bare(place.api, due, number)
                ours = await fire(place.api, due, number, ARM_SECONDS + ARM_PER_CREATE * max(floor) / 1000)
                found.append(Round(p99(floor), p99(ours), statistics.median(floor), statistics.median(ours)))
                show(str(number), found[-1])
            show("medians", Round(*map(statistics.median, zip(*found, strict=True))))
            worst = max((stall.wall for stall in process.stalls()), default=0.0)
            worst_cpu = max((stall.cpu for stall in process.stalls()), default=0.0)
            sys.stdout.write(
                f"longest stall of the loop: {1000 * worst:.0f} ms, of CPU {1000 * worst_cpu:.0f} ms\n"
                f"memory: {process.memory():.0f} MiB\n"
            )


def show(what: str, each: Round) -> None:
    """Print one line."""
    sys.stdout.write(
        f"{what:>8}{each.floor_median:10.0f}{each.floor:10.0f}{each.ours_median:10.0f}{each.ours:10.0f}"
        f"{each.ours / each.floor:8.2f}\n"
    )
    sys.stdout.flush()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkout", type=Path, default=HERE, help="whose operator (default: this one)")
    parser.add_argument("--pending", type=int, default=10_000)
    parser.add_argument("--due", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    sys.stdout.write(
        f"{'round':>8}{'floor p50':>10}{'p99, ms':>10}{'ours p50':>10}{'p99, ms':>10}{'ratio':>8}\n"
    )
    asyncio.run(measure(wanted.checkout.resolve(), wanted.pending, wanted.due, wanted.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
