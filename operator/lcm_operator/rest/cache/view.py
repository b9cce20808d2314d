"""The view: a cache of one namespace, filled by watches and by the answers to the sidecar's own writes.

No request waits for a list call. What callers know as a scheduling and as an engine is derived here from the
same objects, so that a trial that starts is always exactly one of the two.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from lcm_operator.api.names import engine_name
from lcm_operator.kube.cache import Entry, ObjectCache
from lcm_operator.kube.follow import Changed, Deleted, Event, Listed, Listing
from lcm_operator.rest.cache.records import EngineRecord, TrialRecord


@dataclass(frozen=True, slots=True)
class ShownEngine:
    """An engine as callers know it: from the latch of its Trial until its TrialEngine is deleted."""

    trial_id: str
    uid: str
    name: str
    trial: TrialRecord | None
    """Its Trial, if that still exists."""
    started: datetime
    succeeded: bool | None

    @property
    def status(self) -> str:
        """One of active, failed, finished."""
        return {None: "active", True: "finished", False: "failed"}[self.succeeded]


class View:
    """Trials and TrialEngines of one namespace."""

    def __init__(self) -> None:
        self._trials: ObjectCache[str, TrialRecord] = ObjectCache()
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._engines: ObjectCache[str, EngineRecord] = ObjectCache()
        self._trials_before_list: Mapping[str, Entry[TrialRecord]] = {}
        self._engines_before_list: Mapping[str, Entry[EngineRecord]] = {}
        self._latched_before_list: list[TrialRecord] = []
        self._gone: dict[str, str] = {}
        """The UID of the deleted TrialEngine, by the UID of its Trial."""
        self._waiting: set[asyncio.Future[None]] = set()
        self.automatic = False
        """Whether the TrialRegistry imports automatically."""
        self.plan_is_missing = False
        """Whether the TrialPlan of scheduled trials is known not to exist."""
        self.version = 0
        """Grows with every change."""

    # Reads

    def schedulings(self) -> Iterator[TrialRecord]:
        """Yield the trials that wait for a known start time."""
        for trial in self._trials:
            if trial.start is not None and not trial.suspended and self._waits(trial) and self._counts(trial):
                yield trial

    def scheduling(self, trial_id: str) -> TrialRecord | None:
        """Return the scheduling of an ID, including one that is suspended or waits for the registry."""
        waiting = [trial for trial in self._of(trial_id) if self._waits(trial)]
        return min(waiting, key=lambda trial: (trial.refused, trial.name), default=None)

    def engines(self) -> Iterator[ShownEngine]:
        """Yield the engines."""
        started = set()
        for trial in self._trials:
            if (engine := self._started(trial)) is not None:
                started.add(engine.uid)
                yield engine
        yield from (_alone(left) for left in self._engines if left.granted and left.uid not in started)

    def engine(self, trial_id: str) -> ShownEngine | None:
        """Return the engine of an ID."""
        for trial in self._of(trial_id):
            if (shown := self._started(trial)) is not None:
                return shown
        engine = self._engines.get(engine_name(trial_id))
        if engine is None or not engine.granted or engine.trial_id != trial_id:
            return None
        return _alone(engine)

    def trial_ids(self) -> frozenset[str]:
        """Return the IDs of all Trials."""
        return frozenset(self._names)

    def trial(self, name: str) -> TrialRecord | None:
        """Return a Trial by its object's name."""
        return self._trials.get(name)

    def engine_record(self, name: str) -> EngineRecord | None:
        """Return a TrialEngine by its object's name, granted or not."""
        return self._engines.get(name)

    def engines_of_trial(self, uid: str) -> list[EngineRecord]:
        """Return the TrialEngines of a Trial by its UID, granted or not."""
        return [engine for engine in self._engines if engine.trial_uid == uid]

    # Updates

    def take_trial(self, event: Event[TrialRecord]) -> None:
        """Apply an event of the watch of Trials."""
        match event:
            case Listing():
                self._trials_before_list = self._trials.entries()
            case Changed():
                self.put_trial(event.object)
            case Deleted():
                self.drop_trial(event.head.name, event.head.uid)
            case Listed():
                for name, known in self._trials_before_list.items():
                    if known.uid not in event.uids:
                        self.drop_trial(name, known.uid)

    def take_engine(self, event: Event[EngineRecord]) -> None:
        """Apply an event of the watch of TrialEngines.

        A latched Trial's TrialEngine was created before the latch: a later list lacks it only if it was
        deleted.
        """
        match event:
            case Listing():
                self._engines_before_list = self._engines.entries()
                self._latched_before_list = [trial for trial in self._trials if trial.engine_uid]
            case Changed():
                self.put_engine(event.object)
            case Deleted():
                self.drop_engine(event.head.name, event.head.uid)
            case Listed():
                for name, known in self._engines_before_list.items():
                    if known.uid not in event.uids:
                        self.drop_engine(name, known.uid)
                for trial in self._latched_before_list:
                    if trial.engine_uid not in event.uids:
                        self._lose(trial.trial_id, trial.engine_uid)
                self._changed()

    def put_trial(self, trial: TrialRecord) -> None:
        """Store a Trial."""
        known = self._trials.get(trial.name)
        if self._trials.put(trial.name, trial.uid, trial.version, trial):
            if known is not None and known.uid != trial.uid:
                self._forget(known)
            self._names[trial.trial_id].add(trial.name)
            self._changed()

    def put_engine(self, engine: EngineRecord) -> None:
        """Store a TrialEngine."""
        known = self._engines.get(engine.name)
        if self._engines.put(engine.name, engine.uid, engine.version, engine):
            if known is not None and known.uid != engine.uid:
                self._lose(known.trial_id, known.uid)
            self._changed()

    def drop_trial(self, name: str, uid: str) -> None:
        """Remove a deleted Trial."""
        if (known := self._trials.drop(name, uid)) is not None:
            self._forget(known)
            self._changed()

    def drop_engine(self, name: str, uid: str) -> None:
        """Remove a deleted TrialEngine."""
        if (known := self._engines.drop(name, uid)) is not None:
            self._lose(known.trial_id, uid)
            self._changed()

    def set_automatic(self, *, automatic: bool) -> None:
        """Store whether the TrialRegistry imports automatically."""
        self.automatic = automatic
        self._changed()

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait until `holds()` for at most `seconds`; return whether it does."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiting.add(change)
                    try:
                        await change
                    finally:
                        self._waiting.discard(change)
        except TimeoutError:
            return holds()
        return True

    def _of(self, trial_id: str) -> list[TrialRecord]:
        found = (self._trials.get(name) for name in sorted(self._names.get(trial_id, ())))
        return [trial for trial in found if trial is not None]

    @staticmethod
    def _waits(trial: TrialRecord) -> bool:
        return not (trial.started or trial.outcome or trial.deleting)

    def _counts(self, trial: TrialRecord) -> bool:
        """Return whether a Trial is not a duplicate; once its ID is free, an old refusal no longer counts."""
        if not trial.refused:
            return True
        others = (other for other in self._of(trial.trial_id) if other.name != trial.name)
        rivals = any(not other.refused and self._waits(other) for other in others)
        return not rivals and self.engine(trial.trial_id) is None

    def _started(self, trial: TrialRecord) -> ShownEngine | None:
        """Return the engine of a started Trial while it exists."""
        if trial.started is None or self._gone.get(trial.uid) == trial.engine_uid:
            return None
        name = engine_name(trial.trial_id)
        engine = self._engines.get(name)
        succeeded = engine.succeeded if engine is not None and engine.uid == trial.engine_uid else None
        return ShownEngine(trial.trial_id, trial.engine_uid, name, trial, trial.started, succeeded)

    def _lose(self, trial_id: str, engine_uid: str) -> None:
        for trial in self._of(trial_id):
            if trial.engine_uid in ("", engine_uid):
                self._gone[trial.uid] = engine_uid

    def _forget(self, trial: TrialRecord) -> None:
        self._gone.pop(trial.uid, None)
        self._names[trial.trial_id].discard(trial.name)
        if not self._names[trial.trial_id]:
            del self._names[trial.trial_id]

    def _changed(self) -> None:
        self.version += 1
        waiting, self._waiting = self._waiting, set()
        for change in waiting:
            if not change.done():
                change.set_result(None)


def _alone(engine: EngineRecord) -> ShownEngine:
    """Return an engine whose Trial was deleted."""
    return ShownEngine(engine.trial_id, engine.uid, engine.name, None, engine.start, engine.succeeded)
