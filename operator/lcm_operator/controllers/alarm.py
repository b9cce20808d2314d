"""The due-time heap and its one alarm task.

Start times are times of the cluster's clock, while sleeping goes by the monotonic one: so the former is read
again at least every second (suspended machines, clock steps). One alarm per key; setting it anew replaces it.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import datetime

from lcm_operator.controllers.key import Key
from lcm_operator.controllers.time_slice import TimeSlice
from lcm_operator.domain.actions import Urgency
from lcm_operator.kube.clock import Clock

_LONGEST_SLEEP_SECONDS = 1.0


class Alarm:
    """Tells `ring(key, urgency)` when a moment has come."""

    def __init__(self, ring: Callable[[Key, Urgency], None], clock: Clock) -> None:
        self._ring = ring
        self._clock = clock
        self._heaps: dict[Urgency, list[tuple[float, int, Key]]] = {urgency: [] for urgency in Urgency}
        self._current: dict[Key, tuple[int, float, Urgency]] = {}
        self._sequence = itertools.count()
        self._earlier = asyncio.Event()

    def __len__(self) -> int:
        return len(self._current)

    def set(self, key: Key, when: datetime, urgency: Urgency) -> None:
        """Ring for `key` at `when`, instead of what was set before."""
        moment, sequence = when.timestamp(), next(self._sequence)
        known = self._current.get(key)
        if known is not None and known[1:] == (moment, urgency):
            return
        self._current[key] = (sequence, moment, urgency)
        heapq.heappush(self._heaps[urgency], (moment, sequence, key))
        if self._heaps[urgency][0][1] == sequence:
            self._earlier.set()

    def clear(self, key: Key) -> None:
        """Forget the alarm of `key`."""
        self._current.pop(key, None)

    def next(self, urgency: Urgency) -> float | None:
        """Return the moment (Unix time, seconds) of the next alarm of an urgency, or None."""
        heap = self._heaps[urgency]
        while heap and self._stale(heap[0]):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    async def run(self) -> None:
        """Ring until cancelled."""
        slice_ = TimeSlice()
        while True:
            self._earlier.clear()
            now = self._clock.now().timestamp()
            for urgency, heap in self._heaps.items():
                while (moment := self.next(urgency)) is not None and moment <= now:
                    key = heapq.heappop(heap)[2]
                    del self._current[key]
                    self._ring(key, urgency)
                    await slice_.rest()
            heads = [head for urgency in Urgency if (head := self.next(urgency)) is not None]
            pause = min([_LONGEST_SLEEP_SECONDS, *(head - now for head in heads)])
            try:
                async with asyncio.timeout(max(pause, 0)):
                    await self._earlier.wait()
            except TimeoutError:
                continue

    def _stale(self, entry: tuple[float, int, Key]) -> bool:
        known = self._current.get(entry[2])
        return known is None or known[0] != entry[1]
