"""Follows the engine's one TrialEngine, until it is gone.

Waits for the grant, then passes on what changes. It never writes, and what it
saw last may be old: each act is fenced by the write in `checkpoint_store`, not by this.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from functools import partial

from lcm_operator import logs
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import parse
from lcm_operator.engine.grant import Act, Wait, Withdrawn, before_grant, withdrawal
from lcm_operator.engine.interrupts import Observe
from lcm_operator.engine.outcome import Ending, EngineEndedError
from lcm_operator.engine.reading import read
from lcm_operator.kube.backoff import Backoff
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import NotFoundError, RejectedError, UnavailableError
from lcm_operator.kube.follow import ListWatch
from lcm_operator.kube.resources import TRIAL_ENGINES

log = logs.get(__name__)
_LOOK_AT_CLOCK_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 5.0


class Follower:
    """The latest known state of one TrialEngine, and the waiting for changes of it."""

    def __init__(self, client: Client, name: str, pod_uid: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._namespace = client.access.namespace
        self._name = name
        self._pod_uid = pod_uid
        self._now = now
        self._latest: TrialEngine | None = None
        self._gone: str | None = None
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """Keep up with the TrialEngine until it is gone."""
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
                if engine is None:
                    self._ended("the TrialEngine is gone")
                else:
                    self._saw(engine)
                if self._gone is not None:
                    return

    async def granted(self) -> TrialEngine:
        """Return the TrialEngine once this pod may act. Raises EngineEndedError if it never may."""
        told = False
        while True:
            self._changed.clear()
            pause: float | None = None
            if self._latest is not None:
                match before_grant(self._latest, self._pod_uid, self._now()):
                    case Act():
                        return self._latest
                    case Withdrawn(reason):
                        raise EngineEndedError(Ending.WITHDRAWN, reason)
                    case Wait(seconds):
                        pause = seconds
            if self._gone is not None:
                raise EngineEndedError(Ending.WITHDRAWN, self._gone)
            if not told:
                log.info("waiting for the grant")
                told = True
            await self._change(pause)

    async def pass_on(self, observe: Observe) -> str:
        """Show `observe` the latest version whenever there is a new one; return why no more will come."""
        while self._gone is None:
            self._changed.clear()
            if self._latest is not None:
                observe(self._latest)
            await self._change(None)
        return self._gone

    async def look(self) -> tuple[TrialEngine, bool]:
        """Return the TrialEngine as it is now, and whether the API server answered at once.

        It is asked again until it answers. One that is gone is returned as it was last seen.
        """
        backoff, at_once = Backoff(), True
        while True:
            try:
                self._saw(await self._read())
            except NotFoundError:
                self._ended("the TrialEngine is gone")
            except (UnavailableError, RejectedError) as error:
                at_once = False
                await backoff.wait("looking for signals", error)
                continue
            if self._latest is not None:
                return self._latest, at_once

    async def still_granted(self) -> bool:
        """Read whether this pod, once granted, still is. Raises ApiError."""
        engine = await self._read()
        self._saw(engine)
        return self._gone is None and withdrawal(engine, self._pod_uid) is None

    async def _read(self) -> TrialEngine:
        return read(await self._client.get(TRIAL_ENGINES, self._namespace, self._name))

    def _saw(self, engine: TrialEngine) -> None:
        if self._latest is not None and engine.metadata.uid != self._latest.metadata.uid:
            self._ended("another TrialEngine has its name")
            return
        self._latest = engine
        self._changed.set()

    def _ended(self, reason: str) -> None:
        self._gone = reason
        self._changed.set()

    async def _change(self, pause: float | None) -> None:
        """Wait for a change; with a `pause`, no longer than that, and look at the wall clock each second."""
        limit = None if pause is None else min(pause, _LOOK_AT_CLOCK_SECONDS)
        try:
            async with asyncio.timeout(limit):
                await self._changed.wait()
        except TimeoutError:
            return
