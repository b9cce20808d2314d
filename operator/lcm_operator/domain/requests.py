"""Requests by annotation: which are open, and how they are answered. Pure.

A request on the Trial acts on the TrialEngine: `trialRequests` there is written in the same write as what it
causes, the Trial's own echo follows. So a crash repeats the echo, never the act.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from lcm_operator.api import names
from lcm_operator.api.engine import Handled, TrialEngine, TrialEngineStatus, TrialRequest
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.trial import Trial

Result = Literal["Done", "Refused", "Ignored", "Merged"]
_KEPT_REQUESTS = 20


@dataclass(frozen=True)
class Restore:
    """An open restore request; `from_activity` is set by `restore-from` of the same ID."""

    id: str
    on_trial: bool
    from_activity: str | None = None


def open_restores(trial: Trial, engine: TrialEngine) -> tuple[Restore, ...]:
    """Return the restore requests on Trial and TrialEngine that the TrialEngine has not answered."""
    found = []
    asked = _restore(trial.metadata, on_trial=True)
    if asked is not None and _taken_over(engine, "Restore", asked.id) is None:
        found.append(asked)
    asked = _restore(engine.metadata, on_trial=False)
    answered = engine.status.last_handled_restore
    if asked is not None and (answered is None or answered.id != asked.id):
        found.append(asked)
    return tuple(found)


def echo_due(trial: Trial, engine: TrialEngine | None) -> Handled | None:
    """Return the answer that the Trial's status still has to repeat, or None."""
    asked = _restore(trial.metadata, on_trial=True)
    echoed = trial.status.last_handled_restore
    if asked is None or engine is None or (echoed is not None and echoed.id == asked.id):
        return None
    taken = _taken_over(engine, "Restore", asked.id)
    if taken is None:
        return None
    return Handled(id=taken.id, time=taken.time, result=taken.result, message=taken.message)


def answer(
    status: TrialEngineStatus,
    restores: tuple[Restore, ...],
    result: Result,
    message: str,
    now: datetime,
) -> TrialEngineStatus:
    """Return `status` with the requests answered: to be written together with what they cause."""
    for restore in restores:
        if restore.on_trial:
            taken = TrialRequest(type="Restore", id=restore.id, time=now, result=result, message=message)
            requests = (*status.trial_requests, taken)[-_KEPT_REQUESTS:]
            status = msgspec.structs.replace(status, trial_requests=requests)
        else:
            handled = Handled(id=restore.id, time=now, result=result, message=message)
            status = msgspec.structs.replace(status, last_handled_restore=handled)
    return status


def _restore(metadata: Metadata, *, on_trial: bool) -> Restore | None:
    request = metadata.annotations.get(names.ANNOTATION_RESTORE)
    if not request:
        return None
    same_id, _, activity = metadata.annotations.get(names.ANNOTATION_RESTORE_FROM, "").rpartition("/")
    chosen = activity if same_id == request else None
    return Restore(id=request, on_trial=on_trial, from_activity=chosen)


def _taken_over(engine: TrialEngine, kind: str, request: str) -> TrialRequest | None:
    return next(
        (taken for taken in engine.status.trial_requests if taken.type == kind and taken.id == request),
        None,
    )
