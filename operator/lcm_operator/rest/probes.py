"""Health: /healthz and /readyz are routes, /metrics has its own port.

Probes need no key and wait for nothing. No metric label may name a trial.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from lcm_operator.addresses import Address, bind
from lcm_operator.rest.http import replies
from lcm_operator.rest.http.callers import Requirement
from lcm_operator.rest.http.routing import Call, Route
from lcm_operator.rest.settings import METRICS_ADDRESS


def rows(ready: Callable[[], bool], faults: Callable[[], Sequence[str]]) -> tuple[Route, ...]:
    """Return the routes of the probes. `ready`: the view is filled; `faults`: a sentence for each problem."""

    async def readyz(_: Call) -> web.StreamResponse:
        if ready():
            return replies.message("ready")
        return replies.detail(503, "Not ready: the first lists are not complete.")

    async def healthz(_: Call) -> web.StreamResponse:
        found = faults()
        return replies.detail(503, "; ".join(found)) if found else replies.message("healthy")

    def row(path: str, probe: Callable[[Call], Awaitable[web.StreamResponse]], summary: str) -> Route:
        return Route("GET", path, probe, requires=Requirement.NOTHING, summary=summary, refusals=(503,))

    return (
        row("/healthz", healthz, "Whether the sidecar is healthy"),
        row("/readyz", readyz, "Whether the sidecar can serve requests"),
    )


class Metrics:
    """The metrics of the sidecar."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._requests = Counter(
            "lcm_rest_requests",
            "Requests by path of the route (empty: no such route), method and status.",
            ["path", "method", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "lcm_rest_request_seconds",
            "Seconds from the request's headers to its answer, by path of the route and method.",
            ["path", "method"],
            registry=self.registry,
        )

    def observe(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(path, method, str(status)).inc()
        self._seconds.labels(path, method).observe(seconds)

    @asynccontextmanager
    async def served(self, address: Address) -> AsyncIterator[None]:
        """Serve /metrics while the context is open. Raises SettingsError if it cannot listen."""

        async def scrape(_: web.Request) -> web.Response:
            return web.Response(
                body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
            )

        app = web.Application()
        app.router.add_get("/metrics", scrape)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            for listener in bind(METRICS_ADDRESS, address):
                await web.SockSite(runner, listener).start()
            yield
        finally:
            await runner.cleanup()
