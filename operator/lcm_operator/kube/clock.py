"""Clocks: what time it is, and how much time has passed. Nothing else reads them (ruff).

`now` is for decisions and for what people read, `elapsed` for everything that means "so long from now": it
never goes back, and it goes on while the machine is suspended, which `time.monotonic` does not.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Handed to whoever needs the time; tests hand in one of their own."""

    def now(self) -> datetime:
        """Return the time, in UTC."""

    def elapsed(self) -> float:
        """Return seconds since some moment in the past."""


class NodeClock:
    """The clock of the machine, as it is."""

    def now(self) -> datetime:
        """Return the wall clock's time."""
        return datetime.fromtimestamp(time.time(), UTC)

    def elapsed(self) -> float:
        """Return the seconds since the machine was started, suspensions included."""
        return elapsed()


def elapsed() -> float:
    """Return the seconds since the machine was started, suspensions included: for durations of our own."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
