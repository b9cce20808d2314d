"""What partners report to an engine, and what they ask of it: callbacks, `active`, `finish`, the status.

A signal is acknowledged once it stands in TrialEngine.status.signals; the engine finds it there, now or after
a restore. Each is appended to what the API server has at that moment: their order is that of the writes.
Called by `routes`.
"""

import uuid
from collections.abc import Callable
from datetime import datetime

from lcm_operator.api.engine import Signal, TrialEngine
from lcm_operator.api.names import engine_name
from lcm_operator.api.storage import parse, serialise
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFound
from lcm_operator.kube.resources import TRIAL_ENGINES
from lcm_operator.kube.update import update
from lcm_operator.plan.signals import ACTIVE, FINISH, KPI_LABEL
from lcm_operator.rest import progress
from lcm_operator.rest.locks import Locks
from lcm_operator.rest.refused import Refused
from lcm_operator.rest.view import View

LARGEST = 4 * 1024
"""How large a signal may be, in bytes."""
MOST_OPEN = 64
KEPT_CONSUMED = 64
"""A restore from before a wait gives it back what it had taken, if that still stands there."""


class Signals:
    """The signals of one namespace. Everything raises Refused, ApiError, Malformed."""

    def __init__(self, client: Client, view: View, namespace: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._view = view
        self._namespace = namespace
        self._now = now
        self._locks = Locks()

    async def active(self, trial_id: str) -> None:
        """Report that the trial's KPIs count from now on; only while their label is Idle."""
        await self._store(trial_id, ACTIVE, _may_become_active)

    async def finish(self, trial_id: str) -> None:
        """End the trial, whatever its engine does."""
        await self._store(trial_id, FINISH, _may_finish)

    async def callback(self, trial_id: str, name: str) -> None:
        """Report that a partner's part is done. One that has failed may be restored, and needs it then."""
        await self._store(trial_id, name, _may_be_called_back)

    async def trial_status(self, trial_id: str) -> progress.Shown:
        """Return status and state of an engine."""
        try:
            raw = await self._client.get(TRIAL_ENGINES, self._namespace, engine_name(trial_id))
        except NotFound:
            raise _unknown() from None
        return progress.shown(self._engine(raw, trial_id))

    async def _store(self, trial_id: str, name: str, check: Callable[[TrialEngine], None]) -> None:
        signal = Signal(id=str(uuid.uuid4()), name=name, received_time=self._now())

        def change(raw: Json) -> Json:
            engine = self._engine(raw, trial_id)
            check(engine)
            return {"status": {"signals": [serialise(each) for each in _added(engine, signal)]}}

        async with self._locks.of(trial_id):
            place = self._namespace, engine_name(trial_id)
            try:
                await update(self._client, TRIAL_ENGINES, *place, change, subresource="status")
            except NotFound:
                raise _unknown() from None

    def _engine(self, raw: Json, trial_id: str) -> TrialEngine:
        """Return the engine of an ID as the API server has it now. Raises Refused if it is none."""
        engine = parse(raw, TrialEngine)
        if engine.spec.trial_id != trial_id or not (engine.status.attempt or self._is_latched(engine)):
            raise _unknown()
        return engine

    def _is_latched(self, engine: TrialEngine) -> bool:
        """Return whether the Trial of an engine that waits for its first grant was started."""
        known = self._view.engine(engine.spec.trial_id)
        return known is not None and known.uid == engine.metadata.uid


def _added(engine: TrialEngine, signal: Signal) -> tuple[Signal, ...]:
    """Return the signals with one more, and without the oldest consumed ones. Raises Refused."""
    taken = {consumed.id for consumed in engine.status.consumed_signals}
    consumed = [known.id for known in engine.status.signals if known.id in taken]
    if len(engine.status.signals) - len(consumed) >= MOST_OPEN:
        raise Refused(413, f"Too many signals: {MOST_OPEN} wait to be taken.")
    dropped = set(consumed[:-KEPT_CONSUMED])
    return (*(known for known in engine.status.signals if known.id not in dropped), signal)


def _may_become_active(engine: TrialEngine) -> None:
    if engine.status.values.get(KPI_LABEL) != "Idle":
        raise Refused(400, "Current label not Idle. Can't mark KPI's as Active.")
    _may_finish(engine)


def _may_finish(engine: TrialEngine) -> None:
    if progress.has_ended(engine):
        raise _not_ready()


def _may_be_called_back(engine: TrialEngine) -> None:
    if progress.has_finished(engine):
        raise _not_ready()


def _not_ready() -> Refused:
    return Refused(400, "Executor not ready for state change.")


def _unknown() -> Refused:
    return Refused(400, "Engine with requested ID does not exist")
