"""A Trial that is over, or was started and lost its TrialEngine: outcome, answers, removal. Pure.

Without `finally` nothing holds a TrialEngine, so that deleting it cancels the trial. With `finally` a
finalizer holds it: one that disappears nevertheless was removed by force, and is lost.
"""

from datetime import datetime, timedelta
from typing import Any

from lcm_operator.api import conditions, reasons
from lcm_operator.api.conditions import ConditionUpdate
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.times import later
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import (
    Act,
    Decision,
    DeleteEngine,
    DeleteTrial,
    LookUpEngine,
    RecordEvent,
    WriteTrial,
    act,
    wait,
)
from lcm_operator.domain.release import judge_release
from lcm_operator.domain.requests import handled, trial_delete, trial_restore
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.start_time import keep_until
from lcm_operator.domain.status import cancelled, outcome, trial_status
from lcm_operator.domain.verdict import PLAN_COMPLETED, plan_is_complete, progress

_LOOK_AGAIN = timedelta(seconds=5)
_OVER = (reasons.CANCELLED, reasons.MISSED, reasons.ENGINE_LOST)


def decide_lost(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    """Decide about a latched trial that holds its ID and has no TrialEngine."""
    if outcome(trial) is not None:
        stray = snapshot.engine  # created by a leader that was frozen before its create; never granted
        return wait("the trial has its outcome") if stray is None else act(DeleteEngine(stray))
    return judge_loss(snapshot, trial, now)


def decide_loss(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision | None:
    """Decide about a trial that failed, waits for a person and lost its TrialEngine; else None."""
    found = outcome(trial)
    waited = found is not None and found.status == "False" and found.reason not in _OVER
    recorded = conditions.reason(trial.status.conditions, reasons.RELEASED) == reasons.ENGINE_LOST
    if not waited or trial.status.engine_ref is None or snapshot.engine is not None or recorded:
        return None
    return judge_loss(snapshot, trial, now)


def judge_loss(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    """Return the read of the TrialEngine; after that, the outcome of a latched trial that lost it.

    A TrialEngine of another Trial under that name proves the loss as well.
    """
    if snapshot.engine is None and not snapshot.engine_gone:
        return act(LookUpEngine())
    last = _last_seen(snapshot, trial)
    if last is not None and plan_is_complete(last):
        release = judge_release(last)
        changes = [ConditionUpdate(reasons.SUCCEEDED, "True", PLAN_COMPLETED.reason, PLAN_COMPLETED.message)]
        changes += [release] if release is not None else []
        acts = still_acts(snapshot, trial) if release is not None and release.status == "False" else None
        status = trial_status(trial, now, *changes, unfinished=acts, progress=progress(last))
        return act(WriteTrial(trial, status), RecordEvent(trial, reasons.COMPLETED, PLAN_COMPLETED.message))
    release_shown = conditions.find(trial.status.conditions, reasons.RELEASED)
    if release_shown is None or release_shown.status != "Unknown":
        why = f"TrialEngine {snapshot.name} was deleted"
        acts = still_acts(snapshot, trial)
        status = trial_status(trial, now, *cancelled(why, trial), unfinished=acts)
        return act(WriteTrial(trial, status), RecordEvent(trial, reasons.CANCELLED, why))
    why = f"TrialEngine {snapshot.name} no longer exists, and the checkpoint is lost with it"
    ends = () if outcome(trial) else (ConditionUpdate(reasons.SUCCEEDED, "False", reasons.ENGINE_LOST, why),)
    released, acts = _lost_release(snapshot.name, last), still_acts(snapshot, trial)
    status = trial_status(trial, now, *ends, released, unfinished=acts)
    return act(WriteTrial(trial, status), RecordEvent(trial, reasons.ENGINE_LOST, why, warning=True))


def still_acts(snapshot: Snapshot, trial: Trial) -> ConditionUpdate | None:
    """Return the condition Finished=False of a trial without TrialEngine whose pod may still act; else None.

    Once Finished is True, a pod that is found later does not revert it.
    """
    reference = trial.status.engine_ref
    if reference is None or conditions.is_true(trial.status.conditions, reasons.FINISHED):
        return None
    pods = [pod.name for pod in snapshot.leftovers if pod.engine_uid == reference.uid]
    if not pods and snapshot.pods_listed:
        return None
    why = f"pod {pods[0]} was not seen to end yet" if pods else "the pods of its engine are not known yet"
    return ConditionUpdate(reasons.FINISHED, "False", reasons.ENDING, f"{why}: until then its engine may act")


def await_end(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision | None:
    """Return the step before a trial without TrialEngine is finished; None once it is."""
    if not conditions.is_false(trial.status.conditions, reasons.FINISHED):
        return None
    acts = still_acts(snapshot, trial)
    status = trial_status(trial, now, unfinished=acts)
    if acts is None or status != trial.status:
        return act(WriteTrial(trial, status))
    return wait(acts.message, now + _LOOK_AGAIN)


def _last_seen(snapshot: Snapshot, trial: Trial) -> TrialEngine | None:
    """Return the TrialEngine of the start as this process last saw it, if it did."""
    last, reference = snapshot.departed, trial.status.engine_ref
    fits = last is not None and reference is not None and last.metadata.uid == reference.uid
    return last if fits else None


def _lost_release(name: str, last: TrialEngine | None) -> ConditionUpdate:
    """Return the condition Released of a trial whose TrialEngine was removed before `finally` was over.

    Its last known state is shown, but decides nothing: another process may not have seen it.
    """
    known = judge_release(last) if last is not None else None
    seen = f"; when last seen: {known.message}" if known is not None else ""
    why = f"TrialEngine {name} was removed by force before its `finally` was over{seen}"
    return ConditionUpdate(reasons.RELEASED, "False", reasons.ENGINE_LOST, why)


_WITHOUT_ENGINE = (reasons.MISSED, reasons.CANCELLED)


def decide_over(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    """Decide about a trial that is over and has no TrialEngine."""
    if pending := answer_requests(snapshot, trial, now) or await_end(snapshot, trial, now):
        return pending
    seen = trial_status(trial, now)
    if seen != trial.status:
        return act(WriteTrial(trial, seen))
    return expire(trial, now) or wait("the trial is over")


def answer_requests(snapshot: Snapshot, trial: Trial, now: datetime) -> Act | None:
    """Return the write that answers requests without an engine; a delete makes a failure final."""
    delete, restore = trial_delete(trial, None), trial_restore(trial, None)
    if delete is None and restore is None:
        return None
    fields: dict[str, Any] = {}
    changes: tuple[ConditionUpdate, ...] = ()
    events: list[RecordEvent] = []
    if delete is not None:
        fields["last_handled_delete"] = handled(delete, "Done", "there is no engine any more", now)
        if delete.fault:
            events.append(RecordEvent(trial, reasons.REFUSED, delete.fault, warning=True))
        elif not _keeps(trial):
            changes = cancelled("cancelled by a delete request", trial)
            events.append(RecordEvent(trial, reasons.CANCELLED, "cancelled by a delete request"))
    if restore is not None:
        refused = handled(restore, "Refused", "there is no engine to restore", now)
        fields["last_handled_restore"] = refused
        events.append(RecordEvent(trial, reasons.REFUSED, refused.message, warning=True))
    status = trial_status(trial, now, *changes, unfinished=still_acts(snapshot, trial), **fields)
    return act(WriteTrial(trial, status), *events)


def _keeps(trial: Trial) -> bool:
    """Return whether a delete request keeps the outcome: Succeeded, Missed or Cancelled."""
    found = outcome(trial)
    return found is not None and (found.status == "True" or found.reason in _WITHOUT_ENGINE)


def expire(trial: Trial, now: datetime) -> Decision | None:
    """Return the deletion of a trial after ttlSecondsAfterFinished, or the wait for it.

    Never of a failed one, whose checkpoint may be needed, nor of one whose start would still be allowed:
    applied again, it would be started again.
    """
    found, seconds = outcome(trial), trial.spec.ttl_seconds_after_finished
    kept = found is None or (found.status == "False" and found.reason not in _WITHOUT_ENGINE)
    if found is None or kept or seconds is None:
        return None
    cancelled_at = trial.status.last_handled_delete
    since = max(found.last_transition_time, cancelled_at.time if cancelled_at else found.last_transition_time)
    end = max(later(since, timedelta(seconds=seconds)), keep_until(trial) or since)
    return (
        act(DeleteTrial(trial)) if now >= end else wait("the trial is kept for ttlSecondsAfterFinished", end)
    )
