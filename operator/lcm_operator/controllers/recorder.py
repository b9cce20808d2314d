"""Sends Events in the background, while no start is under way or near.

An Event that the API server rejects is tried again: with growing pauses, no sooner than it asked for, and
once more when the process ends. Its name is fixed before the first try, so that none is recorded twice. The
log names those that are lost nevertheless.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from lcm_operator import logs
from lcm_operator.api import reasons
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.trial import Trial
from lcm_operator.controllers.event_queue import EventQueue, Rank, Waiting
from lcm_operator.domain.actions import RecordEvent
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import (
    AlreadyExistsError,
    ApiError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from lcm_operator.kube.events import event
from lcm_operator.kube.resources import EVENTS

_MOST_WAITING = 10_000
_MOST_REFUSALS = 5
_LONGEST_HOLD_SECONDS = 5.0
_LAST_TRY_SECONDS = 3.0
_LAST_TRIES_AT_ONCE = 8
_FORBIDDEN = 403
_OUTCOMES = frozenset(
    {
        reasons.COMPLETED,
        reasons.CANCELLED,
        reasons.MISSED,
        reasons.ACTIVITY_FAILED,
        reasons.ENGINE_ENDED,
        reasons.ENGINE_LOST,
        reasons.ENGINE_NOT_GRANTED,
        reasons.ENGINE_NOT_READY,
        reasons.ENGINE_SILENT,
        reasons.DEADLINE_EXCEEDED,
        reasons.FINALLY_FAILED,
        reasons.FINALLY_NOT_RUN,
        reasons.FINALLY_TIMED_OUT,
    }
)
log = logs.get(__name__)


class Recorder:
    """Queue of Events; `quiet(limit)` waits for a moment to send them, and returns how long it took."""

    def __init__(self, client: Client, quiet: Callable[[float], Awaitable[float]], clock: Clock) -> None:
        self._client = client
        self._quiet = quiet
        self._clock = clock
        self._queue = EventQueue(_MOST_WAITING)
        self._added = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, record: RecordEvent) -> None:
        """Queue a decided Event."""
        kind = "Trial" if isinstance(record.regarding, Trial) else "TrialEngine"
        self.tell(kind, record.regarding.metadata, record.reason, record.message, warning=record.warning)

    def tell(
        self,
        kind: str,
        about: Metadata,
        reason: str,
        message: str,
        *,
        warning: bool,
        once: bool = False,
        detail: str = "",
    ) -> None:
        """Queue an Event; when too many wait, the oldest of those that matter least is dropped.

        `once`: it is recorded once for this object and `detail`, however often and by whichever replica.
        """
        manifest = event(
            kind,
            about,
            reason=reason,
            message=message,
            warning=warning,
            now=self._clock.now(),
            once=once,
            detail=detail,
        )
        dropped = self._queue.add(manifest, _rank(reason, warning=warning))
        if dropped is not None:
            log.warning("Event dropped; too many are waiting", **_fields(dropped))
        self._added.set()

    async def record(self, record: RecordEvent) -> None:
        """Return once an outcome is recorded; a rejected one is queued.

        Raises UnavailableError: then nothing may be done that would make recording it impossible.
        """
        kind = "Trial" if isinstance(record.regarding, Trial) else "TrialEngine"
        about, now = record.regarding.metadata, self._clock.now()
        manifest = event(
            kind,
            about,
            reason=record.reason,
            message=record.message,
            warning=record.warning,
            now=now,
            once=True,
        )
        try:
            await self._create(manifest)
        except RejectedError:
            self._queue.add(manifest, Rank.OUTCOME)
            self._added.set()
        except NotFoundError:
            log.warning("Event not recorded; its namespace does not exist", message=record.message)

    async def run(self) -> None:
        """Send until cancelled, then try the rest once more."""
        try:
            await self._run()
        finally:
            await self._last_try()

    async def _run(self) -> None:
        patience = _LONGEST_HOLD_SECONDS
        while True:
            now = self._clock.elapsed()
            if self._queue.next(now) is None:
                patience = _LONGEST_HOLD_SECONDS
                await self._wait(self._queue.wake_in(now))
                continue
            patience -= await self._quiet(patience)
            if (entry := self._queue.next(self._clock.elapsed())) is not None:
                await self._send(entry)

    async def _wait(self, seconds: float | None) -> None:
        """Wait until an Event is added, at most this long."""
        self._added.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._added.wait()

    async def _send(self, entry: Waiting) -> None:
        try:
            await self._create(entry.manifest)
        except UnavailableError as error:
            self._queue.pause(entry.namespace, self._clock.elapsed(), error.retry_after)
            log.info("Event not recorded; retrying", **_fields(entry), error=error)
        except ApiError as error:
            entry.tries += 1
            if _may_pass_later(error) and entry.rank < Rank.NORMAL and entry.tries < _MOST_REFUSALS:
                self._queue.pause(entry.namespace, self._clock.elapsed(), None)
                return
            self._queue.remove(entry)
            log.warning("Event not recorded", **_fields(entry), error=error)
        else:
            self._queue.resume(entry.namespace)
            self._queue.remove(entry)

    async def _create(self, manifest: dict[str, object]) -> None:
        """Create an Event; an existing one of its name is the same, created by a try whose answer was lost.

        Raises ApiError.
        """
        metadata = manifest["metadata"]
        assert isinstance(metadata, dict)  # noqa: S101 - for mypy
        with contextlib.suppress(AlreadyExistsError):
            await self._client.create(EVENTS, metadata["namespace"], manifest)

    async def _last_try(self) -> None:
        """Send the rest, each once, the most important first, for at most 3 s."""
        left = self._queue.all()
        few = asyncio.Semaphore(_LAST_TRIES_AT_ONCE)

        async def send(entry: Waiting) -> None:
            async with few:
                with contextlib.suppress(ApiError):
                    await self._create(entry.manifest)
                    self._queue.remove(entry)

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_TRY_SECONDS):
                await asyncio.gather(*(send(entry) for entry in left))
        for entry in self._queue.all():
            log.warning("Event not recorded before the process ended", **_fields(entry))


def _rank(reason: str, *, warning: bool) -> Rank:
    if reason in _OUTCOMES:
        return Rank.OUTCOME
    return Rank.WARNING if warning else Rank.NORMAL


def _may_pass_later(error: ApiError) -> bool:
    """Return whether a rejected Event may be accepted later: not without its namespace, nor a faulty one."""
    return error.status == _FORBIDDEN and "is being terminated" not in error.message


def _fields(entry: Waiting) -> dict[str, object]:
    about = entry.manifest["involvedObject"]
    shown = {field: about[field] for field in ("kind", "namespace", "name")}
    return {**shown, "message": entry.manifest["message"]}
