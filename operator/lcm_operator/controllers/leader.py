"""Leader election by one Lease: of several replicas, one acts.

Run by the composition root; asked by the reconciler before each action. It saves work and keeps order;
that nothing happens twice rests on names, UIDs and resourceVersions, never on this.

              free, or not changed for its duration
    follow ────────────────────────────────────────> lead
       ^        (seen by a watch on the one Lease)     │ renewed every 2 s
       └───────────────────────────────────────────────┘
          not renewed for 7 s, or somebody else has it

The leader stops 3 s before anybody else may begin. Both times count from observed changes on the own clock,
which goes on while the process or the machine sleeps; clocks of different machines are never compared.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from lcm_operator import logs
from lcm_operator.kube import leases
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from lcm_operator.kube.leases import Lease
from lcm_operator.kube.resources import LEASES

LEASE_NAME = "lcm-operator"
T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, None]]
log = logs.get(__name__)


@dataclass(frozen=True)
class Terms:
    """The times of the election, in seconds."""

    lease: int = 10
    renew_every: float = 2.0
    act_within: float = 7.0
    """How long after a renewal its holder may still act: the rest of the lease is for what is under way."""
    request: float = 2.5
    retry: float = 0.5


class Elector:
    """One candidate. `identity` must be unique per process, not only per pod.

    `place`: where no two candidates run at a time, if there is such a place. Whoever holds the Lease with an
    identity that begins with it is dead, and need not be waited for.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        identity: str,
        *,
        clock: Clock,
        place: str | None = None,
        terms: Terms | None = None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._place = place
        self._terms = terms or Terms()
        self._seen: Lease | None = None
        self._seen_at = self._in_touch_at = self._clock.elapsed()
        self._act_until = 0.0
        self._complaint = ""

    def is_leader(self) -> bool:
        """Return whether this process may begin something now."""
        return self._clock.elapsed() < self._act_until

    def silence(self) -> float:
        """Return for how many seconds nothing was heard of the Lease."""
        return self._clock.elapsed() - self._in_touch_at

    async def run(self, follow: Work, lead: Work) -> None:
        """Do the one or the other until cancelled; then give the Lease back, after the work has ended."""
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
            lease = await leases.read(self._client, self._namespace, LEASE_NAME)
            if lease is not None:
                self._observe(lease)
                if self._is_held_by_another(lease) and self._left_of(lease) > 0:
                    return False
            try:
                taken = await self._take(lease)
            except (AlreadyExists, Conflict, NotFound):
                return False
        self._hold(taken, began)
        return True

    def _is_held_by_another(self, lease: Lease) -> bool:
        predecessor = self._place is not None and lease.holder.startswith(self._place)
        return lease.holder not in ("", self._identity) and not predecessor

    async def _take(self, lease: Lease | None) -> Lease:
        holder, seconds = self._identity, self._terms.lease
        if lease is not None:
            return await leases.take(self._client, lease, holder=holder, seconds=seconds)
        return await leases.create(self._client, self._namespace, LEASE_NAME, holder=holder, seconds=seconds)

    async def _until_free(self) -> None:
        """Watch the Lease until it was given back or is gone, at most until it may have run out."""
        lease = self._seen
        if lease is None:
            return
        watch = self._client.watch(
            LEASES,
            self._namespace,
            resource_version=lease.version,
            field_selector=f"metadata.name={LEASE_NAME}",
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._left_of(lease)), contextlib.aclosing(watch) as events:
                async for kind, raw in events:
                    if kind == "BOOKMARK":
                        continue
                    self._observe(leases.seen(raw))
                    if kind == "DELETED" or not leases.seen(raw).holder:
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
        """Return the renewed Lease, None if it is not ours any more. Raises ApiError."""
        if self._seen is not None:
            with contextlib.suppress(Conflict, NotFound):
                return await leases.renew(self._client, self._seen)
        lease = await leases.read(self._client, self._namespace, LEASE_NAME)
        if lease is None or lease.holder != self._identity:
            return None
        return await leases.renew(self._client, lease)

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(self._terms.request):
                while (lease := await leases.read(self._client, self._namespace, LEASE_NAME)) is not None:
                    if lease.holder != self._identity:
                        return
                    with contextlib.suppress(Conflict):  # a renewal that was under way came between
                        await leases.release(self._client, lease)
        except (ApiError, TimeoutError) as error:
            log.warning("Lease not released; it will expire", error=error)

    def _observe(self, lease: Lease) -> None:
        self._in_touch_at = self._clock.elapsed()
        if self._seen is None or self._seen.version != lease.version:
            self._seen_at = self._in_touch_at
        self._seen = lease

    def _left_of(self, lease: Lease) -> float:
        return self._seen_at + lease.seconds - self._clock.elapsed()

    def _hold(self, lease: Lease, since: float) -> None:
        """Remember that the Lease is ours; it counts from before the request that made it so."""
        self._observe(lease)
        self._act_until = since + self._terms.act_within
        self._complaint = ""

    def _complain(self, error: Exception) -> None:
        """Log what is new; the same again every half second helps nobody."""
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
