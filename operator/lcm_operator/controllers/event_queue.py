"""The Events that wait to be sent: a bounded queue that drops the least important.

A namespace whose Events are rejected (a rate limit, a quota) delays only its own. No I/O.
"""

import itertools
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


class Rank(IntEnum):
    """The importance of an Event: of too many, those of the highest number are dropped first."""

    OUTCOME = 0
    """The only record of a trial that was deleted."""
    WARNING = 1
    NORMAL = 2


@dataclass(eq=False)
class Waiting:
    """One Event that waits. `tries`: how often it was rejected."""

    manifest: dict[str, Any]
    rank: Rank
    number: int
    tries: int = 0

    @property
    def namespace(self) -> str:
        """The namespace of the Event."""
        name: str = self.manifest["metadata"]["namespace"]
        return name


@dataclass
class _Pause:
    until: float
    seconds: float


class EventQueue:
    """At most `most` Events, oldest first. Times are a clock's `elapsed`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._numbers = itertools.count()
        self._by_namespace: defaultdict[str, OrderedDict[int, Waiting]] = defaultdict(OrderedDict)
        self._by_rank: dict[Rank, OrderedDict[int, Waiting]] = {rank: OrderedDict() for rank in Rank}
        self._pauses: dict[str, _Pause] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_rank.values()))

    def add(self, manifest: dict[str, Any], rank: Rank) -> Waiting | None:
        """Queue an Event; return the one that was dropped for it, perhaps itself."""
        new = Waiting(manifest, rank, next(self._numbers))
        self._by_namespace[new.namespace][new.number] = new
        self._by_rank[rank][new.number] = new
        if len(self) <= self._most:
            return None
        lowest = next(rank for rank in reversed(Rank) if self._by_rank[rank])
        dropped = next(iter(self._by_rank[lowest].values()))
        self.remove(dropped)
        return dropped

    def remove(self, entry: Waiting) -> None:
        """Remove an Event that was sent or given up."""
        self._by_rank[entry.rank].pop(entry.number, None)
        mates = self._by_namespace[entry.namespace]
        mates.pop(entry.number, None)
        if not mates:
            del self._by_namespace[entry.namespace]
            self._pauses.pop(entry.namespace, None)

    def next(self, now: float) -> Waiting | None:
        """Return the oldest Event whose namespace is not paused."""
        ready = (
            next(iter(mates.values()))
            for namespace, mates in self._by_namespace.items()
            if (pause := self._pauses.get(namespace)) is None or pause.until <= now
        )
        return min(ready, key=lambda entry: entry.number, default=None)

    def all(self) -> list[Waiting]:
        """Return all that wait, the most important first."""
        return [entry for rank in Rank for entry in self._by_rank[rank].values()]

    def pause(self, namespace: str, now: float, at_least: float | None) -> None:
        """Pause a namespace: twice as long as the last time, and no less than was asked for."""
        before = self._pauses.get(namespace)
        seconds = min(before.seconds * 2, _LONGEST_PAUSE_SECONDS) if before else _FIRST_PAUSE_SECONDS
        self._pauses[namespace] = _Pause(now + max(seconds, at_least or 0.0), seconds)

    def resume(self, namespace: str) -> None:
        """End the pause of a namespace: one of its Events was accepted."""
        self._pauses.pop(namespace, None)

    def wake_in(self, now: float) -> float | None:
        """Return after how many seconds a pause ends; None if no namespace is paused."""
        return min((max(pause.until - now, 0.0) for pause in self._pauses.values()), default=None)
