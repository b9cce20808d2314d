"""How much memory operator and REST interface need for many waiting trials, beside the bytes of a bare list.

A control plane of its own on free ports; operator and sidecar are the processes that `make up` starts. The
trials use a TrialPlan, as those that REST schedules, or with `--size` an inline plan of so many bytes. Prints
for each number of trials the size of the bare list of them, the memory of each process at rest, and the most
that it had; then what one more trial takes, as a multiple of its bytes in the list. Linux only: it reads
/proc.

Run it as `python benchmarks/sizing.py`.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from bare import TRIALS_PATH, Caller, Ground, at_once, ground, start_time
from devcluster.cluster.components import OPERATOR
from devcluster.cluster.services import REST
from devcluster.programs.kubernetes import find_programs

COUNTS = (100, 1000, 5000, 10_000)
PLANS_PATH = TRIALS_PATH.replace("trials", "trialplans")
PLAN = {
    "apiVersion": "lcm.5gdrones.eu/v1alpha1",
    "kind": "TrialPlan",
    "metadata": {"name": "flight"},
    "spec": {"activities": [{"name": "fly", "sleep": {"seconds": 3600}}]},
}
REST_SECONDS = 20
PATIENCE = 1800


class Weight(NamedTuple):
    """MiB: the bare list, and of each process the memory at rest and at most."""

    trials: int
    listed: float
    operator: float
    operator_peak: float
    sidecar: float
    sidecar_peak: float


def trial(number: int, size: int) -> dict[str, Any]:
    """Return a Trial with an inline plan of so many bytes, or with a TrialPlan if that is 0."""
    step = {"method": "POST", "url": "http://enforcement/slices", "json": {"text": "x" * 300}}
    inline = {"activities": [{"name": f"step-{one}", "http": step} for one in range(size // 400)]}
    return {
        "apiVersion": "lcm.5gdrones.eu/v1alpha1",
        "kind": "Trial",
        "metadata": {"name": f"ahead-{number}"},
        "spec": {"startTime": start_time(number), **(inline if size else {"planRef": {"name": "flight"}})},
    }


def listed(api: Caller) -> tuple[int, int]:
    """Return how many trials are Scheduled, and the bytes of the list of all."""
    scheduled, size, more = 0, 0, ""
    while True:
        page = api.call("GET", f"{TRIALS_PATH}?limit=500{more}")
        found = json.loads(page)
        size += len(page)
        scheduled += sum(each.get("status", {}).get("phase") == "Scheduled" for each in found["items"])
        if not found["metadata"].get("continue"):
            return scheduled, size
        more = f"&continue={found['metadata']['continue']}"


def weigh(place: Ground, count: int) -> Weight:
    """Wait until all are scheduled and the processes are at rest."""
    api, end = place.api(), time.monotonic() + PATIENCE
    while (now := listed(api))[0] < count:
        if time.monotonic() > end:
            raise RuntimeError(f"{now[0]} of {count} trials were scheduled in {PATIENCE} s")
        time.sleep(2)
    api.close()
    time.sleep(REST_SECONDS)
    memory = [place.memory(one, field) for one in (OPERATOR, REST) for field in ("VmRSS", "VmHWM")]
    return Weight(count, now[1] / 2**20, *memory)


def measure(counts: Sequence[int], size: int) -> list[Weight]:
    """Add trials step by step, and weigh after each."""
    found: list[Weight] = []
    with ground(find_programs(print)) as place:
        place.start(OPERATOR)
        place.start(REST)
        api = place.api()
        api.call("POST", PLANS_PATH, PLAN)
        for before, count in zip((0, *counts), counts, strict=False):
            names = range(before, count)
            at_once(place.api, 8, names, lambda api, one: api.call("POST", TRIALS_PATH, trial(one, size)))
            found.append(weigh(place, count))
            sys.stdout.write("{:>7}{:>9.1f}{:>11.0f}{:>8.0f}{:>11.0f}{:>8.0f}\n".format(*found[-1]))
            sys.stdout.flush()
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--size", type=int, default=0, help="bytes of an inline plan (default: a TrialPlan)")
    wanted = parser.parse_args()
    sys.stdout.write(f"{'trials':>7}{'list':>9}{'operator':>11}{'most':>8}{'sidecar':>11}{'most, MiB':>8}\n")
    found = measure(wanted.counts, wanted.size)
    first, last = found[0], found[-1]
    floor = (last.listed - first.listed) / (last.trials - first.trials)
    for what, more in (
        ("operator", last.operator - first.operator),
        ("sidecar", last.sidecar - first.sidecar),
    ):
        each = more / (last.trials - first.trials)
        sys.stdout.write(
            f"{what}: {1024 * each:.1f} KiB a trial, {each / floor:.2f} times its {1024 * floor:.1f} KiB\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
