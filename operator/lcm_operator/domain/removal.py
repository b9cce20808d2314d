"""The removal of a TrialEngine, from the request to its disappearance. Pure.

    deleted ── never granted ────────────────> pod has ended ──> outcome ──> Trial shows it ──> removed
       └────── granted ── stop ── finally ──────────^

Requested by a delete request (then `stop` is Cancel, and the operator deletes it at the end), by `kubectl
delete trialengine`, by the deletion of its Trial, or by the operator before the start because the Trial has
changed. Only while a `finally` may be owed does our finalizer hold it. A completed plan has succeeded,
whoever requested the removal.
"""

from datetime import datetime, timedelta

import msgspec

from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.conditions import LONGEST_MESSAGE
from lcm_operator.api.engine import Handled, TrialEngine, TrialEngineStatus
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import (
    Act,
    Decision,
    DeleteEngine,
    EndUnreadableEngine,
    RecordEvent,
    UnholdEngine,
    WriteEngine,
    WriteTrial,
    act,
    wait,
)
from lcm_operator.domain.attempt_end import has_ended, noted_end
from lcm_operator.domain.checkpoint import finished
from lcm_operator.domain.mirror import mirror
from lcm_operator.domain.plan_change import plan_taken, put_back
from lcm_operator.domain.release import is_held, release_events, release_of, with_release
from lcm_operator.domain.requests import (
    REMOVAL_BEGUN,
    answer,
    echo,
    handled,
    open_deletes,
    open_restores,
    pending_requests,
    taken_over,
    trial_restore,
)
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.status import cancelled, outcome, trial_status
from lcm_operator.domain.stop import decide_ending, end_pod, was_granted, with_stop
from lcm_operator.domain.verdict import PLAN_COMPLETED, Verdict, plan_is_complete

_REMOVED = "the engine is being removed"


def is_being_removed(engine: TrialEngine) -> bool:
    """Return whether a TrialEngine is being deleted, or stopped for its removal: that is irreversible."""
    return engine.metadata.deletion_timestamp is not None or _is_cancelled(engine)


def begin_removal(engine: TrialEngine, owner: Trial, now: datetime) -> Decision:
    """Return the first step after the deletion of a Trial whose TrialEngine is not being deleted yet."""
    if _is_started(engine, owner):
        return act(WriteEngine(engine, with_stop(engine, engine.status, "Cancel", now)))
    return _show_cancelled(engine, owner, now) or act(DeleteEngine(engine))


def decide_removal(snapshot: Snapshot, engine: TrialEngine, owner: Trial | None, now: datetime) -> Decision:
    """Decide about a TrialEngine that is being removed; `owner`: its Trial, if it exists."""
    ending = _end(snapshot, engine, owner, now)
    if ending is not None:
        return ending if isinstance(ending, Act) else _show(snapshot, engine, owner, now) or ending
    if was_granted(engine) or _is_started(engine, owner):
        concluded = _concluded(snapshot, engine, owner, now)
        if concluded != engine.status:
            events = release_events(owner or engine, engine, concluded)
            write = WriteEngine(engine, concluded)
            return act(*events, write) if owner is None else act(write, *events)
    if owner is not None and (shown := _show_outcome(snapshot, engine, owner, now)):
        return shown
    return _remove(engine, owner)


def _end(snapshot: Snapshot, engine: TrialEngine, owner: Trial | None, now: datetime) -> Decision | None:
    """Return the next step until no engine can act and nothing is left to release; None then."""
    if (taken := plan_taken(engine, owner, now)) is not None:
        return taken
    stop = engine.status.stop
    if not was_granted(engine) and not _is_cancelled(engine):
        return end_pod(snapshot, engine, now)
    deletes = open_deletes(owner, engine)
    restores = (*open_restores(owner, engine), *pending_requests(engine.status))
    if stop is None or not _is_cancelled(engine) or deletes or restores:
        kept = put_back(engine)
        status = answer(kept.status, deletes, "Done", REMOVAL_BEGUN, now)
        status = answer(status, restores, "Refused", _REMOVED, now)
        status = msgspec.structs.replace(status, pending_plan=None)
        if not _is_cancelled(engine):
            status = with_stop(kept, status, "Cancel", now)
        refused = (RecordEvent(owner or engine, reasons.REFUSED, _REMOVED, warning=True),)
        return act(WriteEngine(engine, status), *(refused if restores else ()))
    return decide_ending(snapshot, engine, stop, now)


def _is_cancelled(engine: TrialEngine) -> bool:
    return engine.status.stop is not None and engine.status.stop.mode == "Cancel"


def _is_started(engine: TrialEngine, trial: Trial | None) -> bool:
    """Return whether it is the TrialEngine that a Trial was started with."""
    reference = trial.status.engine_ref if trial is not None else None
    return reference is not None and reference.uid == engine.metadata.uid


