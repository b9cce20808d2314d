"""Serves the output of this node's pods to the API server, as a kubelet does: the part that `pods/log` needs.

Only clients with a certificate of the cluster's authority are answered; the API server has checked before
whether the user may read the log. It follows no log: the answer is what was written by then.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from devcluster.node.downward import ADDRESS
from lcm_operator import trust

_LAST_SECONDS = 1.0
ReadLog = Callable[[str, str, str], bytes | None]
"""Returns what a container (namespace, pod, container) has written; None if it was never begun."""


@dataclass(frozen=True)
class Endpoint:
    """Where the node is reached. `pki`: the folder of the cluster's keys and certificates."""

    port: int
    pki: Path


@asynccontextmanager
async def serve(endpoint: Endpoint | None, read: ReadLog) -> AsyncIterator[None]:
    """Answer while the context is open; without an endpoint nobody is answered."""
    if endpoint is None:
        yield
        return
    context = trust.client_verifying_context(endpoint.pki / "ca.crt")
    context.load_cert_chain(endpoint.pki / "server.crt", endpoint.pki / "server.key")

    async def log(request: web.Request) -> web.Response:
        return _answer(request, read)

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", log)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, ADDRESS, endpoint.port, ssl_context=context).start()
        yield
    finally:
        await runner.cleanup()


def _answer(request: web.Request, read: ReadLog) -> web.Response:
    place = request.match_info
    written = read(place["namespace"], place["pod"], place["container"])
    if written is None:
        text = f'container "{place["container"]}" in pod "{place["pod"]}" is waiting to start'
        return web.Response(status=400, text=text)
    body = selected(written, request.query.get("tailLines"), request.query.get("limitBytes"))
    return web.Response(body=body, content_type="text/plain")


def selected(written: bytes, lines: str | None, most: str | None) -> bytes:
    """Return the last `lines` of an output, and of these the first `most` bytes."""
    kept = written
    if lines is not None and lines.isdecimal():
        split = written.splitlines(keepends=True)
        kept = b"".join(split[len(split) - int(lines) :] if int(lines) < len(split) else split)
    return kept[: int(most)] if most is not None and most.isdecimal() else kept
