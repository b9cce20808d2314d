"""How fast the REST sidecar and the trial registry are, beside what the API server itself allows.

A control plane of its own on free ports; the sidecar, the operator and the dummy registry are the processes
that `make up` starts. Each figure has its floor beside it, from the same run: bare creates and a bare
list of the same objects. Fails if a target is missed. Linux only: it reads /proc.

Run it as `python benchmarks/rest.py`.
"""

import argparse
import ast
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bare import TRIALS_PATH, Caller, Ground, Row, at_once, create, ground, start_time
from devcluster.cluster.components import OPERATOR
from devcluster.cluster.services import REST
from devcluster.programs.kubernetes import find_programs
from devcluster.waiting import wait_until
from pulls import importing, reading

POSTS = 500
TURN = 50
TRIALS = 10_000
LOOKS = 51
SHARE_OF_RAW = 0.5
STATUS_MILLISECONDS = 100
SIDECAR_MEBIBYTES = 150


def schedule(caller: Caller, name: str) -> None:
    """Schedule an ID as legacy callers do."""
    start = start_time(int(name.rpartition("-")[2]))
    caller.call("POST", "/debug/schedule-trial", {"trial_id": name, "start_time": start})


def scheduled(caller: Caller) -> list[str]:
    """Return the IDs that /status lists, in its order."""
    page = json.loads(caller.call("GET", "/status"))
    return [entry["id"] for entry in ast.literal_eval(page["scheduled_trials"])]


def posting(on: Ground, connections: int) -> Row:
    """Schedule by REST and create barely, by turns."""
    seconds = {"raw": 0.0, "post": 0.0}
    for turn in range(0, POSTS, TURN):
        for kind, make, do in (("raw", on.api, create), ("post", on.rest, schedule)):
            names = [f"{kind}-{connections}-{number}" for number in range(turn, turn + TURN)]
            seconds[kind] += at_once(make, connections, names, do)
    rest = on.rest()
    shown = [name for name in scheduled(rest) if name.startswith(f"post-{connections}-")]
    rest.close()
    in_order = shown == [f"post-{connections}-{number}" for number in range(POSTS)]
    ratio = seconds["raw"] / seconds["post"]
    return Row(
        f"{POSTS} schedulings, {connections} at a time, per s",
        f"{POSTS / seconds['raw']:.0f}",
        f"{POSTS / seconds['post']:.0f}",
        ratio,
        in_order and ratio >= SHARE_OF_RAW,
    )


def looking(on: Ground) -> list[Row]:
    """Ask for /status with all the trials there, and list them barely."""
    api, rest = on.api(), on.rest()
    missing = TRIALS - len(scheduled(rest))
    at_once(on.api, 8, [f"more-{number}" for number in range(missing)], create)
    if not wait_until(lambda: len(scheduled(rest)) == TRIALS, seconds=60):
        raise RuntimeError("/status does not list all trials")

    def ask(before: Callable[[int], object]) -> float:
        times = []
        for number in range(LOOKS):
            before(number)
            began = time.perf_counter()
            rest.call("GET", "/status")
            times.append(1000 * (time.perf_counter() - began))
        return statistics.median(times)

    listing = []
    for _ in range(5):
        began = time.perf_counter()
        api.call("GET", TRIALS_PATH)
        listing.append(1000 * (time.perf_counter() - began))
    floor = statistics.median(listing)
    same = ask(lambda _: None)
    changed = ask(lambda number: schedule(rest, f"late-{number}"))
    memory = on.memory(REST)
    return [
        Row(
            f"/status, {TRIALS} trials, ms",
            f"{floor:.0f}",
            f"{same:.1f}",
            same / floor,
            same < STATUS_MILLISECONDS,
        ),
        Row(
            "  after a change each, ms",
            f"{floor:.0f}",
            f"{changed:.1f}",
            changed / floor,
            changed < STATUS_MILLISECONDS,
        ),
        Row("  the sidecar, MiB", "", f"{memory:.0f}", met=memory < SIDECAR_MEBIBYTES),
    ]


def of_rest(programs: Path) -> Iterator[Row]:
    """Measure the sidecar."""
    with ground(programs) as on:
        on.start(REST)
        yield posting(on, 1)
        yield posting(on, 16)
        yield from looking(on)


def of_registry(programs: Path) -> Iterator[Row]:
    """Measure the operator's pulls."""
    with ground(programs) as on:
        on.start(OPERATOR)
        yield from reading(on)
        yield from importing(on)


PARTS = {"rest": of_rest, "registry": of_registry}


def main() -> int:
    """Measure, print each figure beside its floor, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what is measured (default: all)")
    parts = parser.parse_args().parts or [*PARTS]
    programs = find_programs(print)
    sys.stdout.write(f"{'':44}{'floor':>9}{'ours':>9}{'ratio':>8}\n")
    met = True
    for part in parts:
        for row in PARTS[part](programs):
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            verdict = {None: "", True: "  met", False: "  MISSED"}[row.met]
            sys.stdout.write(f"{row.what:44}{row.floor:>9}{row.ours:>9}{ratio:>8}{verdict}\n")
            sys.stdout.flush()
            met = met and row.met is not False
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
