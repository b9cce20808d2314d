"""Which of several Trials with the same trial ID holds it, and what happens to the others. Pure.

A Trial that does not hold its ID waits for it until its deadline. A deleted Trial holds nothing.
"""

from datetime import UTC, datetime, timedelta

from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.conditions import ConditionUpdate
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import rfc3339
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Decision, RecordEvent, WriteTrial, act, wait
from lcm_operator.domain.finished import answer_requests, await_end, decide_loss, decide_over, judge_loss
from lcm_operator.domain.registry_times import ask_first, ask_for_the_first_time
from lcm_operator.domain.removal import is_being_removed
from lcm_operator.domain.requests import trial_delete
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.start_time import latest_start, start_time_of
from lcm_operator.domain.status import (
    cancelled,
    missed_status,
    next_start,
    outcome,
    scheduled_again,
    trial_status,
)

Rank = tuple[bool, datetime, str]
_FAR_PAST = datetime.min.replace(tzinfo=UTC)


def holder(trials: tuple[Trial, ...], engine: TrialEngine | None) -> Trial | None:
    """Return the Trial that holds the ID: the one whose TrialEngine exists.

    Without a TrialEngine, of the Trials that have no outcome and are not being deleted: the one that holds it
    already, else the oldest, then the smallest UID. None if no Trial holds it.
    """
    if engine is not None:
        owner = owner_of(engine)
        return next((trial for trial in trials if trial.metadata.uid == owner), None)
    ranked = [(found, trial) for trial in trials if (found := rank(trial)) is not None]
    return min(ranked, key=lambda each: each[0])[1] if ranked else None


def owner_of(engine: TrialEngine) -> str:
    """Return the UID of the Trial that a TrialEngine belongs to."""
    return engine.metadata.controller_uid or engine.spec.trial_uid


def rank(trial: Trial) -> Rank | None:
    """Return the rank of a Trial among those of its ID, the smallest first; None if it cannot hold it."""
    if trial.metadata.deletion_timestamp is not None:
        return None
    if outcome(trial) is not None and not scheduled_again(trial):
        return None
    created = trial.metadata.creation_timestamp or _FAR_PAST
    return not _holds_already(trial), created, trial.metadata.uid


def _holds_already(trial: Trial) -> bool:
    return outcome(trial) is None and conditions.is_true(trial.status.conditions, reasons.ACCEPTED)


def is_ours(engine: TrialEngine) -> bool:
    """Return whether a Trial controls it, or did: `kubectl delete --cascade=orphan` removes the owner."""
    metadata = engine.metadata
    if metadata.controller_uid is None:
        return metadata.labels.get(names.LABEL_TRIAL) == metadata.name and not metadata.owner_references
    return any(owner.controller and owner.kind == "Trial" for owner in metadata.owner_references)


def decide_waiting(snapshot: Snapshot, trial: Trial, holder: Trial | None, now: datetime) -> Decision:
    """Decide about a trial that does not hold its ID; `holder`: the Trial that does, if it exists."""
    if trial.metadata.deletion_timestamp is not None:
        return _leave(snapshot, trial, now)
    if outcome(trial) is not None:
        return decide_loss(snapshot, trial, now) or decide_over(snapshot, trial, now)
    if trial_delete(trial, None) is not None and (cancelled := answer_requests(snapshot, trial, now)):
        return cancelled
    start_time = start_time_of(trial, snapshot.reported)
    refused = _refusal(snapshot, trial, holder, start_time, now)
    reason, why = refused.reason, refused.message
    if start_time is not None and now > latest_start(trial, start_time):
        if asking := ask_first(snapshot, trial, now):
            return asking
        why = f"{why}. {next_start(trial)}"
        status = missed_status(trial, start_time, now, why, reason)
        return act(WriteTrial(trial, status), RecordEvent(trial, reasons.MISSED, why, warning=True))
    status = trial_status(trial, now, refused)
    if status != trial.status:
        if _is_shown(trial, refused):
            return act(WriteTrial(trial, status))
        event = RecordEvent(trial, reason, why, warning=reason == reasons.DUPLICATE_TRIAL_ID)
        return act(WriteTrial(trial, status), event)
    if start_time is None and (asking := ask_for_the_first_time(snapshot, trial)):
        return asking
    until = None if start_time is None else latest_start(trial, start_time) + timedelta(milliseconds=1)
    return wait("another trial holds the ID", until)


