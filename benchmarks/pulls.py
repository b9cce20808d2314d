"""How long pulls of a TrialRegistry take: of very many entries, and of many Trials to import."""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bare import TRIALS_PATH, Caller, Ground, Row, at_once, create, start_time
from devcluster.cluster.components import OPERATOR
from devcluster.waiting import wait_until

TRIALS = 10_000
ENTRIES = 50_000
PATIENCE = 900
REGISTRIES_PATH = "/apis/lcm.5gdrones.eu/v1alpha1/namespaces/default/trialregistries"
OPERATOR_USER = "system:serviceaccount:default:lcm-operator"


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
                [{"id": f"entry-{n}", "start_time": start_time(n), "facility": "EUR"} for n in range(count)]
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
    """Return in how many seconds a registry's list is read and decoded; None without an answer."""
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
    """A TrialRegistry that is pulled only on request."""

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
    """Pull a registry of very many trials that no Trial waits for."""
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
