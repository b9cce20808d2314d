"""What GET /trial/{id}/status tells of an engine, in the words of 1.0.2. Pure; called by `signals`."""

from collections.abc import Iterable

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.plan import Activity

Shown = tuple[str, str]
_WAITING = ("Waiting", "Waiting")
_FINISHED = ("Stopped", "Finish")


def has_ended(engine: TrialEngine) -> bool:
    """Return whether an engine has an outcome, be it one that a restore may take back."""
    return conditions.decided(engine.status.conditions, reasons.SUCCEEDED) is not None


def has_finished(engine: TrialEngine) -> bool:
    """Return whether an engine has succeeded."""
    return conditions.is_true(engine.status.conditions, reasons.SUCCEEDED)


def shown(engine: TrialEngine) -> Shown:
    """Return status and state.

    An engine waits before it begins, and in a `wait`. What failed to its end is the activity that failed, or
    the one that was under way.
    """
    if has_finished(engine):
        return _FINISHED
    spec = engine.spec
    running = _first(engine, "Running", spec.all_activities)
    failed = _first(engine, "Failed", (one for one in spec.activities if not one.continue_on_error))
    if has_ended(engine):
        stopped_in = failed or running
        return "Stopped", _state_name(stopped_in) if stopped_in else "Waiting"
    under_way = running or failed or _last_if_through(engine)
    if under_way is None or (under_way is running and under_way.wait is not None):
        return _WAITING
    return "Running", _state_name(under_way)


def _first(engine: TrialEngine, state: str, plan: Iterable[Activity]) -> Activity | None:
    return next((one for one in plan if engine.status.activity(one.name).state == state), None)


def _last_if_through(engine: TrialEngine) -> Activity | None:
    """Return the plan's last activity if nothing is left to do but to tell the outcome."""
    plan = engine.spec.activities
    return plan[-1] if plan and _first(engine, "Pending", plan) is None else None


def _state_name(activity: Activity) -> str:
    return activity.state_name or activity.name
