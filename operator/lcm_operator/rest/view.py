"""The view: what the sidecar knows of one namespace, fed by watches and by the answers to its own writes.

A cache only: `watching` fills it anew from the API server. Nobody waits for a list call: /status reads it as
it is. What the contract calls a scheduling and an engine is decided here, both from the same objects, so that
a trial that starts goes from one to the other with nothing between.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from lcm_operator.api.names import engine_name
from lcm_operator.rest.projections import Json, ViewedEngine, ViewedTrial, engine_of, trial_of

_REMEMBERED_DEAD = 20_000
Viewed = TypeVar("Viewed", ViewedTrial, ViewedEngine)


@dataclass(frozen=True, slots=True)
class ShownEngine:
    """An engine as callers know it: from the latch of its Trial until its TrialEngine is gone."""

    trial_id: str
    uid: str
    name: str
    trial: ViewedTrial | None
    """The Trial that it was started for, if that is still there."""
    started: datetime
    succeeded: bool | None

    @property
    def status(self) -> str:
        """One of active, failed, finished."""
        return {None: "active", True: "finished", False: "failed"}[self.succeeded]


class View:
    """Trials and TrialEngines of one namespace."""

    def __init__(self) -> None:
        self._trials: dict[str, ViewedTrial] = {}
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._engines: dict[str, ViewedEngine] = {}
        self._gone: dict[str, str] = {}
        """Which TrialEngine a Trial has lost, both by UID."""
        self._dead: OrderedDict[str, None] = OrderedDict()
        self._waiting: set[asyncio.Future[None]] = set()
        self.automatic = False
        """Whether the TrialRegistry imports by itself."""
        self.version = 0
        """Grows with every change."""

    # What is there

    def schedulings(self) -> Iterator[ViewedTrial]:
        """Go through the trials that wait for a start time that is known."""
        for trial in self._trials.values():
            if trial.start is not None and not trial.suspended and self._waits(trial) and self._counts(trial):
                yield trial

    def scheduling(self, trial_id: str) -> ViewedTrial | None:
        """Return the scheduling of an ID: also one that is suspended, or waits for the registry."""
        waiting = [trial for trial in self._of(trial_id) if self._waits(trial)]
        return min(waiting, key=lambda trial: (trial.refused, trial.name), default=None)

    def engines(self) -> Iterator[ShownEngine]:
        """Go through the engines."""
        started = set()
        for trial in self._trials.values():
            if (engine := self._started(trial)) is not None:
                started.add(engine.uid)
                yield engine
        yield from (
            _alone(left) for left in self._engines.values() if left.granted and left.uid not in started
        )

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

    def trial(self, name: str) -> ViewedTrial | None:
        """Return a Trial by the name of its object."""
        return self._trials.get(name)

    def viewed_engine(self, name: str) -> ViewedEngine | None:
        """Return a TrialEngine by the name of its object, granted or not."""
        return self._engines.get(name)

    def engines_of_trial(self, uid: str) -> list[ViewedEngine]:
        """Return the TrialEngines that were made for a Trial, granted or not."""
        return [engine for engine in self._engines.values() if engine.trial_uid == uid]

    # What comes in

    def put_trial(self, raw: Json) -> None:
        """Take in a Trial."""
        trial = trial_of(raw)
        known = self._trials.get(trial.name)
        if self._is_new(trial, known):
            if known is not None and known.uid != trial.uid:
                self.drop_trial(known.name, known.uid)
            self._trials[trial.name] = trial
            self._names[trial.trial_id].add(trial.name)
            self._changed()

    def put_engine(self, raw: Json) -> None:
        """Take in a TrialEngine."""
        engine = engine_of(raw)
        known = self._engines.get(engine.name)
        if self._is_new(engine, known):
            if known is not None and known.uid != engine.uid:
                self.drop_engine(known.name, known.uid)
            self._engines[engine.name] = engine
            self._changed()

    def drop_trial(self, name: str, uid: str) -> None:
        """Forget a Trial that is gone."""
        self._bury(uid)
        known = self._trials.get(name)
        if known is not None and known.uid == uid:
            del self._trials[name]
            self._gone.pop(uid, None)
            self._names[known.trial_id].discard(name)
            if not self._names[known.trial_id]:
                del self._names[known.trial_id]
            self._changed()

    def drop_engine(self, name: str, uid: str) -> None:
        """Forget a TrialEngine that is gone."""
        self._bury(uid)
        known = self._engines.get(name)
        if known is not None and known.uid == uid:
            del self._engines[name]
            self._lose(known.trial_id, uid)
            self._changed()

    def keep_trials(self, uids: Iterable[str]) -> None:
        """Forget all Trials but these: what a new list of them has."""
        kept = set(uids)
        for trial in [trial for trial in self._trials.values() if trial.uid not in kept]:
            self.drop_trial(trial.name, trial.uid)

    def keep_engines(self, uids: Iterable[str], latched: Iterable[ViewedTrial]) -> None:
        """Forget all TrialEngines but these; `latched`: Trials that were started before these were listed."""
        kept = set(uids)
        for engine in [engine for engine in self._engines.values() if engine.uid not in kept]:
            self.drop_engine(engine.name, engine.uid)
        for trial in latched:
            if trial.engine_uid not in kept:
                self._lose(trial.trial_id, trial.engine_uid)
        self._changed()

    def latched(self) -> list[ViewedTrial]:
        """Return the Trials that have been started, whatever became of them."""
        return [trial for trial in self._trials.values() if trial.engine_uid]

    def set_automatic(self, *, automatic: bool) -> None:
        """Take in what the TrialRegistry says."""
        self.automatic = automatic
        self._changed()

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds in the view; False if it still doesn't after so many seconds."""
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

    def _of(self, trial_id: str) -> list[ViewedTrial]:
        return [self._trials[name] for name in sorted(self._names.get(trial_id, ()))]

    @staticmethod
    def _waits(trial: ViewedTrial) -> bool:
        return not (trial.started or trial.outcome or trial.deleting)

    def _counts(self, trial: ViewedTrial) -> bool:
        """Return whether a Trial is more than a duplicate; once its ID is free, the refusal is old."""
        if not trial.refused:
            return True
        others = (other for other in self._of(trial.trial_id) if other.name != trial.name)
        rivals = any(not other.refused and self._waits(other) for other in others)
        return not rivals and self.engine(trial.trial_id) is None

    def _started(self, trial: ViewedTrial) -> ShownEngine | None:
        """Return the engine that a Trial was started with, as long as it is there."""
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

    def _is_new(self, new: Viewed, known: Viewed | None) -> bool:
        if new.uid in self._dead:
            return False
        return known is None or new.version > known.version

    def _bury(self, uid: str) -> None:
        self._dead[uid] = None
        while len(self._dead) > _REMEMBERED_DEAD:
            self._dead.popitem(last=False)

    def _changed(self) -> None:
        self.version += 1
        waiting, self._waiting = self._waiting, set()
        for change in waiting:
            if not change.done():
                change.set_result(None)


def _alone(engine: ViewedEngine) -> ShownEngine:
    """Return an engine whose Trial is gone."""
    return ShownEngine(engine.trial_id, engine.uid, engine.name, None, engine.start, engine.succeeded)
