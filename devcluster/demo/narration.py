"""The narration of a watched trial: pure text from its previous and its current state.

Called by `show`. It must not ask or wait for anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import ActivityStatus, TrialEngine
from lcm_operator.api.trial import Trial

_MARKS = {"Succeeded": "✓", "Failed": "✗", "Skipped": "-"}


@dataclass(frozen=True)
class Seen:
    """A trial and its engine, as far as they are there."""

    trial: Trial | None = None
    engine: TrialEngine | None = None

    @property
    def attempt(self) -> int:
        """The attempt that is granted or was the last one; 0 before the first."""
        return self.engine.status.attempt if self.engine else 0

    @property
    def activities(self) -> dict[str, ActivityStatus]:
        """The state of each activity of the checkpoint."""
        return {item.name: item for item in self.engine.status.activities} if self.engine else {}

    def is_true(self, kind: str) -> bool:
        """Whether the trial has this condition."""
        return self.trial is not None and conditions.is_true(self.trial.status.conditions, kind)

    @property
    def succeeded(self) -> bool:
        """Whether the trial's outcome is success."""
        return self.is_true(reasons.SUCCEEDED)

    @property
    def failed(self) -> bool:
        """Whether the trial's engine has failed."""
        return self.trial is not None and conditions.is_false(self.trial.status.conditions, reasons.SUCCEEDED)


def news(before: Seen, now: Seen) -> Iterator[str]:
    """Yield a line for each thing that has changed."""
    if now.is_true(reasons.SCHEDULED) and not before.is_true(reasons.SCHEDULED):
        yield "scheduled"
    if now.is_true(reasons.ARMED) and not before.is_true(reasons.ARMED):
        yield "armed: its plan is fixed, and its pod would be admitted"
    lag = now.trial.status.start_lag_milliseconds if now.trial else None
    if lag is not None and not (before.trial and before.trial.status.start_lag_milliseconds is not None):
        yield f"started {lag} ms after its start time"
    if now.attempt > max(before.attempt, 1):
        yield f"attempt {now.attempt} continues from the checkpoint"
    for name, activity in now.activities.items():
        old = before.activities.get(name)
        why = " ".join(activity.message.removeprefix(f"{name}: ").split())
        left_out = activity.state == "Skipped" and not why  # its `when` did not hold, which is no news
        if activity.state in _MARKS and not left_out and (old is None or old.state != activity.state):
            yield f"{_MARKS[activity.state]} {name}{f': {why}' if why else ''}"
    if now.failed and not before.failed:
        yield "the engine has failed"
    if now.succeeded and not before.succeeded:
        yield "the trial has succeeded"


def standing(seen: Seen, now: datetime) -> str:
    """Return the current state, for a line that is overwritten."""
    if not seen.trial:
        return "waiting for the trial"
    status = seen.trial.status
    if status.started_time is None and status.start_time is not None:
        seconds = (status.start_time - now).total_seconds()
        return f"starts in {seconds:.1f} s" if seconds > 0 else "starting"
    running = [name for name, activity in seen.activities.items() if activity.state == "Running"]
    return " ".join(["running", *running, *([f"({status.progress})"] if status.progress else [])])
