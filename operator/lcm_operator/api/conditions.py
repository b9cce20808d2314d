"""Conditions in the form of metav1.Condition, and the one function that changes them."""

from collections.abc import Iterable
from datetime import UTC
from typing import Literal, NamedTuple

from lcm_operator.api.storage import Moment, Record

Status = Literal["True", "False", "Unknown"]
LONGEST_MESSAGE = 1024


class Condition(Record, frozen=True, kw_only=True):
    """metav1.Condition: `type` is what it is about, `reason` a constant of `api.reasons`."""

    type: str
    status: Status
    reason: str
    message: str
    last_transition_time: Moment
    observed_generation: int = 0


Conditions = tuple[Condition, ...]


class ConditionUpdate(NamedTuple):
    """A condition to be set."""

    type: str
    status: Status
    reason: str
    message: str = ""


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """Return the condition of a type, or None."""
    return next((condition for condition in conditions if condition.type == kind), None)


def decided(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """Return the condition of a type if it is True or False, else None."""
    found = find(conditions, kind)
    return None if found is None or found.status == "Unknown" else found


def is_true(conditions: Iterable[Condition], kind: str) -> bool:
    """Return whether the condition of a type is there with status True."""
    found = find(conditions, kind)
    return found is not None and found.status == "True"


def is_false(conditions: Iterable[Condition], kind: str) -> bool:
    """Return whether the condition of a type is there with status False."""
    found = find(conditions, kind)
    return found is not None and found.status == "False"


def reason(conditions: Iterable[Condition], kind: str) -> str | None:
    """Return the reason of the condition of a type, or None where it isn't there."""
    found = find(conditions, kind)
    return found.reason if found else None


def with_condition(
    conditions: Conditions, change: ConditionUpdate, now: Moment, generation: int = 0
) -> Conditions:
    """Return `conditions` with one set; `lastTransitionTime` moves only when its status flips.

    The message, which may quote others, is cut at 1,024 characters.
    """
    old = find(conditions, change.type)
    since = old.last_transition_time if old is not None and old.status == change.status else now
    new = Condition(
        type=change.type,
        status=change.status,
        reason=change.reason,
        message=change.message[:LONGEST_MESSAGE],
        last_transition_time=since.astimezone(UTC),
        observed_generation=generation,
    )
    if old is None:
        return (*conditions, new)
    return tuple(new if condition is old else condition for condition in conditions)
