"""How a process of ours ends: upon SIGTERM or SIGINT in bounded time, upon a fault at once and non-zero.

    signal ──> stop is set ──> the work ends by itself ───────────────> exit 0 (the work's own status)
                  │               └─ not within `grace_seconds` ──────> exit 1, whatever hangs
                  └─ another signal ──────────────────────────────────> exit 128 + its number, at once
    fault ──> the work raises ──> logged ─────────────────────────────> exit 1
    fault of the settings, before the work or in it ──> printed ──────> exit 2

Nothing is waited for after the work has ended: a thread that hangs in a request or a look-up of a name would
keep the interpreter for ever. Whatever has to be closed is closed by the work.
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
    """The wish that this process ends. `requested` is set by the first signal; `listen` makes it so."""

    def __init__(self, grace_seconds: float) -> None:
        self.requested = asyncio.Event()
        self._grace_seconds = grace_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._was_signalled = False
        # A signal handler may interrupt anything, so it takes no lock: SimpleQueue.put is reentrant.
        self._orders: queue.SimpleQueue[None] = queue.SimpleQueue()

    def listen(self) -> None:
        """Begin to heed signals, also those that come before there is a loop, or while it is blocked."""
        threading.Thread(target=self._end_in_time, name="ending", daemon=True).start()
        for number in _SIGNALS:
            signal.signal(number, self._signalled)

    def attach(self) -> None:
        """Heed signals in the running loop; again, once others have put their own handlers there."""
        self._loop = loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._begin)  # takes the place of what others have put there
            signal.signal(number, self._signalled)  # runs although the loop may be blocked
        if self._was_signalled:
            self.requested.set()

    def hurry(self) -> None:
        """Bound the rest of this process's life, as a signal does: what was to run has ended by a fault."""
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
        """Wait for the order to end, then as long as that may take; a thread, as the loop may hang."""
        self._orders.get()
        time.sleep(self._grace_seconds)
        # The loop may hang in writing a log: no lock of its is waited for.
        threading.Thread(target=_write_out, args=(self._grace_seconds,), daemon=True).start()
        time.sleep(_LAST_WORDS_SECONDS)
        os._exit(1)


def prepare(program: str, reading: Reading[S], *, stream: TextIO | None = None) -> S:
    """Set up the log on `stream`, by default standard error, and return the settings.

    Exits with EXIT_STATUS and a line for each fault if there are any. `program` begins these lines.
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
    """Do `work` in a new loop and exit with the status that it returns, or 1 if it raises.

    If it raises SettingsError, the faults are printed as `prepare` does. `grace_seconds` is how long it may
    take to end after the first signal.
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
    """Cancel what is left, so that it can close what it has open; in bounded time."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_LAST_TASKS_SECONDS)


def leave(status: int) -> NoReturn:
    """Exit now, without waiting for any thread; what was logged and printed is written out."""
    _write_out()
    os._exit(status)


def _write_out(exceeded_seconds: float | None = None) -> None:
    with contextlib.suppress(Exception):
        if exceeded_seconds is not None:
            log.error("process did not end in time and exits now", grace_seconds=exceeded_seconds)
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