def _concluded(
    snapshot: Snapshot, engine: TrialEngine, owner: Trial | None, now: datetime
) -> TrialEngineStatus:
    """Return the status with the outcome: Succeeded for a completed plan, else Cancelled.

    It records the end of the pod as well, which the next process may be unable to see. `owner` may exist
    although it is being deleted: someone else's finalizer may keep it.
    """
    engine = noted_end(engine, now) if has_ended(snapshot, engine, now) else engine
    found = conditions.decided(engine.status.conditions, reasons.SUCCEEDED)
    if found is not None and (found.status == "True" or found.reason == reasons.CANCELLED):
        return with_release(engine, engine.status, now)
    why = f"{_cause(engine, owner)}the engine was stopped"
    stopped = Verdict(succeeded=False, reason=reasons.CANCELLED, message=why)
    return finished(engine, PLAN_COMPLETED if plan_is_complete(engine) else stopped, now)


def _cause(engine: TrialEngine, owner: Trial | None) -> str:
    """Return who had an engine stopped, as the beginning of a message; '' if nobody asked for that."""
    if owner is None or owner.metadata.deletion_timestamp is not None:
        return "the Trial was deleted, "
    on_trial = [each for each in engine.status.trial_requests if each.type == "Delete"]
    on_engine = engine.status.last_handled_delete
    answers = [*([on_engine] if on_engine is not None else []), *on_trial]
    done = [each.id for each in answers if each.result == "Done"]
    return f"the trial was deleted by the request {done[-1]!r}, " if done else ""


def _show(snapshot: Snapshot, engine: TrialEngine, owner: Trial | None, now: datetime) -> Act | None:
    """Return the write that shows on a latched Trial how its engine stops; None if it is shown."""
    if owner is None or not _is_started(engine, owner):
        return None
    return mirror(snapshot, owner, engine, now)


def _show_outcome(snapshot: Snapshot, engine: TrialEngine, trial: Trial, now: datetime) -> Act | None:
    """Return the write of the Trial's outcome; None if it has one, or will be armed again."""
    if not _is_started(engine, trial):
        return _show_cancelled(engine, trial, now)
    restore = trial_restore(trial, engine)
    refused = handled(restore, "Refused", _REMOVED, now) if restore else echo("Restore", trial, engine)
    answers = {"last_handled_restore": refused, "last_handled_delete": _last_word(trial, engine)}
    mirrored = mirror(snapshot, trial, engine, now, **answers)
    if mirrored is None or restore is None:
        return mirrored
    return act(*mirrored.actions, RecordEvent(trial, reasons.REFUSED, _REMOVED, warning=True))


def _show_cancelled(engine: TrialEngine, trial: Trial, now: datetime) -> Act | None:
    """Return the write of the outcome of a Trial deleted before its start; None if it has one."""
    if trial.metadata.deletion_timestamp is None or outcome(trial) is not None:
        return None
    why = "the Trial was deleted before its start"
    status = trial_status(trial, now, *cancelled(why, trial, engine.spec))
    return act(WriteTrial(trial, status), RecordEvent(trial, reasons.CANCELLED, why))


def _last_word(trial: Trial, engine: TrialEngine) -> Handled | None:
    """Return the final answer to the delete request that caused the removal, with the result of `finally`."""
    given, release = echo("Delete", trial, engine), release_of(engine)
    if given is None or given.result != "Done" or taken_over(engine, "Delete", given.id) is None:
        return given
    message = "the engine was stopped and its TrialEngine removed"
    if release is not None:
        message = f"{message}; {release.message}"
    return msgspec.structs.replace(given, message=message[:LONGEST_MESSAGE])


def _remove(engine: TrialEngine, owner: Trial | None) -> Decision:
    """Return the last step; if the Trial no longer exists, an Event records the outcome."""
    if is_held(engine):
        if owner is not None:
            return act(UnholdEngine(engine))
        found = conditions.decided(engine.status.conditions, reasons.SUCCEEDED)
        if found is not None and found.status == "True":
            return act(RecordEvent(engine, found.reason, found.message, first=True), UnholdEngine(engine))
        why = "its Trial was deleted" + (", the engine was stopped" if was_granted(engine) else "")
        return act(RecordEvent(engine, reasons.CANCELLED, why, first=True), UnholdEngine(engine))
    if engine.metadata.deletion_timestamp is not None:
        return wait("the TrialEngine is being deleted")
    return act(DeleteEngine(engine))


_FINALLY_TAKES = timedelta(minutes=10)
_LOOK_AGAIN = timedelta(seconds=5)


def decide_unreadable_removal(snapshot: Snapshot, engine: Metadata, now: datetime) -> Decision | None:
    """Decide about an unreadable TrialEngine; None while it is not being deleted."""
    if engine.deletion_timestamp is None:
        return None
    if names.FINALIZER_ENGINE not in engine.finalizers:
        return wait("the TrialEngine is being deleted")
    seen = snapshot.unreadable_runs
    if seen is not None and seen.is_within(_LOOK_AGAIN, now):
        return wait("a pod of the unreadable TrialEngine is running", seen.time + _LOOK_AGAIN * 1.01)
    return act(EndUnreadableEngine(engine, end_pods=now >= engine.deletion_timestamp + _FINALLY_TAKES))
