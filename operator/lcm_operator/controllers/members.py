"""The Trials of one slot, indexed, so that a change of one needs no pass over all others.

Thousands of Trials may have the same ID. Its holder is the first of a heap. Of the others only those are
decided about that have changed, whose time has come, or that wait for another holder than before.
"""

import heapq
from collections.abc import Iterable
from datetime import datetime

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.domain.ownership import Rank, owner_of, rank

MOST_AT_ONCE = 16


class Members:
    """All Trials of one trial ID, by name."""

    def __init__(self) -> None:
        self._trials: dict[str, Trial] = {}
        self._names: dict[str, str] = {}
        self._ranks: dict[str, Rank] = {}
        self._heap: list[tuple[Rank, str]] = []
        self._unsettled: dict[str, None] = {}
        self._wakes: list[tuple[datetime, str]] = []
        self._wake_of: dict[str, datetime] = {}
        self._of_registries: dict[str, None] = {}
        self._waits_for: str | None = None
        self._news = 0

    def __len__(self) -> int:
        return len(self._trials)

    def values(self) -> Iterable[Trial]:
        """Return all."""
        return self._trials.values()

    def get(self, name: str) -> Trial | None:
        """Return the one of a name."""
        return self._trials.get(name)

    def put(self, trial: Trial) -> None:
        """Add a Trial, in place of the one of its name."""
        name = trial.metadata.name
        before = self._trials.get(name)
        if before is not None and before.metadata.uid != trial.metadata.uid:
            self._names.pop(before.metadata.uid, None)
        self._trials[name] = trial
        self._names[trial.metadata.uid] = name
        self._set_rank(name, rank(trial))
        self._unsettled[name] = None
        self._wake_of.pop(name, None)
        if trial.spec.registry_ref is not None:
            self._of_registries[name] = None

    def drop(self, name: str) -> None:
        """Forget the one of a name."""
        trial = self._trials.pop(name, None)
        if trial is not None:
            self._names.pop(trial.metadata.uid, None)
        for index in (self._ranks, self._unsettled, self._wake_of, self._of_registries):
            index.pop(name, None)

    def holder(self, engine: TrialEngine | None) -> Trial | None:
        """Return the one that holds the ID, as `domain.ownership.holder` does."""
        if engine is not None:
            name = self._names.get(owner_of(engine))
            return self._trials[name] if name is not None else None
        while self._heap and self._ranks.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._trials[self._heap[0][1]] if self._heap else None

    def to_decide(self, engine: TrialEngine | None, now: datetime | None, news: int) -> tuple[Trial, ...]:
        """Return the holder, and some of the others that may need a decision.

        `news`: a number that changes when registries have reported something. Those that are returned are
        returned again until they are settled.
        """
        chosen = self.holder(engine)
        name = chosen.metadata.name if chosen is not None else None
        if self._news != news:
            self._news = news
            self._unsettled |= self._of_registries
        if self._waits_for != name:
            self._waits_for = name
            self._unsettled = dict.fromkeys(self._trials)
        while now is not None and self._wakes and self._wakes[0][0] <= now:
            moment, due = heapq.heappop(self._wakes)
            if self._wake_of.get(due) == moment:
                del self._wake_of[due]
                self._unsettled[due] = None
        if name is not None:
            self._unsettled.pop(name, None)
        others = [self._trials[other] for other, _ in zip(self._unsettled, range(MOST_AT_ONCE), strict=False)]
        return tuple(others) if chosen is None else (chosen, *others)

    def settle(self, rests: Iterable[tuple[str, datetime | None]]) -> None:
        """Note those that need no decision now, and when they may need one."""
        for name, wake_at in rests:
            if self._unsettled.pop(name, self) is self or wake_at is None:
                continue
            self._wake_of[name] = wake_at
            heapq.heappush(self._wakes, (wake_at, name))

    def next_wake(self) -> datetime | None:
        """Return when one that is settled may need a decision."""
        while self._wakes and self._wake_of.get(self._wakes[0][1]) != self._wakes[0][0]:
            heapq.heappop(self._wakes)
        return self._wakes[0][0] if self._wakes else None

    def has_unsettled(self) -> bool:
        """Return whether any but the holder is not settled."""
        return bool(self._unsettled)

    def _set_rank(self, name: str, new: Rank | None) -> None:
        if new is None:
            self._ranks.pop(name, None)
        elif self._ranks.get(name) != new:
            self._ranks[name] = new
            heapq.heappush(self._heap, (new, name))
