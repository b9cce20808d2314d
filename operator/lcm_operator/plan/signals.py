"""Which signals (callbacks, `active`, `finish`) a wait counts. Pure.

The order of writes to one object decides, not clocks: the write that begins an activity records the signals
stored before (`earlierSignals`); a callback of its request is stored later. Only for signals from before the
first grant, when no engine could write, `receivedTime` decides.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import ActivityStatus, Signal, TrialEngineStatus
from lcm_operator.api.plan import Activity, Plan
from lcm_operator.plan.branches import preceding

FINISH = "finish"
"""The signal that jumps to the plan's `finishAt`."""
ACTIVE = "active"
"""The signal that is taken only while the value KPI_LABEL is `Idle`."""
KPI_LABEL = "kpiLabel"
CALLBACKS = ("slice", "cloudvnfboarding", "cloudvnfdeployment", "edgevnfonboarding", "edgevnfdeployment")
"""The names that partners call back under; there are no other signals."""

Progress = Callable[[str], ActivityStatus]
"""Returns the state of an activity, by its name."""


def counted_since(plan: Plan, progress: Progress, wait: Activity) -> str | None:
    """Return the activity since whose start `wait` counts signals; None: the first grant.

    It is `after`, or the nearest http activity before it that has begun.
    """
    return next((name for name in _candidates(plan, wait) if progress(name).was_begun), None)


def awaited_after(plan: Plan, name: str) -> frozenset[str]:
    """Return the names of the signals that some wait may count since the start of an activity."""
    return frozenset(
        activity.wait.signal
        for activity in plan.all_activities
        if activity.wait is not None and name in _candidates(plan, activity)
    )


def unconsumed(status: TrialEngineStatus) -> tuple[Signal, ...]:
    """Return the signals that no activity has consumed, oldest first."""
    consumed = {taken.id for taken in status.consumed_signals}
    return tuple(signal for signal in status.signals if signal.id not in consumed)


def first_grant(status: TrialEngineStatus) -> datetime | None:
    """Return the time of the first grant."""
    started = conditions.find(status.conditions, reasons.STARTED)
    known = [attempt.start_time for attempt in status.attempts]
    known += [status.pod_ref.not_before] if status.pod_ref is not None else []
    known += [started.last_transition_time] if started is not None and started.status == "True" else []
    return min((moment for moment in known if moment is not None), default=None)


def _candidates(plan: Plan, wait: Activity) -> Iterator[str]:
    """Yield the activities since whose start `wait` may count, in order of preference."""
    if wait.wait is not None and wait.wait.after is not None:
        yield wait.wait.after
        return
    for following in ((), plan.on_failure, plan.finally_):
        activities = (*plan.activities, *following)
        if wait.name in [activity.name for activity in activities]:
            before = preceding(activities, wait.name)
            yield from (activity.name for activity in reversed(before) if activity.http is not None)
            return
