"""How a Trial's status is made: every write of it goes through `trial_status`. Pure."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from lcm_operator.api import conditions, reasons
from lcm_operator.api.conditions import Conditions, Status
from lcm_operator.api.trial import Trial, TrialStatus

_TYPES = (reasons.ACCEPTED, reasons.SCHEDULED, reasons.ARMED, reasons.STARTED, reasons.SUCCEEDED)


class Set(NamedTuple):
    """A condition to be set."""

    type: str
    status: Status
    reason: str
    message: str = ""


def start_time(trial: Trial) -> datetime | None:
    """Return the resolved start time in UTC; None as long as the registry has not told it."""
    if trial.spec.start_time is not None:
        return trial.spec.start_time.astimezone(UTC)
    return trial.status.start_time


def is_final(trial: Trial) -> bool:
    """Return whether the trial has an outcome that only a restore or a new start time can take back."""
    return not _unknown(trial, reasons.SUCCEEDED)


def has_outcome(trial: Trial, reason: str) -> bool:
    """Return whether the trial ended without success for this reason."""
    found = conditions.find(trial.status.conditions, reasons.SUCCEEDED)
    return found is not None and found.status == "False" and found.reason == reason


def trial_status(trial: Trial, now: datetime, *changes: Set, **fields: Any) -> TrialStatus:
    """Return the status of `trial` with conditions and fields changed, and what follows from them.

    All five conditions are there from the first visit on (Unknown, Waiting).
    """
    generation = trial.metadata.generation
    current: Conditions = trial.status.conditions
    missing = [
        Set(kind, "Unknown", reasons.WAITING) for kind in _TYPES if conditions.find(current, kind) is None
    ]
    for change in (*missing, *changes):
        current = conditions.with_condition(
            current,
            change.type,
            change.status,
            change.reason,
            now=now,
            generation=generation,
            message=change.message,
        )
    return msgspec.structs.replace(
        trial.status,
        observed_generation=generation,
        trial_id=trial.trial_id,
        conditions=current,
        phase=phase(current),
        **fields,
    )


def phase(current: Conditions) -> str:
    """Return one word for people; no code branches on it."""
    outcome = conditions.find(current, reasons.SUCCEEDED)
    if outcome is not None and outcome.status == "True":
        return "Succeeded"
    if outcome is not None and outcome.status == "False":
        return outcome.reason if outcome.reason in (reasons.MISSED, reasons.CANCELLED) else "Failed"
    if conditions.is_true(current, reasons.STARTED):
        return "Running"
    if conditions.reason(current, reasons.SCHEDULED) == reasons.SUSPENDED:
        return "Suspended"
    if conditions.is_true(current, reasons.ARMED):
        return "Armed"
    if conditions.is_true(current, reasons.SCHEDULED):
        return "Scheduled"
    return "Pending"


def _unknown(trial: Trial, kind: str) -> bool:
    found = conditions.find(trial.status.conditions, kind)
    return found is None or found.status == "Unknown"
