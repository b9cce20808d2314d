"""Sends Events in the background, when nothing urgent is under way. Best effort: an Event is for people."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lcm_operator.api.metadata import Metadata
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import RecordEvent
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import ApiError
from lcm_operator.kube.events import event
from lcm_operator.kube.resources import EVENTS

_MOST_WAITING = 10_000
_PAUSE_SECONDS = 0.1
_LONGEST_HOLD_SECONDS = 5.0
log = logging.getLogger(__name__)


class Recorder:
    """Queue of Events; `hold()` says whether they should wait."""

    def __init__(self, client: Client, hold: Callable[[], bool]) -> None:
        self._client = client
        self._hold = hold
        self._waiting: deque[dict[str, Any]] = deque(maxlen=_MOST_WAITING)
        self._added = asyncio.Event()

    def add(self, record: RecordEvent) -> None:
        """Queue a decided Event."""
        kind = "Trial" if isinstance(record.regarding, Trial) else "TrialEngine"
        self.tell(kind, record.regarding.metadata, record.reason, record.message, warning=record.warning)

    def tell(self, kind: str, about: Metadata, reason: str, message: str, *, warning: bool) -> None:
        """Queue an Event; the oldest is dropped when too many wait."""
        now = datetime.now(UTC)
        self._waiting.append(event(kind, about, reason=reason, message=message, warning=warning, now=now))
        self._added.set()

    async def run(self) -> None:
        """Send until cancelled."""
        held_since = time.monotonic()
        while True:
            if not self._waiting:
                self._added.clear()
                await self._added.wait()
                held_since = time.monotonic()
            if self._hold() and time.monotonic() - held_since < _LONGEST_HOLD_SECONDS:
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            manifest = self._waiting.popleft()
            try:
                await self._client.create(EVENTS, manifest["metadata"]["namespace"], manifest)
            except ApiError as error:
                log.warning("an Event was not recorded: %s (%s)", manifest["message"], error)
