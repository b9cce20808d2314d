"""GET /status: five keys (six at 1.0.2), of which three are lists in Python's notation.

Callers poll it with ten thousand trials, too: a trial's text is made once, the page only if the view changed.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from lcm_operator.rest.cache.view import View
from lcm_operator.rest.wording import Level

_NEVER = datetime.max.replace(tzinfo=UTC)


class StatusPage:
    """The page of one view, in the wording of one level and in one time zone."""

    def __init__(self, view: View, level: Level, timezone: ZoneInfo) -> None:
        self._view = view
        self._level = level
        self._timezone = timezone
        self._made_of = -1
        self._texts: dict[tuple[datetime, str], str] = {}
        self._lists = ("", "")

    def body(self, heartbeats: Sequence[str]) -> dict[str, Any]:
        """Return the page; `heartbeats` are trial IDs."""
        if self._made_of != self._view.version:
            self._made_of, self._lists = self._view.version, (self._schedulings(), self._engines())
        schedulings, engines = self._lists
        working = "Scheduled job(s) initiated" if self._texts else "Idle"
        automatic = {"Automatic_scheduling": self._view.automatic} if self._level.shows_automatic else {}
        return {
            "message": f"This is Lifecycle Manager {self._level.version}!",
            "Scheduler_status": working,
            **automatic,
            "scheduled_trials": schedulings,
            "Executor_Engine_instances": engines,
            "Heartbeat_instances": str([{"ID": trial_id} for trial_id in heartbeats]),
        }

    def _schedulings(self) -> str:
        """Return the schedulings by start time, then by ID."""
        keys = sorted((trial.start or _NEVER, trial.trial_id) for trial in self._view.schedulings())
        known = self._texts
        self._texts = {key: known.get(key) or self._text(*key) for key in keys}
        return f"[{', '.join(self._texts.values())}]"

    def _text(self, start: datetime, trial_id: str) -> str:
        local = start.astimezone(self._timezone)
        return str({"id": trial_id, "trigger": f"date[{local:%Y-%m-%d %H:%M:%S %Z}]"})

    def _engines(self) -> str:
        """Return the engines by their start, then by ID."""
        engines = sorted(self._view.engines(), key=lambda engine: (engine.started, engine.trial_id))
        words = self._level.engine_status
        return str(
            [{"ID": engine.trial_id, "status": words.get(engine.status, engine.status)} for engine in engines]
        )
