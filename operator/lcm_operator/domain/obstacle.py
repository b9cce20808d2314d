"""The conditions Stalled and Reconciling: does an object need somebody, as kstatus (Helm, Flux) asks? Pure.

    in order ──not ready──> Reconciling ──10 s──> Stalled ──ready──> in order
        └─────failed, missed, a duplicate ───────────^

In order it has neither condition, so that they cost nothing. A trial that waits for its start or runs is in
order: nothing may show it as unfinished for days. What is missing within the first seconds may be applied
next.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from lcm_operator.api import conditions, reasons
from lcm_operator.api.conditions import Condition, Conditions, ConditionUpdate, with_condition
from lcm_operator.api.times import later

GRACE = timedelta(seconds=10)
_OURS = (reasons.STALLED, reasons.RECONCILING)
_NOBODY_NEEDED = (
    reasons.WAITING,
    reasons.API_UNAVAILABLE,
    reasons.TRIAL_ID_NOT_FREE,
    reasons.SUSPENDED,
    reasons.IMPORT_LIMIT_REACHED,
)
"""Reasons of False that pass without anybody's help, or that somebody wanted."""


class Obstacle(NamedTuple):
    """A condition that somebody has to do something about, and from when on it counts as lasting."""

    condition: Condition
    lasting_from: datetime


def obstacle(current: Conditions) -> Obstacle | None:
    """Return what keeps a trial, or its engine, from starting or from its success; None if it is in order.

    A cancelled trial is as somebody wanted it, and so is a suspended one.
    """
    outcome = conditions.decided(current, reasons.SUCCEEDED)
    if outcome is not None:
        found = outcome if outcome.status == "False" and outcome.reason != reasons.CANCELLED else None
        found = found or _false(current, reasons.RELEASED)
        return Obstacle(found, found.last_transition_time) if found is not None else None
    suspended = conditions.reason(current, reasons.SCHEDULED) == reasons.SUSPENDED
    if suspended or conditions.is_true(current, reasons.STARTED):
        return None
    if (refused := _false(current, reasons.ACCEPTED)) is not None:
        return Obstacle(refused, refused.last_transition_time)
    found = _false(current, reasons.ARMED)
    return Obstacle(found, later(found.last_transition_time, GRACE)) if found is not None else None


def registry_obstacle(current: Conditions) -> Obstacle | None:
    """Return what keeps a TrialRegistry from being synced and its trials from being imported, if anything.

    A suspended one is as somebody wanted it, and so is one that has reached its limit of imports.
    """
    if (silent := _false(current, reasons.SYNCED)) is not None:
        return Obstacle(silent, later(silent.last_transition_time, GRACE))
    refused = _false(current, reasons.IMPORTED)
    return Obstacle(refused, refused.last_transition_time) if refused is not None else None


def with_obstacle(current: Conditions, found: Obstacle | None, now: datetime, generation: int) -> Conditions:
    """Return conditions with Stalled or Reconciling for an obstacle, without both if there is none.

    All conditions carry the generation: `kubectl wait` passes over one that is of an older.
    """
    kind = None if found is None else _OURS[now < found.lasting_from]
    current = tuple(each for each in current if each.type not in _OURS or each.type == kind)
    if found is not None and kind is not None:
        shown = ConditionUpdate(kind, "True", found.condition.reason, found.condition.message)
        current = with_condition(current, shown, now, generation)
    return tuple(replace(each, observed_generation=generation) for each in current)


def stalls_at(current: Conditions, otherwise: datetime | None) -> datetime | None:
    """Return when an obstacle that is shown as recent becomes a lasting one, or `otherwise` if sooner."""
    found = obstacle(current) if conditions.is_true(current, reasons.RECONCILING) else None
    if found is None:
        return otherwise
    return found.lasting_from if otherwise is None else min(found.lasting_from, otherwise)


def _false(current: Conditions, kind: str) -> Condition | None:
    found = conditions.find(current, kind)
    return (
        found
        if found is not None and found.status == "False" and found.reason not in _NOBODY_NEEDED
        else None
    )
