"""What a restore does to the checkpoint: which activities begin again, and the lineage. Pure."""

from datetime import datetime

import msgspec

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import ActivityStatus, Attempt, TrialEngine, TrialEngineStatus
from lcm_operator.domain.outcome import Outcome

_KEPT_ATTEMPTS = 20


def restored(
    engine: TrialEngine, reason: str, now: datetime, from_activity: str | None = None
) -> TrialEngineStatus:
    """Return the status that lets the next attempt go on from the latest checkpoint.

    What failed or was in flight is Pending again, with the same `run` and so the same Idempotency-Key. With
    `from_activity` all from that one on is Pending again; what had succeeded of it gets a new `run`.
    """
    status = engine.status
    reset = _from(engine, from_activity) if from_activity is not None else frozenset()
    activities = tuple(_begin_again(activity, activity.name in reset) for activity in status.activities)
    first = next(
        (activity.name for activity in engine.spec.activities if not _is_through(activities, activity.name)),
        "",
    )
    number = status.attempt + 1
    return msgspec.structs.replace(
        status,
        attempt=number,
        pod_ref=None,
        activities=activities,
        attempts=_append(
            ended(status.attempts, "Stopped", "a restore was asked for", now),
            Attempt(number=number, reason=reason, from_activity=first),
        ),
        attempts_total=status.attempts_total + 1,
        phase="Pending",
        conditions=conditions.with_condition(
            status.conditions,
            reasons.SUCCEEDED,
            "Unknown",
            reasons.RESTORING,
            now=now,
            generation=engine.metadata.generation,
            message=f"attempt {number} begins from the checkpoint",
        ),
    )


def granted_attempts(status: TrialEngineStatus, number: int, now: datetime) -> tuple[Attempt, ...]:
    """Return the lineage with the start of the current attempt, the first one included."""
    known = status.attempts or (Attempt(number=number, reason="Start"),)
    last = msgspec.structs.replace(known[-1], start_time=now, outcome="Running")
    return (*known[:-1], last)


def finished(engine: TrialEngine, outcome: Outcome, now: datetime) -> TrialEngineStatus:
    """Return the status that records how the current attempt ended."""
    word = "Succeeded" if outcome.succeeded else "Failed"
    return msgspec.structs.replace(
        engine.status,
        phase=word,
        attempts=ended(engine.status.attempts, word, outcome.message, now),
        conditions=conditions.with_condition(
            engine.status.conditions,
            reasons.SUCCEEDED,
            "True" if outcome.succeeded else "False",
            outcome.reason,
            now=now,
            generation=engine.metadata.generation,
            message=outcome.message,
        ),
    )


def ended(attempts: tuple[Attempt, ...], outcome: str, message: str, now: datetime) -> tuple[Attempt, ...]:
    """Return the lineage with its last attempt ended, unless it had ended before."""
    if not attempts or attempts[-1].completion_time is not None:
        return attempts
    last = msgspec.structs.replace(attempts[-1], outcome=outcome, message=message[:1024], completion_time=now)
    return (*attempts[:-1], last)


def _append(attempts: tuple[Attempt, ...], attempt: Attempt) -> tuple[Attempt, ...]:
    return (*attempts, attempt)[-_KEPT_ATTEMPTS:]


def _from(engine: TrialEngine, activity: str) -> frozenset[str]:
    names = [known.name for known in engine.spec.activities]
    return frozenset(names[names.index(activity) :])


def _begin_again(activity: ActivityStatus, reset: bool) -> ActivityStatus:
    if activity.state in ("Failed", "Running"):
        return ActivityStatus(name=activity.name, state="Pending", run=activity.run)
    if reset and activity.state in ("Succeeded", "Skipped"):
        run = activity.run + (activity.state == "Succeeded")
        return ActivityStatus(name=activity.name, state="Pending", run=run)
    return activity


def _is_through(activities: tuple[ActivityStatus, ...], name: str) -> bool:
    return any(
        activity.name == name and activity.state in ("Succeeded", "Skipped") for activity in activities
    )
