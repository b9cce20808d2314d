"""Leader election by one Lease: of several replicas, one acts.

Ask `is_leader` before each action. It saves work; that nothing happens twice must rest on names, UIDs and
resourceVersions, never on this.

              free, or not renewed for 10 s
    follow ────────────────────────────────────────> lead
       ^        (seen by a watch on the one Lease)     │ renewed every 2 s
       └───────────────────────────────────────────────┘
          not renewed for 7 s, or another candidate has it

The leader stops 3 s before another process may begin. Both times count from observed changes on this
process's own clock, which continues during suspension; clocks of different machines are never compared.

No content of the Lease may stop the election. Only our own times count, never those in the Lease. A write
that does not look like a candidate's renews nothing; a leader that finds such a holder takes the Lease back
immediately, as no candidate can have begun meanwhile. A perfect imitation of a candidate keeps the Lease:
access rights must prevent that (ADR 0028).
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct

from lcm_operator import logs
from lcm_operator.kube import leases
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from lcm_operator.kube.follow import ListWatch
from lcm_operator.kube.leases import Lease
from lcm_operator.kube.resources import LEASES

_CANDIDATE = re.compile(r".{1,253}_[0-9a-f]{8}", re.DOTALL)
_LONGEST_SHOWN = 100
_TRIES = 3
Work = Callable[[], Coroutine[Any, Any, None]]
log = logs.get(__name__)


class Terms(Struct, frozen=True):
    """The times of the election, in seconds."""

    lease: int = 10
    renew_every: float = 2.0
    act_within: float = 7.0
    """How long after a renewal its holder may begin actions; the rest of the lease is for running ones."""
    request: float = 2.5
    retry: float = 0.5


class Elector:
    """One candidate for the Lease `name`. `identity` must be unique per process, not only per pod.

    `place`: an identity prefix of which no two candidates run at a time, if there is one. Another holder with
    that prefix has ended, and its lease need not expire first.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        clock: Clock,
        place: str | None = None,
        terms: Terms | None = None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._place = place
        self._terms = terms or Terms()
        self._seen: Lease | None = None
        self._seen_at = self._in_touch_at = self._clock.elapsed()
        self._act_until = 0.0
        self._complaint = ""
        self.on_theft: Callable[[str], object] = lambda _: None
        """Called with a message when someone else has written the Lease while this process held it."""
        self.thefts = 0

    def is_leader(self) -> bool:
        """Return whether this process may begin an action now."""
        return self._clock.elapsed() < self._act_until

    def lease(self) -> Lease | None:
        """Return the Lease as it was last seen."""
        return self._seen

    def silence(self) -> float:
        """Return the seconds since the Lease was last observed."""
        return self._clock.elapsed() - self._in_touch_at

    async def run(self, follow: Work, lead: Work) -> None:
        """Run `follow` or `lead` until cancelled; then, after their end, release the Lease."""
        try:
            while True:
                await _while(follow(), self._until_acquired())
                log.info("leading", identity=self._identity)
                await _while(lead(), self._until_lost())
                log.warning("no longer leading", identity=self._identity)
        finally:
            self._act_until = 0.0
            await self._release()

    async def _until_acquired(self) -> None:
        while True:
            try:
                if await self._try_to_take():
                    return
                await self._until_free()
            except (ApiError, TimeoutError) as error:
                self._complain(error)
                await asyncio.sleep(self._terms.retry)

    async def _try_to_take(self) -> bool:
        began = self._clock.elapsed()
        async with asyncio.timeout(self._terms.request):
            lease = await leases.read(self._client, self._namespace, self._name)
            if lease is not None:
                self._observe(lease)
                if self._is_held_by_another(lease) and self._left() > 0:
                    return False
            try:
                taken = await self._take(lease)
            except (AlreadyExistsError, ConflictError, NotFoundError):
                # Another process keeps writing the Lease.
                await asyncio.sleep(self._terms.retry / 10)
                return False
        self._hold(taken, began)
        return True

    def _is_held_by_another(self, lease: Lease) -> bool:
        predecessor = self._place is not None and lease.holder.startswith(self._place)
        return lease.holder not in ("", self._identity) and not predecessor

    async def _take(self, lease: Lease | None) -> Lease:
        held = leases.held_by(self._identity, self._terms.lease, self._clock.now())
        if lease is not None:
            return await leases.take(self._client, lease, held)
        return await leases.create(self._client, self._namespace, self._name, held)

    async def _until_free(self) -> None:
        """Watch the Lease until it is released or deleted, at most until it may have expired."""
        lease = self._seen
        if lease is None:
            return
        stream = ListWatch(
            self._client,
            LEASES,
            self._namespace,
            read=leases.seen,
            name=self._name,
            longest_pause=self._terms.retry,
            clock=self._clock,
        )
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(self._left()),
                contextlib.aclosing(stream.states(since=lease.version)) as states,
            ):
                async for state in states:
                    if state is not None:
                        self._observe(state)
                    if state is None or not state.holder:
                        return

    async def _until_lost(self) -> None:
        pause = self._terms.renew_every
        while True:
            await asyncio.sleep(min(pause, self._act_until - self._clock.elapsed()))
            if not self.is_leader():
                return
            began, pause = self._clock.elapsed(), self._terms.retry
            try:
                async with asyncio.timeout(min(self._terms.request, self._act_until - began)):
                    renewed = await self._renew()
            except (ApiError, TimeoutError) as error:
                self._complain(error)
                continue
            if renewed is None or not self.is_leader():
                self._act_until = 0.0
                return
            self._hold(renewed, began)
            pause = self._terms.renew_every

    async def _renew(self) -> Lease | None:
        """Return the renewed Lease, None if another candidate may hold it. Raises ApiError."""
        for _ in range(_TRIES):
            if self._seen is not None:
                with contextlib.suppress(ConflictError, NotFoundError):
                    return await leases.renew(self._client, self._seen, self._clock.now())
            lease = await leases.read(self._client, self._namespace, self._name)
            if lease is None:
                return None
            if lease.holder != self._identity:
                self._report_theft(lease)
                if self._is_candidates(lease):
                    return None
            with contextlib.suppress(ConflictError, NotFoundError):
                if lease.holder == self._identity:
                    return await leases.renew(self._client, lease, self._clock.now())
                return await self._take(lease)
        raise ConflictError(409, "Conflict", f"the Lease {self._name} is changed again and again")

    def _is_candidates(self, lease: Lease) -> bool:
        """Return whether the holder looks like another candidate, which may lead."""
        form = _CANDIDATE.fullmatch(lease.holder) is not None
        return form and lease.seconds == self._terms.lease and lease.holder != self._identity

    def _report_theft(self, lease: Lease) -> None:
        """Report that the Lease was taken before our last renewal expired."""
        self.thefts += 1
        holder = f"{lease.holder[:_LONGEST_SHOWN]!r}" if lease.holder else "nobody"
        then = "it is taken back" if not self._is_candidates(lease) else "this process stops leading"
        message = f"Lease {lease.name} was written by someone else while {self._identity} held it: {then}"
        log.error(
            "Lease written by someone else while held", holder=holder, seconds=lease.seconds, result=then
        )
        self.on_theft(f"{message} (holder {holder})")

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(self._terms.request):
                while (lease := await leases.read(self._client, self._namespace, self._name)) is not None:
                    if lease.holder != self._identity:
                        return
                    with contextlib.suppress(ConflictError):  # with a renewal in progress
                        await leases.release(self._client, lease, self._clock.now())
        except (ApiError, TimeoutError) as error:
            log.warning("Lease not released; it will expire", error=error)

    def _observe(self, lease: Lease) -> None:
        """Store the observed Lease. Its term restarts only if a candidate may have renewed it."""
        self._in_touch_at = self._clock.elapsed()
        changed = self._seen is None or self._seen.version != lease.version
        if changed and (self._seen is None or self._is_candidates(lease) or lease.holder == self._identity):
            self._seen_at = self._in_touch_at
        self._seen = lease

    def _left(self) -> float:
        """Return for how many seconds another candidate may still act."""
        return self._seen_at + self._terms.lease - self._clock.elapsed()

    def _hold(self, lease: Lease, since: float) -> None:
        """Record that we hold the Lease since `since`, the time before our request."""
        self._observe(lease)
        self._act_until = since + self._terms.act_within
        self._complaint = ""

    def _complain(self, error: Exception) -> None:
        """Log an error unless it repeats the last one."""
        if _text(error) != self._complaint:
            self._complaint = _text(error)
            log.warning("cannot read or write the Lease; retrying", error=self._complaint)


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


async def _while(work: Coroutine[Any, Any, None], until: Coroutine[Any, Any, None]) -> None:
    """Run `work` until `until` returns, then cancel it and wait for its end. Raises what it raises."""
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(work)
        await until
        working.cancel()
