"""The engine's one TrialEngine, as last read or watched.

It only reads. What it has may be old: each act is fenced by the write in `checkpoint_store`, not by this.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from datetime import datetime
from functools import partial
from typing import Any

from lcm_operator import logs
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.engine.grant import seconds_to_grant, withdrawal
from lcm_operator.engine.interrupts import Observe
from lcm_operator.engine.outcome import Ending, EngineEndedError
from lcm_operator.kube import errors
from lcm_operator.kube.backoff import Backoff
from lcm_operator.kube.client import Client
from lcm_operator.kube.follow import ListWatch
from lcm_operator.kube.resources import TRIAL_ENGINES

log = logs.get(__name__)
_LOOK_AT_CLOCK_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 5.0
DELETED = "the TrialEngine was deleted"
REPLACED = "the TrialEngine was deleted and created again"


def read(raw: Mapping[str, Any]) -> TrialEngine:
    """Parse what the API server returned. Raises UnavailableError if this version can't read it.

    It counts as no answer: the engine waits until it can be read again, and does nothing meanwhile.
    """
    try:
        return parse(raw, TrialEngine)
    except MalformedError as error:
        raise errors.unreadable(f"the TrialEngine can't be read: {error}") from error


class TrialEngineFollower:
    """The latest version of one TrialEngine, and the waiting for its changes."""

    def __init__(self, client: Client, name: str, pod_uid: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._namespace = client.access.namespace
        self._name = name
        self._pod_uid = pod_uid
        self._now = now
        self._latest: TrialEngine | None = None
        self._gone: str | None = None
        self._changed = asyncio.Event()
        self._looking = asyncio.Lock()
        self._failed_looks = 0

    async def follow(self) -> None:
        """Watch the TrialEngine until it no longer exists."""
        stream = ListWatch(
            self._client,
            TRIAL_ENGINES,
            self._namespace,
            read=partial(parse, kind=TrialEngine),
            name=self._name,
            longest_pause=_LONGEST_PAUSE_SECONDS,
        )
        async with aclosing(stream.states()) as states:
            async for engine in states:
                self._take(engine)
                if self._gone is not None:
                    return

    async def granted(self) -> TrialEngine:
        """Return the TrialEngine once this pod may act. Raises EngineEndedError if it never may."""
        waiting = False
        while True:
            self._changed.clear()
            pause: float | None = None
            if self._latest is not None:
                pause = seconds_to_grant(self._latest, self._pod_uid, self._now())
                if pause is not None and pause <= 0:
                    return self._latest
            if self._gone is not None:
                raise EngineEndedError(Ending.WITHDRAWN, self._gone)
            if not waiting:
                log.info("waiting for the grant")
                waiting = True
            await self._change(pause)

    async def pass_on(self, observe: Observe) -> str:
        """Call `observe` with each new version; return why there will be no more."""
        while self._gone is None:
            self._changed.clear()
            if self._latest is not None:
                observe(self._latest)
            await self._change(None)
        return self._gone

    async def look(self) -> tuple[TrialEngine, bool]:
        """Read the TrialEngine until the API server answers; return it, and whether the first read worked.

        If it no longer exists, its last version is returned. Only one caller reads at a time: waits of many
        branches that time out together must leave connections for the Lease.
        """
        failed, backoff = self._failed_looks, Backoff()
        async with self._looking:
            while True:
                try:
                    self._take(await self._read())
                except errors.NotFoundError:
                    self._take(None)
                except (errors.UnavailableError, errors.RejectedError) as error:
                    self._failed_looks += 1
                    await backoff.wait("looking for signals", error)
                    continue
                if self._latest is not None:
                    return self._latest, self._failed_looks == failed

    async def still_granted(self) -> bool:
        """Read whether this pod, once granted, still is. Raises ApiError."""
        engine = await self._read()
        self._take(engine)
        return self._gone is None and withdrawal(engine, self._pod_uid) is None

    async def _read(self) -> TrialEngine:
        return read(await self._client.get(TRIAL_ENGINES, self._namespace, self._name))

    def _take(self, engine: TrialEngine | None) -> None:
        if engine is None:
            self._gone = DELETED
        elif self._latest is not None and engine.metadata.uid != self._latest.metadata.uid:
            self._gone = REPLACED
        else:
            self._latest = engine
        self._changed.set()

    async def _change(self, pause: float | None) -> None:
        """Wait for a change; with a `pause`, at most that long, and at most until the clock is read again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if pause is None else min(pause, _LOOK_AT_CLOCK_SECONDS)):
                await self._changed.wait()
