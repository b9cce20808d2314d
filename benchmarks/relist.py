"""The cost of a full re-list: the operator's memory, and how long its loop is blocked.

A control plane of its own on free ports, without a node, with many Trials that lie ahead. The operator lists
them when it starts, takes over, and lists them again after some seconds; meanwhile it is scraped. Memory
stands beside what it has before; a stall (one turn of the loop) beside the CPU time of it, as what else runs
on this machine stops the loop as well. Fails if a target is missed. Linux only: it reads /proc.

Run it as `python benchmarks/relist.py`; `--checkout` measures another version of the operator.
"""

import argparse
import asyncio
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from checkouts import HERE, Operator, Stall
from ground import TRIALS, ground, until

RELIST_SECONDS = 20
MOST_MEMORY = 1.3
MOST_MILLISECONDS = 50
AHEAD = datetime(2036, 7, 1, tzinfo=UTC)


class Row(NamedTuple):
    """One line of the report. `target`: whether it is met; None if there is none."""

    what: str
    floor: float
    ours: float
    met: bool | None = None


def trial(number: int, size: int) -> dict[str, Any]:
    """Return a Trial with a plan of so many bytes."""
    step = {"method": "POST", "url": "http://enforcement/slices", "json": {"text": "x" * 300}}
    steps = max(size // 400, 1)
    activities = [{"name": f"step-{step_number}", "http": step} for step_number in range(steps)]
    return {
        "apiVersion": "lcm.5gdrones.eu/v1alpha1",
        "kind": "Trial",
        "metadata": {"name": f"ahead-{number}"},
        "spec": {"startTime": (AHEAD + timedelta(minutes=number)).isoformat(), "activities": activities},
    }


def longest(stalls: list[Stall]) -> tuple[float, float]:
    """Return the milliseconds of the longest stall, and those of CPU time of the one with the most."""
    wall = max((stall.wall for stall in stalls), default=0.0)
    cpu = max((stall.cpu for stall in stalls), default=0.0)
    return 1000 * cpu, 1000 * wall


def stall_row(what: str, operator: Operator, since: float) -> Row:
    """Return the row of the longest stall since a moment, which is judged by its CPU time."""
    cpu, wall = longest(operator.stalls(since))
    return Row(f"longest stall {what}: of CPU, wall, ms", cpu, wall, cpu <= MOST_MILLISECONDS)


def scrape(address: str) -> float:
    """Return in how many milliseconds /metrics is answered."""
    began = time.perf_counter()
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        answer.read()
    return 1000 * (time.perf_counter() - began)


async def measure(checkout: Path, trials: int, size: int) -> list[Row]:
    """Fill the cluster, then start the operator anew and let it look at everything again."""
    rows = []
    async with ground(checkout) as place:
        await place.api.create_all(TRIALS, [trial(number, size) for number in range(trials)])
        with place.operator() as operator:
            began = time.time()
            await until("all trials are scheduled", place.api.are_scheduled)
            rows.append(stall_row("as all are written", operator, began))
        with place.operator(RELIST_SECONDS=str(RELIST_SECONDS)) as operator:
            began = time.time()
            await until("the operator is ready", place.is_ready, pause=0.2)
            await asyncio.sleep(RELIST_SECONDS / 2)
            peak, before = operator.memory("VmHWM"), operator.memory()
            rows.append(stall_row("at the first list and take-over", operator, began))
            rows.append(Row("first list: MiB after, at most", before, peak, peak <= MOST_MEMORY * before))
            await asyncio.sleep(RELIST_SECONDS)
            before, began = operator.memory(), time.time()
            operator.forget_peak()
            await asyncio.sleep(2 * RELIST_SECONDS)
            peak = operator.memory("VmHWM")
            rows.append(Row("re-list: MiB before, at most", before, peak, peak <= MOST_MEMORY * before))
            rows.append(stall_row("at a re-list", operator, began))
            began = time.time()
            took = max([await asyncio.to_thread(scrape, place.health) for _ in range(5)])
            await asyncio.sleep(1)
            rows.append(stall_row("at a scrape", operator, began))
            rows.append(Row("  the slowest of 5 scrapes, ms", 0.0, took))
    return rows


def lines(rows: list[Row]) -> Iterator[str]:
    """Return the report."""
    for row in rows:
        verdict = {None: "", True: "  met", False: "  MISSED"}[row.met]
        ratio = f"{row.ours / row.floor:8.2f}" if row.floor else ""
        yield f"{row.what:56}{row.floor:9.0f}{row.ours:9.0f}{ratio}{verdict}\n"


def main() -> int:
    """Measure, print each figure beside its floor, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkout", type=Path, default=HERE, help="whose operator (default: this one)")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=8000, help="bytes of each plan (default 8000)")
    wanted = parser.parse_args()
    rows = asyncio.run(measure(wanted.checkout.resolve(), wanted.trials, wanted.size))
    sys.stdout.writelines(lines(rows))
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
