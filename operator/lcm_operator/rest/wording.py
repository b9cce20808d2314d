"""The wording of the legacy interface: the differences of its levels, and an engine's states. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.plan import Activity

TrialStatus = tuple[str, str]
"""Status and state."""
_WAITING = ("Waiting", "Waiting")
_FINISHED = ("Stopped", "Finish")


@dataclass(frozen=True)
class ScheduleAllResult:
    """The result of schedule-all: trial IDs in the registry's order."""

    added: Sequence[str] = ()
    scheduled: Sequence[str] = ()
    executing: Sequence[str] = ()


@dataclass(frozen=True)
class Level:
    """The wording of one level."""

    version: str
    engine_status: dict[str, str] = field(default_factory=dict)
    """How /status spells an engine's status; others appear unchanged."""
    shows_automatic: bool = False
    """Whether /status shows automatic scheduling."""
    moves: bool = False
    """Whether schedule-all moves trials whose start time changed in the registry."""
    nothing_ahead: str = ""
    """The refusal of schedule-all if the registry has no future trial; empty: it succeeds."""

    def scheduled_all(self, outcome: ScheduleAllResult) -> str:
        """Return the message of schedule-all."""
        added = list(outcome.added)
        if not self.shows_automatic:
            return f"Scheduled trials with ids: {added}"
        if not (outcome.scheduled or outcome.executing):
            return f"Trials added to scheduling: {added}"
        return (
            f"Trials added to scheduling: {added}. Trials already scheduled: {list(outcome.scheduled)}. "
            f"Trials already executing: {list(outcome.executing)}."
        )


LEVELS = {
    "0.1.1": Level("0.1.1"),
    "1.0.2": Level(
        "1.0.2",
        engine_status={"active": "Active", "failed": "Failed", "finished": "Finished"},
        shows_automatic=True,
        moves=True,
        nothing_ahead="No future trials defined in repository. No need to schedule.",
    ),
}


def has_ended(engine: TrialEngine) -> bool:
    """Return whether an engine has an outcome, including one that a restore can revoke."""
    return conditions.decided(engine.status.conditions, reasons.SUCCEEDED) is not None


def has_finished(engine: TrialEngine) -> bool:
    """Return whether an engine has succeeded."""
    return conditions.is_true(engine.status.conditions, reasons.SUCCEEDED)


def trial_status(engine: TrialEngine) -> TrialStatus:
    """Return status and state of an engine as version 1.0.2 names them.

    An engine is waiting before its first activity and during a `wait`. A failed one shows the activity that
    failed or was interrupted.
    """
    if has_finished(engine):
        return _FINISHED
    spec = engine.spec
    acting = (one for one in spec.all_activities if one.wait is None)
    running = _first(engine, "Running", acting) or _first(engine, "Running", spec.all_activities)
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
    """Return the plan's last activity if only the outcome is still to be reported."""
    plan = engine.spec.activities
    return plan[-1] if plan and _first(engine, "Pending", plan) is None else None


def _state_name(activity: Activity) -> str:
    return activity.state_name or activity.name
