"""The end of a TrialEngine: what happens between its deletion and its disappearance. Pure.

    deleted ── never granted ─────────────────────────────> pod gone ──> Trial's outcome ──> finalizer off
       └────── granted ── stop ── finally ── pod has ended ────────────────────^

Deleted by a delete request, by `kubectl delete trialengine` (the same thing), with its Trial, or by us before
the start, because the Trial has changed. Our finalizer holds it until no engine can act any more and the
Trial, if it is still there, says what became of it.
"""

from datetime import datetime

import msgspec

from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import (
    Decision,
    RecordEvent,
    ReleaseEngine,
    WriteEngine,
    WriteTrial,
    act,
    wait,
)
from lcm_operator.domain.mirroring import mirror
from lcm_operator.domain.requests import (
    answer,
    echo,
    handled,
    open_deletes,
    open_restores,
    pending_requests,
    trial_restore,
)
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.stopping import decide_ending, end_pod, told_to_stop, was_granted
from lcm_operator.domain.trial_status import cancelled, outcome, start_time, trial_status

_UNDECIDED = (None, reasons.RUNNING, reasons.RESTORING, reasons.STOPPING)
_REMOVED = "the engine is being removed"
_STOPPING = "the engine stops, then it goes"


def decide_removal(snapshot: Snapshot, engine: TrialEngine, owner: Trial | None, now: datetime) -> Decision:
    """Decide about a TrialEngine with a deletionTimestamp; `owner`: its Trial, if it is still there."""
    if names.FINALIZER_ENGINE not in engine.metadata.finalizers:
        return wait("the TrialEngine goes")
    if was_granted(engine):
        stop = engine.status.stop
        deletes = open_deletes(owner, engine)
        restores = (*open_restores(owner, engine), *pending_requests(engine.status))
        if stop is None or deletes or restores:
            status = answer(engine.status, deletes, "Done", _STOPPING, now)
            status = answer(status, restores, "Refused", _REMOVED, now)
            status = msgspec.structs.replace(status, pending_plan=None)
            status = status if stop is not None else told_to_stop(status, "Cancel", now)
            refused = (RecordEvent(owner or engine, reasons.REFUSED, _REMOVED, warning=True),)
            return act(WriteEngine(engine, status), *(refused if restores else ()))
        ending = decide_ending(snapshot, engine, stop, now)
    else:
        ending = end_pod(snapshot, engine, now)
    if ending is not None:
        return ending if ending.actions else _show(snapshot, engine, owner, now) or ending
    if owner is not None:  # being deleted or not: another's finalizer may keep it for long
        return _tell(engine, owner, now) or act(ReleaseEngine(engine))
    if conditions.reason(engine.status.conditions, reasons.SUCCEEDED) in _UNDECIDED:
        why = "its Trial was deleted" + (", the engine was stopped" if was_granted(engine) else "")
        return act(RecordEvent(engine, reasons.CANCELLED, why, first=True), ReleaseEngine(engine))
    return act(ReleaseEngine(engine))


def _show(snapshot: Snapshot, engine: TrialEngine, owner: Trial | None, now: datetime) -> Decision | None:
    """Return the write that makes a latched Trial show how its engine stops; None if it does."""
    reference = owner.status.engine_ref if owner is not None else None
    if owner is None or reference is None or reference.uid != engine.metadata.uid:
        return None
    mirrored = mirror(snapshot, owner, engine, now)
    return act(*mirrored) if mirrored else None


def _tell(engine: TrialEngine, trial: Trial, now: datetime) -> Decision | None:
    """Return the write of the Trial's outcome; None if it has one or is to have none yet."""
    begin = start_time(trial)
    rearmed = trial.status.started_time is None and (
        trial.spec.suspend or engine.spec.trial_generation != trial.metadata.generation
        or engine.spec.start_time != begin
    )  # fmt: skip
    started = trial.status.engine_ref
    stray = started is not None and started.uid != engine.metadata.uid
    if rearmed or stray:
        return None
    why = "the TrialEngine was deleted" if trial.status.started_time is None else "the engine was stopped"
    if trial.metadata.deletion_timestamp is not None:
        why = f"the Trial was deleted, {why}"
    found = outcome(trial)
    keeps = found is not None and (found.status == "True" or trial.status.started_time is None)
    changes = () if keeps else cancelled(why, trial)
    restore = trial_restore(trial, engine)
    refused = handled(restore, "Refused", _REMOVED, now) if restore else None
    status = trial_status(
        trial,
        now,
        *changes,
        last_handled_delete=echo("Delete", trial, engine),
        last_handled_restore=refused or echo("Restore", trial, engine),
    )
    if status == trial.status:
        return None
    events = [] if keeps else [RecordEvent(trial, reasons.CANCELLED, why)]
    if refused is not None:
        events.append(RecordEvent(trial, reasons.REFUSED, refused.message, warning=True))
    return act(WriteTrial(trial, status), *events)