def _refusal(
    snapshot: Snapshot, trial: Trial, holder: Trial | None, start_time: datetime | None, now: datetime
) -> ConditionUpdate:
    """Return why a trial does not hold its ID: another Trial holds it, or the ID is not free yet.

    A trial whose start time passed while another one held the ID stays a duplicate: it must not start when
    that one is deleted. A trial that only waits for the end of a deleted one starts late, up to its own
    deadline.
    """
    was_duplicate = conditions.reason(trial.status.conditions, reasons.ACCEPTED) == reasons.DUPLICATE_TRIAL_ID
    if not _is_leaving(snapshot, holder) or (was_duplicate and start_time is not None and start_time <= now):
        other = f"Trial {holder.metadata.name}, which {_state(holder)}" if holder else "a deleted Trial"
        free = f"delete Trial {holder.metadata.name}" if holder else f"delete TrialEngine {snapshot.name}"
        why = (
            f"trial ID {trial.trial_id!r} is held by {other}; {free} to free the ID, or create this one with"
            " another spec.trialID"
        )
        return ConditionUpdate(reasons.ACCEPTED, "False", reasons.DUPLICATE_TRIAL_ID, why)
    of = f"Trial {holder.metadata.name}" if holder else "a Trial that was deleted"
    why = f"trial ID {trial.trial_id!r} is not free yet: TrialEngine {snapshot.name} of {of} is still ending"
    if start_time is not None:
        latest = rfc3339(latest_start(trial, start_time))
        why = f"{why}; this trial starts once it is deleted, at {latest} at the latest"
    return ConditionUpdate(reasons.ACCEPTED, "False", reasons.TRIAL_ID_NOT_FREE, why)


def _state(holder: Trial) -> str:
    """Return the state of a Trial in few words: each change of them is a write for each of its duplicates."""
    found = outcome(holder)
    if found is not None:
        return "has succeeded" if found.status == "True" else f"has ended ({found.reason})"
    return "has started" if holder.status.started_time is not None else "waits for its start"


def _is_leaving(snapshot: Snapshot, holder: Trial | None) -> bool:
    """Return whether the holder is ending; one that is armed again is not."""
    if holder is None or holder.metadata.deletion_timestamp is not None:
        return True
    engine, started = snapshot.engine, holder.status.engine_ref
    return (
        engine is not None
        and started is not None
        and engine.metadata.uid == started.uid
        and is_being_removed(engine)
    )


def _leave(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    """Return the outcome of a deleted trial that someone else's finalizer keeps."""
    if not set(trial.metadata.finalizers) - {names.FINALIZER_IMPORT}:
        return wait("the trial is being deleted")
    if outcome(trial) is not None:
        return await_end(snapshot, trial, now) or _show_generation(trial, now)
    if trial.status.engine_ref is not None:  # it was started, and may have completed
        return judge_loss(snapshot, trial, now)
    why = "the Trial was deleted"
    return act(
        WriteTrial(trial, trial_status(trial, now, *cancelled(why, trial))),
        RecordEvent(trial, reasons.CANCELLED, why),
    )


def _show_generation(trial: Trial, now: datetime) -> Decision:
    """Return the write after a change of nothing but the generation, as a deletion is one."""
    seen = trial_status(trial, now)
    return act(WriteTrial(trial, seen)) if seen != trial.status else wait("the trial is being deleted")


def _is_shown(trial: Trial, refused: ConditionUpdate) -> bool:
    """Return whether the Trial shows the refusal; a mere progress of the holder is no reason for an Event."""
    known = conditions.find(trial.status.conditions, reasons.ACCEPTED)
    return known is not None and (known.reason, _whose(known.message)) == (
        refused.reason,
        _whose(refused.message),
    )


def _whose(message: str) -> str:
    return message.partition(", which ")[0]
