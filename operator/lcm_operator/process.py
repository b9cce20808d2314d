"""The end of a process: within bounded time after SIGTERM or SIGINT, immediately after an error.

    signal ──> stop is set ──> the work ends ─────────────────────────> exit with the work's status
                  │               └─ not within `grace_seconds` ──────> exit 1
                  └─ another signal ──────────────────────────────────> exit 128 + its number, immediately
    the work raises ──> logged ───────────────────────────────────────> exit 1
    invalid settings, before the work or in it ──> printed ───────────> exit 2

When the work has ended, the process must not wait for threads: one that hangs in a request or in name
resolution would never let it exit. The work closes what it has opened.
"""

import asyncio
import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, NoReturn, TextIO, TypeVar

from lcm_operator import logs
from lcm_operator.settings import EXIT_STATUS, LogSettings, Reading, SettingsError, print_faults

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LAST_TASKS_SECONDS = 1.0
_LAST_WORDS_SECONDS = 0.5
S = TypeVar("S", bound=LogSettings)
log = logs.get(__name__)


class Stopping:
    """The request to end this process: the first signal sets `requested`."""

    def __init__(self, grace_seconds: float) -> None:
        self.requested = asyncio.Event()
        self._grace_seconds = grace_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._was_signalled = False
        # A signal handler may interrupt anything, so it takes no lock: SimpleQueue.put is reentrant.
        self._orders: queue.SimpleQueue[None] = queue.SimpleQueue()

    def listen(self) -> None:
        """Handle signals, also before there is a loop or while it is blocked."""
        threading.Thread(target=self._end_in_time, name="ending", daemon=True).start()
        for number in _SIGNALS:
            signal.signal(number, self._signalled)

    def attach(self) -> None:
        """Handle signals in the running loop; call it again after others have installed handlers."""
        self._loop = loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._begin)  # replaces handlers that others have installed
            signal.signal(number, self._signalled)  # runs even if the loop is blocked
        if self._was_signalled:
            self.requested.set()

    def hurry(self) -> None:
        """Limit the time until the exit, as a signal does."""
        self._orders.put(None)

    def _begin(self) -> None:
        self._orders.put(None)
        self.requested.set()

    def _signalled(self, number: int, _: FrameType | None) -> None:
        if self._was_signalled:
            os._exit(128 + number)
        self._was_signalled = True
        self._orders.put(None)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin)

    def _end_in_time(self) -> None:
        """Exit after the grace period. Runs in a thread, because the loop may hang."""
        self._orders.get()
        time.sleep(self._grace_seconds)
        # The loop may hang while it writes a log record and holds a lock.
        threading.Thread(target=_write_out, args=(self._grace_seconds,), daemon=True).start()
        time.sleep(_LAST_WORDS_SECONDS)
        os._exit(1)


def prepare(program: str, reading: Reading[S], *, stream: TextIO | None = None) -> S:
    """Set up the log on `stream`, by default standard error, and return the settings.

    If settings are invalid, prints a line for each error, which begins with `program`, and exits.
    """
    logs.configure(reading.settings, stream=stream)
    if reading.faults:
        print_faults(program, reading.faults)
        raise SystemExit(EXIT_STATUS)
    logs.report_unknown(reading)
    return reading.settings


def run(
    program: str, work: Callable[[Stopping], Coroutine[Any, Any, int]], *, grace_seconds: float
) -> NoReturn:
    """Run `work` in a new loop and exit with the status that it returns, or 1 if it raises.

    A SettingsError is printed as `prepare` does. After the first signal, `work` must end within
    `grace_seconds`.
    """
    stopping = Stopping(grace_seconds)
    stopping.listen()
    with asyncio.Runner() as runner:
        try:
            status = runner.run(_attached(work, stopping))
        except SettingsError as error:
            print_faults(program, error.faults)
            status = EXIT_STATUS
        except BaseException:
            log.exception("process failed")
            status = 1
        leave(status)


async def _attached(work: Callable[[Stopping], Coroutine[Any, Any, int]], stopping: Stopping) -> int:
    stopping.attach()
    try:
        return await work(stopping)
    finally:
        stopping.hurry()
        await _end_tasks()


async def _end_tasks() -> None:
    """Cancel remaining tasks, and wait for a bounded time until they have closed what they opened."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_LAST_TASKS_SECONDS)


def leave(status: int) -> NoReturn:
    """Exit without waiting for threads, after flushing logs and output."""
    _write_out()
    os._exit(status)


def _write_out(exceeded_seconds: float | None = None) -> None:
    with contextlib.suppress(Exception):
        if exceeded_seconds is not None:
            log.error("process did not end in time, exiting now", grace_seconds=exceeded_seconds)
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
