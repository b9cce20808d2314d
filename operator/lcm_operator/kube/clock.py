"""Clocks: the time, and the elapsed time. No other module reads a clock (ruff).

`now` is for decisions and for people, `elapsed` for durations: it never goes back and, unlike
`time.monotonic`, continues while the machine is suspended. asyncio's sleeps and time-outs do not: `pause` and
`within` are for those that must end on time nevertheless.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

_LONGEST_STEP_SECONDS = 1.0
"""How late a pause may end after the machine was suspended."""


class Clock(Protocol):
    """Passed to everything that needs the time; tests pass their own."""

    def now(self) -> datetime:
        """Return the time, in UTC."""

    def elapsed(self) -> float:
        """Return the seconds since an arbitrary time in the past."""


class NodeClock:
    """The clock of the machine, as it is."""

    def now(self) -> datetime:
        """Return the wall clock's time."""
        return datetime.fromtimestamp(time.time(), UTC)

    def elapsed(self) -> float:
        """Return the seconds since the machine was started, suspensions included."""
        return elapsed()


def elapsed() -> float:
    """Return the seconds since the machine was started, suspensions included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


_NODE = NodeClock()


async def pause(seconds: float, clock: Clock = _NODE) -> None:
    """Return once so many seconds have passed, suspensions included."""
    end = clock.elapsed() + seconds
    await asyncio.sleep(0)
    while (left := end - clock.elapsed()) > 0:  # noqa: ASYNC110 - there is no event for a suspension
        await asyncio.sleep(min(left, _LONGEST_STEP_SECONDS))


@asynccontextmanager
async def within(seconds: float | None, clock: Clock = _NODE) -> AsyncIterator[None]:
    """Cancel what is done within, once so many seconds have passed, suspensions included; None: never.

    Raises TimeoutError then, as `asyncio.timeout` does.
    """
    if seconds is None:
        yield
        return
    loop, end = asyncio.get_running_loop(), clock.elapsed() + seconds
    timer: asyncio.Handle | None = None
    async with asyncio.timeout(None) as limit:

        def look() -> None:
            nonlocal timer
            left = end - clock.elapsed()
            if left <= 0:
                limit.reschedule(loop.time())
            else:
                timer = loop.call_later(min(left, _LONGEST_STEP_SECONDS), look)

        look()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
