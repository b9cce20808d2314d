"""One connection to one server, for one request after another.

It must not repeat a request, even if the connection turns out to be closed: only the caller knows whether
that is safe. It logs nothing. Callers cancel to time out; silence in a reply is timed here.
"""

import asyncio
import ssl
from types import TracebackType
from typing import Self

from lcm_operator.proxies import Proxy
from lcm_operator.wire.errors import WireError
from lcm_operator.wire.messages import Origin, tunnel_request
from lcm_operator.wire.replies import FIRST_REDIRECT, Reply

_MOST_BUFFERED = 256 * 1024
_NEXT_ADDRESS_SECONDS = 0.25


class Connection(asyncio.Protocol):
    """Create it with `connect`; use it as a context manager, or close it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reply: Reply | None = None
        self._error: WireError | None = None
        self._changed = asyncio.Event()
        self._lost = asyncio.get_running_loop().create_future()

    @classmethod
    async def connect(cls, origin: Origin, trust: ssl.SSLContext | None, proxy: Proxy | None = None) -> Self:
        """Return a connection to `origin`, whose certificate `trust` has verified. Raises WireError.

        `proxy` tunnels to an origin by https, and is itself the server of one by http.
        """
        if proxy is None:
            return await cls._to(origin.host, origin.port, trust if origin.tls else None, "no connection")
        connection = await cls._to(proxy.host, proxy.port, None, "no connection to the proxy")
        if not origin.tls or trust is None:
            return connection
        try:
            return await connection.tunnel(origin, trust, proxy)
        except BaseException:
            await connection.close()
            raise

    @classmethod
    async def _to(cls, host: str, port: int, trust: ssl.SSLContext | None, failure: str) -> Self:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                cls, host, port, ssl=trust, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS
            )
        except (OSError, ValueError) as error:  # a ValueError: the host is not a valid name
            raise WireError(f"{failure}: {_reason(error)}") from error
        return connection

    async def tunnel(self, origin: Origin, trust: ssl.SSLContext, proxy: Proxy) -> Self:
        """Have the proxy connect to `origin`; return a connection by TLS through that tunnel."""
        reply = await self.ask("CONNECT", tunnel_request(origin, proxy))
        if reply.status >= FIRST_REDIRECT or self._transport is None:
            raise WireError(f"the proxy refused the connection with status {reply.status}")
        through = type(self)()
        self._lost.set_result(None)  # from now on asyncio reports to `through` alone
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._transport, through, trust, server_hostname=origin.host
            )
        except (OSError, ValueError) as error:
            raise WireError(f"no connection: {_reason(error)}") from error
        if transport is None:
            raise WireError("the connection was closed")
        through.connection_made(transport)
        return through

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent: the last exchange is complete and nothing followed it."""
        return (
            self._error is None
            and self._transport is not None
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()
            and (self._reply is None or (self._reply.complete and self._reply.keeps_alive))
        )

    async def ask(self, method: str, request: bytes) -> Reply:
        """Send the bytes of a request and return the head of its reply. Raises WireError."""
        reply = self._reply = Reply(method)
        if self._transport is not None and self._error is None:
            self._transport.write(request)
        while not reply.status:
            await self._more(None)
        return reply

    async def read(self, silence: float | None = None) -> bytes:
        """Return the next part of the body, b"" at its end. Raises WireError.

        Raises TimeoutError if nothing arrives for `silence` seconds.
        """
        while True:
            if self._reply is None:
                raise RuntimeError("no request was sent")
            if part := self._reply.take():
                self._resume()
                return part
            if self._reply.complete:
                return b""
            await self._more(silence)

    async def close(self) -> None:
        """Close it immediately; return when it is closed."""
        if self._transport is not None:
            self._transport.abort()
            await asyncio.shield(self._lost)

    async def _more(self, silence: float | None) -> None:
        """Wait for more data."""
        if self._error is not None:
            raise self._error
        self._changed.clear()
        async with asyncio.timeout(silence):
            await self._changed.wait()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _fail(self, error: WireError) -> None:
        self._error = self._error or error
        if self._transport is not None:
            self._transport.abort()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Receive a part of the reply; unexpected data makes the connection unusable."""
        if self._reply is None:
            self._fail(WireError("the server sent data without a request"))
            return
        try:
            self._reply.feed(data)
        except WireError as error:
            self._fail(error)
        if self._reply.buffered > _MOST_BUFFERED and self._transport is not None:
            self._transport.pause_reading()
        self._changed.set()

    def eof_received(self) -> None:
        """Note the end of the server's data; asyncio closes our side."""
        self._over(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end of the connection."""
        self._over(error)
        if not self._lost.done():
            self._lost.set_result(None)

    def _over(self, error: Exception | None) -> None:
        self._error = self._error or self._verdict(error)
        self._changed.set()

    def _verdict(self, error: Exception | None) -> WireError:
        """Return the error for further use; the end completes a reply without a length."""
        if error is not None:
            return WireError(f"the connection was lost: {_reason(error)}")
        try:
            if self._reply is not None:
                self._reply.end()
        except WireError as early:
            return early
        return WireError("the connection was closed")


def _reason(error: BaseException) -> str:
    """Return an error's text, or its name if it has none."""
    return str(error) or type(error).__name__
