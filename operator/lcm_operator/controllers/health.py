"""/healthz, /readyz and /metrics of the operator, on a port of its own.

/healthz names every fault that would keep trials from starting in time, a line each; thresholds in
docs/operations.md. It must not ask the API server: a probe has to be answered at once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

from aiohttp import web

from lcm_operator.addresses import Address, listening
from lcm_operator.controllers.heartbeat import Heartbeat
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.settings import HEALTH_ADDRESS
from lcm_operator.domain.actions import Urgency
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.election import Elector

LEASE_SILENT_SECONDS = 12.0
LOOP_LATE_SECONDS = 5.0
HEAD_OVERDUE_SECONDS = 5.0
LEASES_UNREAD_SECONDS = 30.0
_LAST_SECONDS = 1.0


class Health:
    """What is wrong with this process."""

    def __init__(self, heartbeat: Heartbeat, elector: Elector, reconciler: Reconciler, clock: Clock) -> None:
        self._heartbeat = heartbeat
        self._elector = elector
        self._reconciler = reconciler
        self._clock = clock

    def faults(self) -> list[str]:
        """Return a sentence for each fault; none if all is well."""
        return list(self._faults())

    def _faults(self) -> Iterator[str]:
        silence = self._heartbeat.silence()
        if self._heartbeat.is_deaf():
            yield f"watch: no event for {silence:.1f} s"
        if self.loop_is_late():
            yield f"loop: late by {self._heartbeat.lag():.1f} s"
        silence = self._elector.silence()
        if silence > LEASE_SILENT_SECONDS:
            yield f"lease: neither renewed nor seen for {silence:.1f} s"
        overdue = self._overdue()
        if self._elector.is_leader() and overdue > HEAD_OVERDUE_SECONDS:
            yield f"heap: its head is overdue by {overdue:.1f} s"

        unread = self._reconciler.leases.failing_seconds()
        if self._elector.is_leader() and unread > LEASES_UNREAD_SECONDS:
            yield f"engines: their leases can't be read for {unread:.1f} s, no silence is counted"

    def loop_is_late(self) -> bool:
        """Return whether the event loop is or was just now too late to start anything in time."""
        return self._heartbeat.lag() > LOOP_LATE_SECONDS

    def _overdue(self) -> float:
        """Return for how long the most overdue start has waited, in the heap or for a worker."""
        head = self._reconciler.alarm.next(Urgency.START)
        in_heap = self._clock.now().timestamp() - head if head is not None else 0.0
        return max(in_heap, self._reconciler.queue.longest_wait())


@asynccontextmanager
async def serve(
    address: Address,
    health: Health,
    clocks: Callable[[], str],
    ready: Callable[[], bool],
    metrics: Callable[[], Awaitable[tuple[bytes, str]]],
) -> AsyncIterator[None]:
    """Answer while the context is open. `ready`: the store is filled; `metrics`: the page and its type.

    `clocks`: what is wrong with the node's clock. It is shown, but no fault: the API server's counts.

    Raises SettingsError where it can't listen.
    """

    async def readyz(_: web.Request) -> web.Response:
        if not ready():
            return web.Response(status=503, text="the first list is not complete\n")
        return web.Response(status=503, text="the loop is late\n") if health.loop_is_late() else _ok()

    async def healthz(_: web.Request) -> web.Response:
        faults = health.faults()
        return (
            web.Response(status=503, text="".join(f"{fault}\n" for fault in faults))
            if faults
            else _ok(clocks())
        )

    async def scrape(_: web.Request) -> web.Response:
        body, content_type = await metrics()
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", scrape)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_SECONDS)
    await runner.setup()
    try:
        with listening(HEALTH_ADDRESS, address):
            await web.TCPSite(runner, address.host, address.port).start()
        yield
    finally:
        await runner.cleanup()


def _ok(note: str = "") -> web.Response:
    return web.Response(text=f"ok\nclock: {note}\n" if note else "ok\n")
