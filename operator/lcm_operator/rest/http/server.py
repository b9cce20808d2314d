"""The server: limits the time, headers and connections of clients, so that slow ones do not affect others.

aiohttp limits the size of headers, but neither the time in which they arrive, nor the time in which a client
reads its reply, nor the number of clients. This module must not know any route.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from lcm_operator import logs
from lcm_operator.rest.http import replies
from lcm_operator.rest.http.certificate import ServerCertificate

_LONGEST_LINE = 8190
_MOST_HEADERS = 64
log = logs.get(__name__)


@dataclass(frozen=True)
class Limits:
    """Limits for clients."""

    head_seconds: float = 10
    """From the first byte of a request (or the connection) to the end of its headers."""
    send_seconds: float = 30
    """For the client to read the reply."""
    idle_seconds: float = 75
    """Between two requests."""
    connections: int = 512
    """Beyond it, the connection that has waited longest for its client is closed."""


class Server(web.Server):
    """aiohttp's server with bounded connections. Use it with `web.ServerRunner`."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        limits: Limits = Limits(),
    ) -> None:
        super().__init__(
            handler,
            access_log=None,  # `dispatch` logs requests, without query and headers
            auto_decompress=False,  # a compressed body must not grow beyond its limit
            keepalive_timeout=2 * limits.idle_seconds,  # our own time-out is shorter
            lingering_time=limits.head_seconds / 2,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            max_headers=_MOST_HEADERS,
        )
        self.limits = limits
        # An ordered set of the connections that wait for their client, longest first.
        self.waiting: dict[ClientConnection, None] = {}

    def __call__(self) -> "ClientConnection":
        """Return the protocol of a new connection."""
        return ClientConnection(self, loop=self._loop, **self._kwargs)

    def make_room(self) -> None:
        """Close the connection that has waited longest for its client if there are too many."""
        if len(self.connections) > self.limits.connections and self.waiting:
            next(iter(self.waiting)).abort()


class ClientConnection(web.RequestHandler):
    """One client. Its timer bounds the current wait: for headers, for the reply to be read, or idle."""

    __slots__ = ("_idle", "_server", "_timer")

    def __init__(self, server: Server, **arguments: Any) -> None:
        super().__init__(server, **arguments)
        self._server = server
        self._idle = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request; this may close another connection."""
        super().connection_made(transport)
        self._server.make_room()
        self._wait(self._server.limits.head_seconds)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the timer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Receive data; the first of a request starts the timer of its headers."""
        if self._idle:
            self._idle = False
            self._wait(self._server.limits.head_seconds)
        super().data_received(data)

    def begin(self) -> None:
        """Stop the timer: the headers are complete, and the handler bounds the rest."""
        self._idle = False
        self._stop_waiting()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the reply in bounded time, then wait for the next request."""
        self._wait(self._server.limits.send_seconds)
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._wait_until_taken()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what the client sent, keys included
    ) -> web.StreamResponse:
        """Answer malformed HTTP. Its content is neither repeated nor logged: it may contain a key."""
        log.info("malformed request", client=request.remote, error=type(exc).__name__)
        if isinstance(exc, LineTooLong):
            answer = replies.detail(431, "Request Header Fields Too Large")
        elif status < 500:  # noqa: PLR2004 - the class of server errors
            answer = replies.detail(400, "Bad Request")
        else:
            answer = replies.detail(status, "Internal Server Error")
        answer.force_close()
        return answer

    def abort(self) -> None:
        """Close the connection immediately; unsent data is lost."""
        self._stop_waiting()
        if self.transport is not None:
            self.transport.abort()

    def _wait_until_taken(self) -> None:
        """Wait for the client to read what is still buffered, then for the next request."""
        if self.transport is None:
            return
        self._idle = True
        if self.transport.get_write_buffer_size():
            self._wait(self._server.limits.send_seconds)
        else:
            self._wait(self._server.limits.idle_seconds)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        if self.transport is not None:
            self._server.waiting[self] = None
            self._timer = self._loop.call_later(seconds, self.abort)

    def _stop_waiting(self) -> None:
        self._server.waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Site(web.SockSite):
    """One listening socket of a `Server`, with TLS if it has a certificate."""

    def __init__(
        self, runner: web.ServerRunner, listener: socket.socket, certificate: ServerCertificate | None
    ) -> None:
        super().__init__(runner, listener, ssl_context=certificate.context if certificate else None)

    async def start(self) -> None:
        """Accept connections. A TLS handshake has the time that headers have."""
        await web.BaseSite.start(self)
        server = cast("Server", self._runner.server)
        self._server = await asyncio.get_running_loop().create_server(
            server,
            sock=self._sock,
            ssl=self._ssl_context,
            ssl_handshake_timeout=server.limits.head_seconds if self._ssl_context else None,
            ssl_shutdown_timeout=server.limits.head_seconds if self._ssl_context else None,
        )


def begin(request: web.BaseRequest) -> None:
    """Mark on its connection that a request is being handled."""
    cast("ClientConnection", request.protocol).begin()
