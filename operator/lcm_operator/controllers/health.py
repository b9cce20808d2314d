"""/healthz, /readyz and /metrics of the operator, on a port of its own.

/healthz names every fault that would keep trials from starting in time, one per line; docs/operations.md has
the thresholds. It must not call the API server: a probe must be answered immediately.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

from aiohttp import web

from lcm_operator.addresses import Address, bind
from lcm_operator.controllers.heartbeat import Heartbeat
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.settings import HEALTH_ADDRESS
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.election import Elector

LEASE_SILENT_SECONDS = 12.0
LOOP_LATE_SECONDS = 5.0
HEAD_OVERDUE_SECONDS = 5.0
LEASES_UNREAD_SECONDS = 30.0
_LAST_SECONDS = 1.0


class Health:
    """The faults of this process."""

    def __init__(self, heartbeat: Heartbeat, elector: Elector, reconciler: Reconciler, clock: Clock) -> None:
        self._heartbeat = heartbeat
        self._elector = elector
        self._reconciler = reconciler
        self._clock = clock

    def faults(self) -> list[str]:
        """Return a line for each fault; none if all is well."""
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
        overdue = self._reconciler.queue.overdue()
        if self._elector.is_leader() and overdue > HEAD_OVERDUE_SECONDS:
            yield f"heap: its head is overdue by {overdue:.1f} s"
        unread = self._reconciler.leases.failing_seconds()
        if self._elector.is_leader() and unread > LEASES_UNREAD_SECONDS:
            yield f"engines: their leases can't be read for {unread:.1f} s, no silence is counted"

    def loop_is_late(self) -> bool:
        """Return whether the event loop is, or recently was, too late to start anything in time."""
        return self._heartbeat.lag() > LOOP_LATE_SECONDS


@asynccontextmanager
async def serve(
    address: Address,
    health: Health,
    clocks: Callable[[], str],
    ready: Callable[[], bool],
    metrics: Callable[[], Awaitable[tuple[bytes, str]]],
) -> AsyncIterator[None]:
    """Answer while the context is open. `ready`: the cache is filled; `metrics`: the page and its type.

    `clocks`: the fault of the node's clock; it is shown, but is no fault of the process. Raises SettingsError
    if it can't listen.
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
        for listener in bind(HEALTH_ADDRESS, address):
            await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()


def _ok(note: str = "") -> web.Response:
    return web.Response(text=f"ok\nclock: {note}\n" if note else "ok\n")
