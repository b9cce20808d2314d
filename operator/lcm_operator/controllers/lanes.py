"""One lane of the work queue: keys in a fair order among namespaces, with bounds on how many are in work.

Start-time fair queueing: each entry gets a tag when it is added, one further than the last tag of its
namespace. So a namespace with thousands of keys and one with a single key take turns, at the cost of a heap.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import NamedTuple

from lcm_operator.controllers.key import Key
from lcm_operator.domain.actions import Urgency


class Entry(NamedTuple):
    """One queued key. `due`: by when it is to be taken (a clock's elapsed seconds)."""

    tag: float
    sequence: int
    key: Key
    urgency: Urgency
    due: float


class Lane:
    """Keys of one rank. `most`: how many are in work at a time; `share`: how many of one namespace.

    `fair`: namespaces take turns; otherwise the one that is due first comes first. `is_current` tells an
    entry that still counts from one that was replaced since.
    """

    def __init__(
        self,
        *,
        most: int,
        share: Callable[[str], int],
        is_current: Callable[[Entry], bool],
        fair: bool = True,
    ) -> None:
        self._most = most
        self._share = share
        self._is_current = is_current
        self._fair = fair
        self._heap: list[Entry] = []
        self._parked: defaultdict[str, list[Entry]] = defaultdict(list)
        self._last_tags: dict[str, float] = {}
        self._reached = 0.0
        self._in_work: Counter[str] = Counter()
        self.in_work = 0

    def add(self, sequence: int, key: Key, urgency: Urgency, due: float) -> Entry:
        """Queue a key and return its entry."""
        tag = due
        if self._fair:
            tag = max(self._reached, self._last_tags.get(key.namespace, 0.0)) + 1
            self._last_tags[key.namespace] = tag
        entry = Entry(tag, sequence, key, urgency, due)
        heapq.heappush(self._heap, entry)
        return entry

    def head(self) -> Entry | None:
        """Return the next entry, whether or not its namespace has its share in work already."""
        while self._heap and not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)
        if not self._heap:
            self._last_tags.clear()
            return None
        return self._heap[0]

    def pop(self) -> Entry | None:
        """Return the next entry that may be worked on now; it counts as in work until `done`."""
        if self.in_work >= self._most:
            return None
        while (entry := self.head()) is not None:
            heapq.heappop(self._heap)
            namespace = entry.key.namespace
            if self._in_work[namespace] >= self._share(namespace):
                heapq.heappush(self._parked[namespace], entry)
                continue
            self._reached = max(self._reached, entry.tag)
            self._in_work[namespace] += 1
            self.in_work += 1
            return entry
        return None

    def done(self, namespace: str) -> None:
        """Give back one key of a namespace."""
        self.in_work -= 1
        self._in_work[namespace] -= 1
        if self._in_work[namespace] <= 0:
            del self._in_work[namespace]
        self.unpark(namespace)

    def unpark(self, namespace: str) -> None:
        """Put the keys of a namespace that now fit into its share back where they stood."""
        parked = self._parked.get(namespace)
        room = self._share(namespace) - self._in_work[namespace]
        while parked and room > 0:
            entry = heapq.heappop(parked)
            if self._is_current(entry):
                heapq.heappush(self._heap, entry)
                room -= 1
        if not parked:
            self._parked.pop(namespace, None)
