"""/readyz and /healthz of the operator, on a port of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from lcm_operator.controllers.settings import Address


@asynccontextmanager
async def serve(address: Address, ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Answer probes while the context is open; `ready`: whether the store is filled and the loop runs."""

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok") if ready() else web.Response(status=503, text="not ready")

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, address.host, address.port).start()
        yield
    finally:
        await runner.cleanup()
