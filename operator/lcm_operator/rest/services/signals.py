"""Signals to an engine (callbacks, `active`, `finish`), and the engine's state.

A signal is acknowledged only after it is stored in TrialEngine.status.signals, where the engine finds it,
also after a restore. Signals are stored in the order of the writes.
"""

import uuid
from collections.abc import Callable
from datetime import datetime

from lcm_operator.api.engine import Signal, TrialEngine
from lcm_operator.api.names import engine_name
from lcm_operator.api.storage import parse, serialise
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.resources import TRIAL_ENGINES
from lcm_operator.kube.update import Locks, update
from lcm_operator.plan.signals import ACTIVE, CALLBACKS, FINISH, KPI_LABEL
from lcm_operator.rest import wording
from lcm_operator.rest.cache.view import View
from lcm_operator.rest.http.replies import HttpRefusalError

LARGEST = 4 * 1024
"""The maximum size of a signal in bytes."""
MOST_OPEN = 64
KEPT_CONSUMED = 64
"""If it is still stored, a restore from before a wait makes a consumed signal available again."""


class Signals:
    """The signals of one namespace. All methods raise HttpRefusalError, ApiError, MalformedError.

    `known` is the TrialEngine if it was read for this request; otherwise it is read here.
    """

    def __init__(self, client: Client, view: View, namespace: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._view = view
        self._namespace = namespace
        self._now = now
        self._locks = Locks()

    async def active(self, trial_id: str, known: Json | None = None) -> None:
        """Report that the trial's KPIs count from now on; only while their label is Idle."""
        await self._store(trial_id, ACTIVE, _may_become_active, known)

    async def finish(self, trial_id: str, known: Json | None = None) -> None:
        """End the trial, whatever its engine is doing."""
        await self._store(trial_id, FINISH, _may_finish, known)

    async def callback(self, trial_id: str, name: str, known: Json | None = None) -> None:
        """Report that a partner has completed its part.

        Names that the legacy service did not have are accepted if the plan waits for them. A failed engine
        accepts callbacks as well, because it may be restored and then needs them.
        """

        def check(engine: TrialEngine) -> None:
            if name not in CALLBACKS:
                _must_be_awaited(engine, name)
            if wording.has_finished(engine):
                raise _not_ready()

        await self._store(trial_id, name, check, known)

    async def trial_status(self, trial_id: str) -> wording.TrialStatus:
        """Return status and state of an engine."""
        try:
            raw = await self._client.get(TRIAL_ENGINES, self._namespace, engine_name(trial_id))
        except NotFoundError:
            raise _unknown() from None
        return wording.trial_status(self._started(raw, trial_id))

    async def _store(
        self, trial_id: str, name: str, check: Callable[[TrialEngine], None], known: Json | None
    ) -> None:
        signal = Signal(id=str(uuid.uuid4()), name=name, received_time=self._now())

        def change(raw: Json) -> Json:
            engine = self._started(raw, trial_id)
            check(engine)
            return {"status": {"signals": [serialise(each) for each in _added(engine, signal)]}}

        lock = self._locks.of(trial_id)
        if lock.locked():  # another signal is about to change it
            known = None
        async with lock:
            try:
                await update(
                    self._client,
                    TRIAL_ENGINES,
                    self._namespace,
                    engine_name(trial_id),
                    change,
                    subresource="status",
                    known=known,
                )
            except NotFoundError:
                raise _unknown() from None

    def _started(self, raw: Json, trial_id: str) -> TrialEngine:
        """Return the engine of a latched trial. Raises HttpRefusalError if it is not one."""
        engine = parse(raw, TrialEngine)
        shown = self._view.engine(trial_id)
        is_latched = engine.status.attempt > 0 or (shown is not None and shown.uid == engine.metadata.uid)
        if engine.spec.trial_id != trial_id or not is_latched:
            raise _unknown()
        return engine


def _added(engine: TrialEngine, signal: Signal) -> tuple[Signal, ...]:
    """Return the signals with one added and the oldest consumed ones dropped. Raises HttpRefusalError."""
    taken = {consumed.id for consumed in engine.status.consumed_signals}
    consumed = [known.id for known in engine.status.signals if known.id in taken]
    if len(engine.status.signals) - len(consumed) >= MOST_OPEN:
        raise HttpRefusalError(413, f"Too many signals: {MOST_OPEN} are not consumed yet.")
    dropped = set(consumed[:-KEPT_CONSUMED])
    return (*(known for known in engine.status.signals if known.id not in dropped), signal)


def _may_become_active(engine: TrialEngine) -> None:
    if engine.status.values.get(KPI_LABEL) != "Idle":
        raise HttpRefusalError(400, "Current label not Idle. Can't mark KPI's as Active.")
    _may_finish(engine)


def _may_finish(engine: TrialEngine) -> None:
    if wording.has_ended(engine):
        raise _not_ready()


def _must_be_awaited(engine: TrialEngine, name: str) -> None:
    """Raise HttpRefusalError unless a wait is for this signal; `active` and `finish` need a key."""
    waits = (activity.wait for activity in engine.spec.all_activities)
    awaited = sorted({wait.signal for wait in waits if wait is not None} - {ACTIVE, FINISH})
    if name not in awaited:
        known = f"it waits for {', '.join(awaited)}" if awaited else "it waits for no callback"
        raise HttpRefusalError(404, f"The plan does not wait for callback {name}; {known}.")


def _not_ready() -> HttpRefusalError:
    return HttpRefusalError(400, "Executor not ready for state change.")


def _unknown() -> HttpRefusalError:
    return HttpRefusalError(400, "Engine with requested ID does not exist")
