"""An operator of any checkout of this repository, run as a process with a probe on its event loop.

Shared by the benchmarks that compare two versions: only the operator and the manifests come from that
checkout; control plane, client and probe are this one's. Linux only: it reads /proc.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parents[1]
STALL_SECONDS = 0.005
# Between the return of one `select` and the next call the loop hears nothing: that is a stall.
PROBED = """
import importlib, os, runpy, selectors, threading, time

class Selector(selectors.DefaultSelector):
    since = None

    def select(self, timeout=None):
        if self.since is not None and threading.current_thread() is threading.main_thread():
            wall, cpu = time.perf_counter() - self.since[0], time.thread_time() - self.since[1]
            if wall > {least}:
                log.write(f"{{time.time()}} {{wall}} {{cpu}}\\n")
                log.flush()
        events = super().select(timeout)
        self.since = time.perf_counter(), time.thread_time()
        return events

log = open(os.environ["STALLS"], "w")
selectors.DefaultSelector = Selector
relist = importlib.import_module("lcm_operator.controllers.relist")
relist._EVERY_SECONDS = float(os.environ.get("RELIST_SECONDS", relist._EVERY_SECONDS))
runpy.run_module("lcm_operator.controllers", run_name="__main__")
"""


class Stall(NamedTuple):
    """One turn of the loop: when it ended, how long it took, how much of that it had the CPU."""

    ended: float
    wall: float
    cpu: float


class Operator:
    """A running operator."""

    def __init__(self, process: subprocess.Popen[bytes], stalls: Path) -> None:
        self._process = process
        self._stalls = stalls

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def memory(self, field: str = "VmRSS") -> float:
        """Return the MiB that it has in memory, or had at most (VmHWM) since `forget_peak`."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition(f"{field}:")[2].split()[0]) / 1024

    def forget_peak(self) -> None:
        """Begin to measure the most memory anew."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def stalls(self, after: float = 0.0) -> list[Stall]:
        """Return the turns of its loop that took longer than 5 ms and ended after a moment (Unix time)."""
        lines = self._stalls.read_text().splitlines(keepends=True)
        found = (Stall(*map(float, line.split())) for line in lines if line.endswith("\n"))
        return [stall for stall in found if stall.ended > after]


@contextmanager
def operator(checkout: Path, folder: Path, environment: Mapping[str, str]) -> Iterator[Operator]:
    """Run the operator of a checkout; its log and the stalls of its loop lie in `folder`."""
    stalls = folder / "stalls"
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(checkout / "operator"),
        "PYTHONUNBUFFERED": "1",
        "STALLS": str(stalls),
        **environment,
    }
    stalls.touch()
    with (folder / "operator.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", PROBED.format(least=STALL_SECONDS)],
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        try:
            yield Operator(process, stalls)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
