"""Deleted Trials that show no outcome: an Event records the outcome of each.

    Trial deleted ── no TrialEngine ────────────────────────────────> Event
         └── its TrialEngine exists ── it is deleted as well ───────> Event, by its last checkpoint

The checkpoint is judged first: a completed plan has succeeded, whatever was deleted since. As long as the
TrialEngine exists, its engine may save one more. For a TrialEngine that our finalizer holds, the operator
writes outcome and Event before it removes the finalizer; only one that is removed by force is reported here.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.controllers.recorder import Recorder
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.release import is_held
from lcm_operator.domain.status import outcome
from lcm_operator.domain.verdict import PLAN_COMPLETED, plan_is_complete
from lcm_operator.kube.clock import Clock

_MOST = 1000
_KEPT_SECONDS = 60.0


@dataclass
class Deleted:
    """A deleted Trial; `engine`: the last state of its TrialEngine; `held`: that had our finalizer."""

    trial: Trial
    engine: TrialEngine | None
    held: bool = False


class DeletedTrials:
    """Outcomes to be recorded. A standby keeps them for a while: its leader may have died before it could."""

    def __init__(
        self, cache: SlotCache, recorder: Recorder, may_act: Callable[[], bool], clock: Clock
    ) -> None:
        self._cache = cache
        self._recorder = recorder
        self._may_act = may_act
        self._clock = clock
        self._waiting: OrderedDict[str, Deleted] = OrderedDict()
        """By the UIDs of their TrialEngines, which still exist."""
        self._untold: deque[tuple[float, Deleted]] = deque(maxlen=_MOST)

    def add(self, trial: Trial) -> None:
        """Note that a Trial was deleted; one that showed its outcome needs no Event."""
        if outcome(trial) is not None:
            return
        key = self._cache.key_of(trial)
        engine = self._cache.engine(key)
        if engine is None or engine.spec.trial_uid != trial.metadata.uid:
            last = self._cache.slot(key).departed
            own = last is not None and last.spec.trial_uid == trial.metadata.uid
            self._tell(Deleted(trial, last if own else None))
            return
        self._waiting[engine.metadata.uid] = Deleted(trial, engine, held=is_held(engine))
        if len(self._waiting) > _MOST:
            self._tell(self._waiting.popitem(last=False)[1])

    def look(self) -> None:
        """Note the state of the TrialEngines that are waited for, and report those that were deleted."""
        for uid, deleted in list(self._waiting.items()):
            engine = self._cache.engine(self._cache.key_of(deleted.trial))
            if engine is not None and engine.metadata.uid == uid:
                deleted.engine, deleted.held = engine, deleted.held or is_held(engine)
                continue
            del self._waiting[uid]
            self._tell(deleted)

    def take_over(self) -> None:
        """Report what happened shortly before this process became the leader."""
        untold, self._untold = self._untold, deque(maxlen=_MOST)
        for since, deleted in untold:
            if self._clock.elapsed() - since < _KEPT_SECONDS:
                self._tell(deleted)

    def _tell(self, deleted: Deleted) -> None:
        trial, engine = deleted.trial, deleted.engine
        concluded = engine and conditions.decided(engine.status.conditions, reasons.SUCCEEDED)
        if deleted.held and concluded:
            return
        if not self._may_act():
            self._untold.append((self._clock.elapsed(), deleted))
            return
        reason, why = reasons.CANCELLED, "the Trial was deleted before its start"
        if engine is not None and plan_is_complete(engine):
            reason, why = PLAN_COMPLETED.reason, PLAN_COMPLETED.message
        elif trial.status.started_time is not None:
            why = "the Trial was deleted, and its TrialEngine with it"
        self._recorder.tell("Trial", trial.metadata, reason, why, warning=False, once=True)
