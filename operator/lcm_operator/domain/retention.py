"""What is left to do about a Trial that has its outcome and no TrialEngine: answers, its end. Pure."""

from datetime import datetime, timedelta
from typing import Any

from lcm_operator.api import reasons
from lcm_operator.api.times import later
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Decision, DeleteTrial, RecordEvent, WriteTrial, act, wait
from lcm_operator.domain.deadline import keep_until
from lcm_operator.domain.loss import await_end, still_acts
from lcm_operator.domain.requests import handled, trial_delete, trial_restore
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.trial_status import Set, cancelled, outcome, trial_status

_WITHOUT_ENGINE = (reasons.MISSED, reasons.CANCELLED)


def decide_over(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    """Decide about a trial that is over and whose TrialEngine is gone."""
    if pending := answer_requests(snapshot, trial, now) or await_end(snapshot, trial, now):
        return pending
    seen = trial_status(trial, now)
    if seen != trial.status:
        return act(WriteTrial(trial, seen))
    return expire(trial, now) or wait("the trial is over")


def answer_requests(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision | None:
    """Return the write that answers requests which no engine is there for; a delete makes a failure final."""
    delete, restore = trial_delete(trial, None), trial_restore(trial, None)
    if delete is None and restore is None:
        return None
    fields: dict[str, Any] = {}
    changes: tuple[Set, ...] = ()
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
    """Return whether the outcome stays when the trial is deleted: a success, or that it was missed."""
    found = outcome(trial)
    return found is not None and (found.status == "True" or found.reason in _WITHOUT_ENGINE)


def expire(trial: Trial, now: datetime) -> Decision | None:
    """Return the end of a trial that was kept for ttlSecondsAfterFinished, or the wait for it.

    Never of a failed one: somebody may want its checkpoint. Nor of one whose start would still be allowed:
    applied again, it would be started again.
    """
    found, seconds = outcome(trial), trial.spec.ttl_seconds_after_finished
    kept = found is None or (found.status == "False" and found.reason not in _WITHOUT_ENGINE)
    if found is None or kept or seconds is None:
        return None
    cancelled_at = trial.status.last_handled_delete
    since = max(found.last_transition_time, cancelled_at.time if cancelled_at else found.last_transition_time)
    end = max(later(since, timedelta(seconds=seconds)), keep_until(trial) or since)
    return act(DeleteTrial(trial)) if now >= end else wait("the trial is kept for its time", end)
