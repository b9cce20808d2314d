"""The condition Released, the result of `finally`, judged by the checkpoint alone. Pure.

    Owed ──stop──> Releasing ──> Released | FinallyFailed | FinallyTimedOut | FinallyNotRun
      └── ended before any activity had begun ──> NothingToRelease          (a restore: Owed again)

A plan without `finally` has no such condition. It must never be True while a resource may still be held.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.conditions import ConditionUpdate, with_condition
from lcm_operator.api.engine import FINALLY_TOO_LATE, ActivityStatus, TrialEngine, TrialEngineStatus
from lcm_operator.api.plan import Plan
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import RecordEvent
from lcm_operator.domain.obstacle import obstacle, with_obstacle
from lcm_operator.domain.status import NOTHING_TO_RELEASE

_LONGEST_NAMES = 400
_LONGEST_REASON = 200
_MOST_EVENTS = 16
_AFTER_FINALLY = (reasons.CANCELLED, reasons.DEADLINE_EXCEEDED)
"""Failures that are written after `finally`; any other waits for a restore or a delete."""


class Unreleased(NamedTuple):
    """An activity of `finally` that did not pass; `reason` is one of Released, `why` a message."""

    name: str
    reason: str
    why: str


def has_begun(status: TrialEngineStatus) -> bool:
    """Return whether any activity of any attempt has begun, so that something may have to be released."""
    return any(activity.may_have_acted for activity in status.activities)


def release_of(engine: TrialEngine) -> ConditionUpdate | None:
    """Return the condition Released of a TrialEngine; None without `finally`."""
    return _release(engine, engine.status)


def is_owed(engine: TrialEngine) -> bool:
    """Return whether the TrialEngine still has something to release, now or later."""
    release = release_of(engine)
    return release is not None and release.status == "Unknown"


def is_held(engine: TrialEngine) -> bool:
    """Return whether our finalizer keeps a TrialEngine from disappearing."""
    return names.FINALIZER_ENGINE in engine.metadata.finalizers


def must_be_held(engine: TrialEngine, plan: Plan | None = None) -> bool:
    """Return whether our finalizer must be added before anything may act (impossible on a deleted one).

    `plan`: its next plan, if that is another one.
    """
    going = engine.metadata.deletion_timestamp is not None
    releases = engine.spec.finally_ or (plan is not None and plan.finally_)
    return bool(releases) and not is_held(engine) and not going


def with_release(engine: TrialEngine, status: TrialEngineStatus, now: datetime) -> TrialEngineStatus:
    """Return `status` with the conditions that follow from it: Released, and Stalled after a failure."""
    release, generation = _release(engine, status), engine.metadata.generation
    if release is None:  # a repaired plan may have no `finally` any more
        current = tuple(each for each in status.conditions if each.type != reasons.RELEASED)
    else:
        message = release.message
        if release.status == "Unknown":
            message = f"{message}. {_how_to_free(engine)}"
        current = with_condition(status.conditions, release._replace(message=message), now, generation)
    current = with_obstacle(current, obstacle(current), now, generation)
    return msgspec.structs.replace(status, conditions=current)


def judge_release(engine: TrialEngine) -> ConditionUpdate | None:
    """Return the condition Released if no more of `finally` will run; None without `finally`."""
    return _judge(engine, engine.status) if engine.spec.finally_ else None


def unreleased(engine: TrialEngine, status: TrialEngineStatus) -> tuple[Unreleased, ...]:
    """Return the activities of `finally` that have not passed, in order."""
    found = (_fault(status.activity(activity.name)) for activity in engine.spec.finally_)
    return tuple(fault for fault in found if fault is not None)


def release_events(
    about: Trial | TrialEngine, engine: TrialEngine, new: TrialEngineStatus
) -> tuple[RecordEvent, ...]:
    """Return a Warning for each release that failed, if `new` is the first status that shows it.

    On a TrialEngine whose Trial no longer exists, one Warning is all that remains: it is recorded before
    `new`.
    """
    before = conditions.find(engine.status.conditions, reasons.RELEASED)
    after = conditions.find(new.conditions, reasons.RELEASED)
    if after is None or after.status != "False" or (before and before.message == after.message):
        return ()
    if isinstance(about, TrialEngine):
        return (RecordEvent(about, after.reason, after.message, warning=True, first=True),)
    faults = unreleased(engine, new)
    events = [
        RecordEvent(about, fault.reason, f"release {fault.name}: {fault.why}", warning=True)
        for fault in faults[:_MOST_EVENTS]
    ]
    if more := faults[_MOST_EVENTS:]:
        listed = _listed(fault.name for fault in more)
        events.append(RecordEvent(about, after.reason, f"other releases that failed: {listed}", warning=True))
    return tuple(events)


def _release(engine: TrialEngine, status: TrialEngineStatus) -> ConditionUpdate | None:
    if not engine.spec.finally_:
        return None
    outcome = conditions.decided(status.conditions, reasons.SUCCEEDED)
    if outcome is not None and (outcome.status == "True" or outcome.reason in _AFTER_FINALLY):
        return _judge(engine, status)
    if outcome is not None and not has_begun(status):
        return NOTHING_TO_RELEASE
    if outcome is not None and not unreleased(engine, status):  # the attempt since was never granted
        return _judge(engine, status)
    if status.stop is not None and status.stop.completion_time is not None:
        return _judge(engine, status)
    if status.stop is not None:
        return ConditionUpdate(reasons.RELEASED, "Unknown", reasons.RELEASING, f"{_all(engine)} are running")
    when = "the trial ends" if outcome is None else "the trial is deleted, or restored and ends"
    seconds = engine.spec.engine.give_up_after_seconds
    given_up = f", or {seconds} s after it failed" if seconds is not None else ""
    why = f"{_all(engine)} run when {when}{given_up}"
    return ConditionUpdate(reasons.RELEASED, "Unknown", reasons.OWED, why)


def _judge(engine: TrialEngine, status: TrialEngineStatus) -> ConditionUpdate:
    if not has_begun(status):
        return NOTHING_TO_RELEASE
    faults = unreleased(engine, status)
    if not faults:
        return ConditionUpdate(reasons.RELEASED, "True", reasons.RELEASED, f"passed: {_names(engine)}")
    order = (reasons.FINALLY_FAILED, reasons.FINALLY_TIMED_OUT, reasons.FINALLY_NOT_RUN)
    reason = next(each for each in order if any(fault.reason == each for fault in faults))
    details = "; ".join(f"{fault.name}: {fault.why}" for fault in faults)
    message = f"not released: {_listed(fault.name for fault in faults)} ({details})"
    return ConditionUpdate(reasons.RELEASED, "False", reason, message)


def _fault(activity: ActivityStatus) -> Unreleased | None:
    """Return why an activity of `finally` counts as not released; None if it passed or was skipped."""
    name, state = activity.name, activity.state
    if has_released(activity):
        return None
    why = activity.message.removeprefix(f"{name}: ")[:_LONGEST_REASON]
    if state == "Failed" and FINALLY_TOO_LATE not in why:
        return Unreleased(name, reasons.FINALLY_FAILED, f"failed: {why}")
    if state in ("Failed", "Skipped"):
        begun = "cut off" if state == "Failed" else "never begun"
        return Unreleased(name, reasons.FINALLY_TIMED_OUT, f"{begun}: {why}")
    if state == "Running" or activity.start_time is not None:
        return Unreleased(name, reasons.FINALLY_TIMED_OUT, "begun, but its pod terminated first")
    since = "never begun" if activity.run == 1 else "not begun again since the restore"
    return Unreleased(name, reasons.FINALLY_NOT_RUN, since)


def has_released(activity: ActivityStatus) -> bool:
    """Return whether an activity of `finally` has passed, or was skipped, since anything last acted."""
    skipped = activity.state == "Skipped" and not activity.message.removeprefix(f"{activity.name}: ")
    return activity.state == "Succeeded" or skipped or activity.has_passed_before


def _all(engine: TrialEngine) -> str:
    return f"the activities of `finally` ({_names(engine)})"


def _names(engine: TrialEngine) -> str:
    return _listed(activity.name for activity in engine.spec.finally_)


def _listed(found: Iterable[str]) -> str:
    """Return names separated by commas, cut where the list gets too long."""
    return ", ".join(_up_to(found))


def _up_to(found: Iterable[str]) -> Iterator[str]:
    length, left = 0, list(found)
    for number, name in enumerate(left):
        length += len(name) + 2
        if length > _LONGEST_NAMES:
            yield f"and {len(left) - number} more"
            return
        yield name


def _how_to_free(engine: TrialEngine) -> str:
    metadata = engine.metadata
    return (
        "Until then a finalizer holds this TrialEngine; without an operator, and once you have released by "
        f"hand, free it: kubectl patch trialengine {metadata.name} -n {metadata.namespace} --type=merge "
        """-p '{"metadata":{"finalizers":null}}'"""
    )
