"""One lane of the queue: keys in an order that is fair to namespaces, with limits on how many are in work.

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

    A key that hangs counts for its namespace, not for the lane: `hanging` returns how many do. `fair`:
    namespaces take turns; otherwise the one that is due first comes first. `is_current` returns whether an
    entry still counts, or was replaced since.
    """

    def __init__(
        self,
        *,
        most: int,
        share: Callable[[str], int],
        hanging: Callable[[], int],
        is_current: Callable[[Entry], bool],
        fair: bool = True,
    ) -> None:
        self._most = most
        self._share = share
        self._hanging = hanging
        self._is_current = is_current
        self._fair = fair
        self._queues: defaultdict[str, list[Entry]] = defaultdict(list)
        self._heads: list[Entry] = []
        """The first entry of each namespace that has room, and entries that were first before."""
        self._offered: dict[str, Entry] = {}
        """The entry of a namespace that was put among the heads last, unless it was taken out since."""
        self._last_tags: dict[str, float] = {}
        self._reached = 0.0
        self._in_work: Counter[str] = Counter()
        self.in_work = 0

    @property
    def moving(self) -> int:
        """How many are in work and do not hang."""
        return self.in_work - self._hanging()

    def in_work_of(self, counts: Callable[[str], bool]) -> int:
        """Return how many are in work of the namespaces that count."""
        return sum(number for namespace, number in self._in_work.items() if counts(namespace))

    def add(self, sequence: int, key: Key, urgency: Urgency, due: float) -> None:
        """Queue a key; `is_current` must know of it already."""
        namespace, tag = key.namespace, due
        if self._fair:
            tag = max(self._reached, self._last_tags.get(namespace, 0.0)) + 1
            self._last_tags[namespace] = tag
        entry = Entry(tag, sequence, key, urgency, due)
        heapq.heappush(self._queues[namespace], entry)
        if self._queues[namespace][0] is entry:
            self.offer(namespace)

    def head(self) -> Entry | None:
        """Return the next entry that may be worked on now.

        Where an entry was replaced, its namespace's next one must take its place, or it would be lost.
        """
        while self._heads:
            entry = self._heads[0]
            namespace = entry.key.namespace
            first = self._first(namespace)
            if first is entry and self._has_room(namespace):
                return entry
            self._pop_head()
            if first is not entry:
                self.offer(namespace)
        return None

    def pop(self) -> Entry | None:
        """Take the next entry that may be worked on now; it counts as in work until `done`."""
        entry = self.head() if self.moving < self._most else None
        if entry is None:
            return None
        namespace = entry.key.namespace
        self._pop_head()
        heapq.heappop(self._queues[namespace])
        self._reached = max(self._reached, entry.tag)
        self._in_work[namespace] += 1
        self.in_work += 1
        self.offer(namespace)
        return entry

    def done(self, namespace: str) -> None:
        """Give back one key of a namespace."""
        self.in_work -= 1
        self._in_work[namespace] -= 1
        if self._in_work[namespace] <= 0:
            del self._in_work[namespace]
        self.offer(namespace)

    def offer(self, namespace: str) -> None:
        """Put a namespace among those to choose from, if it has an entry and room for it.

        It must not be among them twice: each key that is done would leave one more behind, and every pop
        would pass them all.
        """
        first = self._first(namespace)
        if first is None or first is self._offered.get(namespace) or not self._has_room(namespace):
            return
        heapq.heappush(self._heads, first)
        self._offered[namespace] = first

    def offer_all(self) -> None:
        """Choose anew among all namespaces: their shares may have changed."""
        firsts = [self._first(namespace) for namespace in list(self._queues)]
        self._heads = [first for first in firsts if first and self._has_room(first.key.namespace)]
        heapq.heapify(self._heads)
        self._offered = {first.key.namespace: first for first in self._heads}

    def _pop_head(self) -> None:
        entry = heapq.heappop(self._heads)
        if self._offered.get(entry.key.namespace) is entry:
            del self._offered[entry.key.namespace]

    def _has_room(self, namespace: str) -> bool:
        return self._in_work[namespace] < self._share(namespace)

    def _first(self, namespace: str) -> Entry | None:
        """Return the first entry of a namespace that still counts; forget the namespace if there is none."""
        queue = self._queues.get(namespace, [])
        while queue and not self._is_current(queue[0]):
            heapq.heappop(queue)
        if queue:
            return queue[0]
        self._queues.pop(namespace, None)
        if self._last_tags.get(namespace, 0.0) <= self._reached:
            self._last_tags.pop(namespace, None)
        return None
