"""The status of a Trial: every write of it goes through `trial_status`. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

import msgspec

from lcm_operator.api import conditions, reasons
from lcm_operator.api.conditions import (
    LONGEST_MESSAGE,
    Condition,
    Conditions,
    ConditionUpdate,
    with_condition,
)
from lcm_operator.api.plan import Plan
from lcm_operator.api.trial import Missed, Trial, TrialStatus
from lcm_operator.domain.obstacle import obstacle, with_obstacle
from lcm_operator.domain.requests import ignored_restore

Phase = Literal[
    "Pending",
    "Scheduled",
    "Armed",
    "Due",
    "Starting",
    "Running",
    "Succeeded",
    "Failed",
    "Missed",
    "Suspended",
    "Cancelled",
]
PHASES: tuple[Phase, ...] = get_args(Phase)
_TYPES = (reasons.ACCEPTED, reasons.SCHEDULED, reasons.ARMED, reasons.STARTED, reasons.SUCCEEDED)
_KEPT_MISSES = 5
_STARTING = (reasons.STARTING, reasons.POD_PENDING)
_LONGEST_SUMMARY = 256
_WITHOUT_SUCCESS: dict[str, Phase] = {reasons.MISSED: "Missed", reasons.CANCELLED: "Cancelled"}


NOTHING_TO_RELEASE = ConditionUpdate(
    reasons.RELEASED,
    "True",
    reasons.NOTHING_TO_RELEASE,
    "the trial ended before any activity had begun",
)
ACCEPTED = ConditionUpdate(reasons.ACCEPTED, "True", reasons.ACCEPTED)


def resolved_start_time(trial: Trial) -> datetime | None:
    """Return the resolved start time in UTC; None until a registry has reported it."""
    if trial.spec.start_time is not None:
        return trial.spec.start_time.astimezone(UTC)
    return trial.status.start_time


def outcome(trial: Trial) -> Condition | None:
    """Return the condition Succeeded once it is True or False; only a restore or a new start reverts it."""
    return conditions.decided(trial.status.conditions, reasons.SUCCEEDED)


def has_outcome(trial: Trial, reason: str) -> bool:
    """Return whether the trial ended without success for this reason."""
    found = outcome(trial)
    return found is not None and found.status == "False" and found.reason == reason


def scheduled_again(trial: Trial) -> bool:
    """Return whether a missed trial has another start time than the one that it missed."""
    if not has_outcome(trial, reasons.MISSED):
        return False
    return resolved_start_time(trial) not in (None, *(miss.start_time for miss in trial.status.missed[-1:]))


def trial_status(
    trial: Trial,
    now: datetime,
    *changes: ConditionUpdate,
    without_release: bool = False,
    unfinished: ConditionUpdate | None = None,
    **fields: Any,
) -> TrialStatus:
    """Return the status of `trial` with conditions and fields changed, and everything derived from them.

    All conditions but Released, Stalled and Reconciling exist from the first write on (Unknown, Waiting); all
    carry the current generation, changed or not. A restore request on an object without status is answered by
    the first write: it belonged to an earlier object of that name.

    `without_release`: its plan has no `finally`. `unfinished`: see `domain.verdict`; required for a Trial
    that has a TrialEngine.
    """
    generation = trial.metadata.generation
    current: Conditions = trial.status.conditions
    missing = [
        ConditionUpdate(kind, "Unknown", reasons.WAITING)
        for kind in _TYPES
        if conditions.find(current, kind) is None
    ]
    named = {change.type for change in changes}
    started = conditions.is_true(current, reasons.STARTED)
    for change in (*missing, *changes):
        current = with_condition(current, change, now, generation)
    # It may report a start that was missed: this is another one.
    stale = not started and conditions.decided(current, reasons.SUCCEEDED) is None
    if stale or without_release:
        current = tuple(each for each in current if each.type != reasons.RELEASED or each.type in named)
    current = with_condition(current, _finished(current, unfinished), now, generation)
    current = with_obstacle(current, obstacle(current), now, generation)
    if ignored := ignored_restore(trial, now):
        fields = {"last_handled_restore": ignored} | fields
    status = msgspec.structs.replace(
        trial.status,
        observed_generation=generation,
        trial_id=trial.trial_id,
        conditions=current,
        plan=trial.plan_name or "",
        ready=ready(current),
        message=summary(current),
        **fields,
    )
    return msgspec.structs.replace(status, phase=phase(current, status.start_time, now))


def _finished(current: Conditions, unfinished: ConditionUpdate | None) -> ConditionUpdate:
    """Return the condition Finished: True once nothing more happens without a request."""
    found = conditions.find(current, reasons.SUCCEEDED)
    if found is None or found.status == "Unknown":
        reason = found.reason if found is not None else reasons.WAITING
        return ConditionUpdate(reasons.FINISHED, "False", reason, found.message if found is not None else "")
    if unfinished is not None:
        return unfinished
    if found.status == "True":
        return ConditionUpdate(reasons.FINISHED, "True", reasons.SUCCEEDED, found.message)
    if found.reason in (reasons.MISSED, reasons.CANCELLED):
        return ConditionUpdate(reasons.FINISHED, "True", found.reason, found.message)
    return ConditionUpdate(reasons.FINISHED, "True", reasons.FAILED, found.message)


def missed_status(
    trial: Trial,
    start_time: datetime,
    now: datetime,
    why: str,
    reason: str = reasons.MISSED,
    plan: Plan | None = None,
) -> TrialStatus:
    """Return the status of a missed trial; `reason` is kept in `status.missed`.

    `plan`: the plan that it would have run, if not inline.
    """
    miss = Missed(
        start_time=start_time,
        missed_time=now.astimezone(UTC),
        late_milliseconds=int((now - start_time) / timedelta(milliseconds=1)),
        reason=reason,
        message=why[:LONGEST_MESSAGE],
    )
    return trial_status(
        trial,
        now,
        ConditionUpdate(reasons.STARTED, "False", reasons.MISSED, why),
        ConditionUpdate(reasons.SUCCEEDED, "False", reasons.MISSED, why),
        *_nothing_released(plan or trial.spec),
        start_time=start_time,
        missed=(*trial.status.missed, miss)[-_KEPT_MISSES:],
    )


def next_start(trial: Trial) -> str:
    """Return how a missed trial can be scheduled again."""
    if trial.spec.registry_ref is not None:
        return "To schedule it again, move it to a future time in its registry"
    return "To schedule it again, set spec.startTime to a future time"


def cancelled(why: str, trial: Trial, plan: Plan | None = None) -> tuple[ConditionUpdate, ...]:
    """Return the conditions of a cancelled trial; Started stays True.

    `plan`: the plan that it would have run, if not inline.
    """
    end = ConditionUpdate(reasons.SUCCEEDED, "False", reasons.CANCELLED, why)
    if trial.status.started_time is not None:
        return (end,)
    never = ConditionUpdate(reasons.STARTED, "False", reasons.CANCELLED, why)
    return (never, end, *_nothing_released(plan or trial.spec))


def _nothing_released(plan: Plan) -> tuple[ConditionUpdate, ...]:
    return (NOTHING_TO_RELEASE,) if plan.finally_ else ()


def ready(current: Conditions) -> str:
    """Return the text of the column Ready: False, Checked, True, or nothing while it is unknown."""
    armed = conditions.find(current, reasons.ARMED)
    never = conditions.is_false(current, reasons.ACCEPTED) and not conditions.is_true(
        current, reasons.STARTED
    )
    succeeded = conditions.find(current, reasons.SUCCEEDED)
    pending = succeeded is not None and succeeded.reason == reasons.POD_PENDING
    if armed is None or armed.status == "False" or never or pending:
        return "False" if armed is not None else ""
    return "Checked" if armed.reason == reasons.CHECKED else armed.status.replace("Unknown", "")


def summary(current: Conditions) -> str:
    """Return the message of the condition that matters most, in one line."""
    order = (reasons.ACCEPTED, reasons.SCHEDULED, reasons.ARMED, reasons.SUCCEEDED)
    found = [condition for kind in order if (condition := conditions.find(current, kind)) is not None]
    if conditions.is_true(current, reasons.STARTED) or conditions.decided(current, reasons.SUCCEEDED):
        found = [condition for condition in found if condition.type == reasons.SUCCEEDED]
        release = conditions.find(current, reasons.RELEASED)
        found = [*([release] if release is not None and release.status == "False" else []), *found]
    first = next((each for each in found if each.status == "False"), found[-1] if found else None)
    return " ".join(first.message.split())[:_LONGEST_SUMMARY] if first is not None else ""


def phase(current: Conditions, start_time: datetime | None, now: datetime) -> Phase:
    """Return one word for people; no code may branch on it."""
    ended = conditions.find(current, reasons.SUCCEEDED)
    if ended is not None and ended.status == "True":
        return "Succeeded"
    if ended is not None and ended.status == "False":
        return _WITHOUT_SUCCESS.get(ended.reason, "Failed")
    if conditions.is_true(current, reasons.STARTED):
        return "Starting" if ended is not None and ended.reason in _STARTING else "Running"
    if conditions.is_false(current, reasons.ACCEPTED):
        return "Pending"
    if conditions.reason(current, reasons.SCHEDULED) == reasons.SUSPENDED:
        return "Suspended"
    if not conditions.is_true(current, reasons.SCHEDULED):
        return "Pending"
    if start_time is not None and now >= start_time:
        return "Due"
    return "Armed" if conditions.is_true(current, reasons.ARMED) else "Scheduled"
