"""What differs between the two levels of the legacy interface; all routes are always served."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """What schedule-all did with the registry's trials, as IDs in the registry's order."""

    added: Sequence[str] = ()
    scheduled: Sequence[str] = ()
    executing: Sequence[str] = ()


@dataclass(frozen=True)
class Level:
    """One level: its words."""

    version: str
    engine_status: dict[str, str] = field(default_factory=dict)
    """How /status writes an engine's status; what is not named is written as it is."""
    shows_automatic: bool = False
    """Whether /status tells of automatic scheduling."""
    moves: bool = False
    """Whether schedule-all moves trials whose start time changed in the registry."""
    nothing_ahead: str = ""
    """Why schedule-all refuses when the registry has no trial of the future; empty: it doesn't."""

    def scheduled_all(self, outcome: Outcome) -> str:
        """Return what schedule-all answers."""
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
