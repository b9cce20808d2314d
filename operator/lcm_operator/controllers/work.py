"""The work queue: urgent first, earliest deadline first among the urgent, the rest held back while it counts.

A key is worked on by one worker at a time; what comes meanwhile is done after it. No task per key: workers
pull (measured in notes: a thousand gathered tasks are slower).
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable

from lcm_operator.controllers.key import Key
from lcm_operator.domain.actions import Urgency

_FOLLOW_SECONDS = 0.8
_ROUTINE_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.05


class WorkQueue:
    """`hold()` says whether something is due so soon that routine work should wait (at most 5 s)."""

    def __init__(self, hold: Callable[[], bool]) -> None:
        self._hold = hold
        self._urgent: list[tuple[float, int, Key, Urgency]] = []
        self._routine: list[tuple[float, int, Key, Urgency]] = []
        self._queued: dict[Key, tuple[int, Urgency]] = {}
        self._working: set[Key] = set()
        self._again: dict[Key, Urgency] = {}
        self._sequence = itertools.count()
        self._changed = asyncio.Event()
        self._urgent_in_work = 0

    def __len__(self) -> int:
        return len(self._queued) + len(self._working)

    def is_urgent(self) -> bool:
        """Return whether something urgent is queued or worked on."""
        self._drop_stale(self._urgent)
        return bool(self._urgent) or self._urgent_in_work > 0

    def longest_wait(self) -> float:
        """Return for how many seconds the first of the urgent keys waits beyond its time."""
        self._drop_stale(self._urgent)
        return time.monotonic() - self._urgent[0][0] if self._urgent else 0.0

    def add(self, key: Key, urgency: Urgency) -> None:
        """Queue `key`; one that is queued already keeps the more urgent of both."""
        if key in self._working:
            self._again[key] = min(urgency, self._again.get(key, Urgency.ROUTINE))
            return
        known = self._queued.get(key)
        if known is None or urgency < known[1]:
            self._push(key, urgency)

    def _push(self, key: Key, urgency: Urgency) -> None:
        now, sequence = time.monotonic(), next(self._sequence)
        self._queued[key] = (sequence, urgency)
        if urgency is Urgency.ROUTINE:
            heapq.heappush(self._routine, (now + _ROUTINE_SECONDS, sequence, key, urgency))
        else:
            patience = _FOLLOW_SECONDS if urgency is Urgency.FOLLOW else 0.0
            heapq.heappush(self._urgent, (now + patience, sequence, key, urgency))
        self._changed.set()

    async def take(self) -> tuple[Key, Urgency]:
        """Return the next key to work on; give it back with `done`."""
        while (entry := self._pop()) is None:
            self._changed.clear()
            try:
                async with asyncio.timeout(_LOOK_AGAIN_SECONDS if self._routine else None):
                    await self._changed.wait()
            except TimeoutError:
                continue
        key, urgency = entry
        self._working.add(key)
        self._urgent_in_work += urgency is not Urgency.ROUTINE
        return entry

    def _pop(self) -> tuple[Key, Urgency] | None:
        if entry := self._pop_fresh(self._urgent):
            return entry
        self._drop_stale(self._routine)
        if not self._routine:
            return None
        held = self._urgent_in_work > 0 or self._hold()
        if held and time.monotonic() < self._routine[0][0]:
            return None
        return self._pop_fresh(self._routine)

    def _pop_fresh(self, heap: list[tuple[float, int, Key, Urgency]]) -> tuple[Key, Urgency] | None:
        self._drop_stale(heap)
        if not heap:
            return None
        _, _, key, urgency = heapq.heappop(heap)
        del self._queued[key]
        return key, urgency

    def _drop_stale(self, heap: list[tuple[float, int, Key, Urgency]]) -> None:
        while heap and self._queued.get(heap[0][2], (None,))[0] != heap[0][1]:
            heapq.heappop(heap)

    def done(self, key: Key, urgency: Urgency) -> None:
        """Give back a key; it is queued again if something came for it meanwhile."""
        self._working.discard(key)
        self._urgent_in_work -= urgency is not Urgency.ROUTINE
        again = self._again.pop(key, None)
        if again is not None:
            self._push(key, again)
