"""A clock that is moved by hand."""

from collections.abc import Callable
from datetime import datetime, timedelta

from tests.unit.domain.builders import T


class HandClock:
    """Both times go on together by `advance`; `step` moves the wall clock alone."""

    def __init__(self, now: datetime = T) -> None:
        self.time = now
        self.seconds = 1000.0
        self.looks = 0
        """How often somebody has read the elapsed time."""

    def now(self) -> datetime:
        return self.time

    def elapsed(self) -> float:
        self.looks += 1
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.time += timedelta(seconds=seconds)
        self.seconds += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock to another time."""
        self.time += timedelta(seconds=seconds)


class ClockOf:
    """The clock of somebody else's time."""

    def __init__(self, time: Callable[[], datetime]) -> None:
        self._time = time

    def now(self) -> datetime:
        return self._time()

    def elapsed(self) -> float:
        return self._time().timestamp()
