"""What partners report to an engine, and what they ask of it: callbacks, `active`, `finish`, the status.

A signal is acknowledged once it is stored in TrialEngine.status.signals; the engine finds it there, now or
after a restore. Each is appended to what the API server has then: their order is that of the writes.
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
from lcm_operator.plan.signals import ACTIVE, FINISH, KPI_LABEL
from lcm_operator.rest import wording
from lcm_operator.rest.cache.view import View
from lcm_operator.rest.engine_reads import read_engine
from lcm_operator.rest.http.replies import HttpRefusalError

LARGEST = 4 * 1024
"""How large a signal may be, in bytes."""
MOST_OPEN = 64
KEPT_CONSUMED = 64
"""A restore from before a wait gives it back what it had taken, if that is still stored."""


class Signals:
    """The signals of one namespace. Everything raises HttpRefusalError, ApiError, MalformedError."""

    def __init__(self, client: Client, view: View, namespace: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._view = view
        self._namespace = namespace
        self._now = now
        self._locks = Locks()

    async def active(self, trial_id: str, known: Json | None = None) -> None:
        """Report that the trial's KPIs count from now on; only while their label is Idle.

        `known`: the TrialEngine as it was read for this request; without it, it is read here.
        """
        await self._store(trial_id, ACTIVE, _may_become_active, known)

    async def finish(self, trial_id: str, known: Json | None = None) -> None:
        """End the trial, whatever its engine does. `known`: as for `active`."""
        await self._store(trial_id, FINISH, _may_finish, known)

    async def callback(self, trial_id: str, name: str, known: Json | None = None) -> None:
        """Report that a partner's part is done. `known`: as for `active`.

        An engine that has failed takes it too: it may be restored, and needs it then.
        """
        await self._store(trial_id, name, _may_be_called_back, known)

    async def trial_status(self, trial_id: str) -> wording.TrialStatus:
        """Return status and state of an engine."""
        found = await read_engine(self._client, self._namespace, trial_id)
        if found is None or not self._is_started(found.engine):
            raise _unknown()
        return wording.trial_status(found.engine)

    async def _store(
        self, trial_id: str, name: str, check: Callable[[TrialEngine], None], known: Json | None
    ) -> None:
        signal = Signal(id=str(uuid.uuid4()), name=name, received_time=self._now())

        def change(raw: Json) -> Json:
            engine = parse(raw, TrialEngine)
            if engine.spec.trial_id != trial_id or not self._is_started(engine):
                raise _unknown()
            check(engine)
            return {"status": {"signals": [serialise(each) for each in _added(engine, signal)]}}

        lock = self._locks.of(trial_id)
        if lock.locked():  # what was read is about to be old
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

    def _is_started(self, engine: TrialEngine) -> bool:
        """Return whether an engine was granted, or waits for its first grant and its Trial was started."""
        if engine.status.attempt:
            return True
        shown = self._view.engine(engine.spec.trial_id)
        return shown is not None and shown.uid == engine.metadata.uid


def _added(engine: TrialEngine, signal: Signal) -> tuple[Signal, ...]:
    """Return the signals with one more, and without the oldest consumed ones. Raises HttpRefusalError."""
    taken = {consumed.id for consumed in engine.status.consumed_signals}
    consumed = [known.id for known in engine.status.signals if known.id in taken]
    if len(engine.status.signals) - len(consumed) >= MOST_OPEN:
        raise HttpRefusalError(413, f"Too many signals: {MOST_OPEN} wait to be taken.")
    dropped = set(consumed[:-KEPT_CONSUMED])
    return (*(known for known in engine.status.signals if known.id not in dropped), signal)


def _may_become_active(engine: TrialEngine) -> None:
    if engine.status.values.get(KPI_LABEL) != "Idle":
        raise HttpRefusalError(400, "Current label not Idle. Can't mark KPI's as Active.")
    _may_finish(engine)


def _may_finish(engine: TrialEngine) -> None:
    if wording.has_ended(engine):
        raise _not_ready()


def _may_be_called_back(engine: TrialEngine) -> None:
    if wording.has_finished(engine):
        raise _not_ready()


def _not_ready() -> HttpRefusalError:
    return HttpRefusalError(400, "Executor not ready for state change.")


def _unknown() -> HttpRefusalError:
    return HttpRefusalError(400, "Engine with requested ID does not exist")
