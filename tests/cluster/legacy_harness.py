"""A Lifecycle Manager of old as its callers see it: /status in both levels, and the removal of a trial."""

import json
from datetime import UTC, datetime
from email.message import Message
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from tests.cluster.loopback import LoopbackServer

KEY = "Please_change_this"


class LegacyManager(LoopbackServer):
    """`waiting` has triggers by trial ID, `engines` statuses. `refuses`: the removal of these IDs fails."""

    def __init__(self, level: str) -> None:
        self.level = level
        self.waiting: dict[str, str] = {}
        self.engines: dict[str, str] = {}
        self.automatic = False
        self.refuses: dict[str, tuple[int, str]] = {}
        self.starts_at_removal = False
        self.removed: list[str] = []
        self.raw: bytes | None = None
        super().__init__()

    def schedule(self, trial_id: str, start: datetime, zone: str = "Europe/Helsinki") -> None:
        self.waiting[trial_id] = f"date[{start.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z}]"

    def answer(self, method: str, path: str, key: str | None) -> tuple[int, dict[str, Any]]:
        if key != KEY:
            return 401, {"detail": "Unauthorized"}
        if (method, path) == ("GET", "/status"):
            return 200, self._page()
        if (method, path) == ("POST", "/trial/scheduling"):
            self.automatic = not self.automatic
            return 200, {"message": f"Automatic scheduling: {self.automatic}"}
        trial_id = unquote(path.removeprefix("/debug/trial/").removesuffix("/schedule"))
        if self.starts_at_removal:
            self.engines[trial_id] = self.waiting.pop(trial_id) and "active"
        if trial_id in self.refuses:
            status, detail = self.refuses[trial_id]
            return status, {"detail": detail}
        if self.waiting.pop(trial_id, None) is None:
            return 400, {"detail": f"Trial scheduling with ID: {trial_id} does not exist."}
        self.removed.append(trial_id)
        return 200, {"message": f"Trial scheduling removed with trial ID: {trial_id}"}

    def _page(self) -> dict[str, Any]:
        word = str.capitalize if self.level == "1.0.2" else str
        automatic = {"Automatic_scheduling": self.automatic} if self.level == "1.0.2" else {}
        return {
            "message": f"This is Lifecycle Manager {self.level}!",
            "Scheduler_status": "Scheduled job(s) initiated" if self.waiting else "Idle",
            **automatic,
            "scheduled_trials": str([{"id": one, "trigger": text} for one, text in self.waiting.items()]),
            "Executor_Engine_instances": str(
                [{"ID": one, "status": word(status)} for one, status in self.engines.items()]
            ),
            "Heartbeat_instances": "[]",
        }

    def respond(self, method: str, path: str, headers: Message, _: bytes) -> tuple[int, bytes]:
        status, body = self.answer(method, path, headers.get("Authorization"))
        return status, self.raw if self.raw is not None else json.dumps(body).encode()


FAR = datetime(2031, 7, 1, 8, tzinfo=UTC)
