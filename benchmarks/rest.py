"""How fast the REST sidecar and the trial registry are, beside what the API server itself allows.

A control plane of its own on free ports; the sidecar, the operator and the dummy registry are the processes
that `make up` starts. Each figure stands beside its floor, measured in the same run: bare creates and a bare
list of the same objects. Fails if a target is missed. Linux only: it reads /proc.

Run it as `python benchmarks/rest.py`.
"""

import argparse
import ast
import http.client
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.components import CONTROL_PLANE, OPERATOR
from devcluster.cluster.guard import guarded
from devcluster.cluster.services import REST
from devcluster.programs.kubernetes import find_programs
from devcluster.waiting import wait_until

POSTS = 500
TURN = 50
TRIALS = 10_000
ENTRIES = 50_000
LOOKS = 51
SHARE_OF_RAW = 0.5
STATUS_MILLISECONDS = 100
SIDECAR_MEBIBYTES = 150
PATIENCE = 900
TRIALS_PATH = "/apis/lcm.5gdrones.eu/v1alpha1/namespaces/default/trials"
REGISTRIES_PATH = "/apis/lcm.5gdrones.eu/v1alpha1/namespaces/default/trialregistries"
OPERATOR_USER = "system:serviceaccount:default:lcm-operator"


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
        content = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, content, {**self._headers, **headers})
        answer = self._connection.getresponse()
        told = answer.read()
        if not answer.status < http.client.MULTIPLE_CHOICES:
            raise RuntimeError(f"{method} {path}: {answer.status} {told[:200]!r}")
        return told

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


@contextmanager
def registry(count: int) -> Iterator[str]:
    """Run the dummy registry with so many trials ahead, and yield its URL once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        seed = Path(folder) / "seed.json"
        seed.write_text(
            json.dumps(
                [{"id": f"told-{n}", "start_time": start_time(n), "facility": "EUR"} for n in range(count)]
            )
        )
        variables = {"LCM_REGISTRY_ADDRESS": address, "LCM_REGISTRY_SEED": str(seed)}
        command = [sys.executable, "-m", "dummies.registry"]
        with subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.DEVNULL) as process:
            try:
                if not wait_until(lambda: listing_seconds(f"http://{address}") is not None, seconds=60):
                    raise RuntimeError("the dummy registry does not answer")
                yield f"http://{address}"
            finally:
                process.kill()


def listing_seconds(url: str) -> float | None:
    """Return in how many seconds a registry's list is read and decoded; None if nobody answers."""
    began = time.perf_counter()
    caller = Caller(url, {})
    try:
        json.loads(caller.call("GET", "/trial/"))
    except OSError:
        return None
    finally:
        caller.close()
    return time.perf_counter() - began


class Registry:
    """A TrialRegistry that is asked only when it is told to."""

    def __init__(self, on: Ground, name: str, url: str, **spec: Any) -> None:
        self._api = on.api()
        self._path = f"{REGISTRIES_PATH}/{name}"
        template = {"activities": [{"name": "nap", "sleep": {"seconds": 1}}]}
        manifest = {
            "apiVersion": "lcm.5gdrones.eu/v1alpha1",
            "kind": "TrialRegistry",
            "metadata": {"name": name},
            "spec": {"url": url, "intervalSeconds": 86400, "trialTemplate": template, **spec},
        }
        began = time.perf_counter()
        self._api.call("POST", REGISTRIES_PATH, manifest)
        self._until(lambda status: "lastSyncTime" in status)
        self.first_pull = time.perf_counter() - began

    def pull(self) -> float:
        """Have the registry asked once more, and return how many seconds it took until the status said so."""
        request = uuid.uuid4().hex
        patch = {"metadata": {"annotations": {"lcm.5gdrones.eu/sync": request}}}
        began = time.perf_counter()
        self._api.call("PATCH", self._path, patch, **{"Content-Type": "application/merge-patch+json"})
        self._until(lambda status: status.get("lastHandledSync", {}).get("id") == request)
        return time.perf_counter() - began

    def _until(self, holds: Callable[[dict[str, Any]], bool]) -> None:
        def seen() -> bool:
            return holds(json.loads(self._api.call("GET", self._path)).get("status", {}))

        if not wait_until(seen, seconds=PATIENCE):
            raise RuntimeError(f"{self._path} was not asked in time")


def trials_there(on: Ground) -> list[dict[str, Any]]:
    """Return all Trials."""
    api = on.api()
    items: list[dict[str, Any]] = json.loads(api.call("GET", TRIALS_PATH))["items"]
    api.close()
    return items


def trials_written(on: Ground) -> int:
    """Return how often the operator has written a Trial, by the audit log."""
    return sum(
        event["user"]["username"] == OPERATOR_USER
        and event["objectRef"].get("resource") == "trials"
        and event["verb"] in ("create", "patch", "update", "delete")
        for event in on.cluster.audit()
        if "objectRef" in event
    )


def importing(on: Ground) -> list[Row]:
    """Pull a registry of many trials that are all to be imported, and pull it again."""
    bare = 1000
    floor = bare / at_once(on.api, 8, [f"bare-{number}" for number in range(bare)], create)
    on.api().call("DELETE", TRIALS_PATH)
    with registry(TRIALS) as url:
        known = Registry(on, "large", url, **{"import": "All"})
        created = len(trials_there(on))
        rate = TRIALS / known.first_pull
        if not wait_until(
            lambda: all("phase" in trial.get("status", {}) for trial in trials_there(on)), seconds=PATIENCE
        ):
            raise RuntimeError("some of the imported trials are not looked at")
        before = trials_written(on)
        again = known.pull()
        written = trials_written(on) - before
    return [
        Row(
            f"one pull creates {TRIALS} trials, per s",
            f"{floor:.0f}",
            f"{rate:.0f}",
            rate / floor,
            created == TRIALS,
        ),
        Row("  the next pull, s", "", f"{again:.1f}"),
        Row("  Trials that it writes", "", str(written), met=written == 0),
        Row("  the operator, MiB", "", f"{on.memory(OPERATOR):.0f}"),
    ]


def reading(on: Ground) -> list[Row]:
    """Pull a registry of very many trials that nobody waits for."""
    with registry(ENTRIES) as url:
        floor = listing_seconds(url)
        before = on.memory(OPERATOR)
        large = Registry(on, "larger", url)
        seconds = statistics.median(large.pull() for _ in range(5))
        after, most = on.memory(OPERATOR), on.memory(OPERATOR, "VmHWM")
    return [
        Row(f"a pull of {ENTRIES} entries, s", f"{floor:.2f}", f"{seconds:.2f}", seconds / (floor or 1)),
        Row("  the operator before and after, MiB", f"{before:.0f}", f"{after:.0f}", after / before),
        Row("  the operator at most, MiB", f"{before:.0f}", f"{most:.0f}", most / before),
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
