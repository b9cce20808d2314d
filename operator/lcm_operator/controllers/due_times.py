"""Keys that wait for a time: one heap for each urgency, so that the next start is known at a glance.

Times are those of the wall clock that counts; whoever asks says what time it is.
"""

import heapq
import itertools
import math
from datetime import datetime

from lcm_operator.controllers.key import Key
from lcm_operator.domain.actions import Urgency


class DueTimes:
    """At most one time for each key. All times are returned as Unix time, in seconds."""

    def __init__(self) -> None:
        self._heaps: dict[Urgency, list[tuple[float, int, Key]]] = {urgency: [] for urgency in Urgency}
        self._current: dict[Key, tuple[int, float, Urgency]] = {}
        self._sequence = itertools.count()
        self.earliest = math.inf
        """No key waits for an earlier time than this."""

    def __len__(self) -> int:
        return len(self._current)

    def set(self, key: Key, at: datetime, urgency: Urgency) -> bool:
        """Set the time of `key`, in place of the one before; return whether it is the earliest of all."""
        time, sequence = at.timestamp(), next(self._sequence)
        known = self._current.get(key)
        if known is not None and known[1:] == (time, urgency):
            return False
        self._current[key] = (sequence, time, urgency)
        heapq.heappush(self._heaps[urgency], (time, sequence, key))
        if time >= self.earliest:
            return False
        self.earliest = time
        return True

    def clear(self, key: Key) -> None:
        """Forget the time of `key`."""
        self._current.pop(key, None)

    def next(self, urgency: Urgency) -> float | None:
        """Return the first time of an urgency, None if there is none."""
        heap = self._heaps[urgency]
        while heap and not self._is_current(heap[0]):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop(self, now: float) -> tuple[Key, Urgency] | None:
        """Take out a key whose time has come: the most urgent, and of these the first."""
        if now < self.earliest:
            return None
        firsts = {urgency: time for urgency in Urgency if (time := self.next(urgency)) is not None}
        for urgency, time in firsts.items():
            if time <= now:
                key = heapq.heappop(self._heaps[urgency])[2]
                del self._current[key]
                return key, urgency
        self.earliest = min(firsts.values(), default=math.inf)
        return None

    def _is_current(self, entry: tuple[float, int, Key]) -> bool:
        known = self._current.get(entry[2])
        return known is not None and known[0] == entry[1]
