"""Requests to the API server over `wire`, which is light enough for engines."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from lcm_operator.kube import errors
from lcm_operator.kube.access import Access
from lcm_operator.kube.client import Client
from lcm_operator.kube.transport import Answer, Stream
from lcm_operator.wire.connection import Connection
from lcm_operator.wire.errors import WireError
from lcm_operator.wire.messages import parse_url, request
from lcm_operator.wire.pool import Pool
from lcm_operator.wire.replies import Reply

_QUIET_SECONDS = 75  # below the 90 s after which the API server closes
_HEAD_SECONDS = 10
_SILENCE_SECONDS = 100  # bookmarks come every minute


def lean(access: Access, *, connections: int, timeout_seconds: float = 15) -> Client:
    """Return a client whose requests go over at most `connections`, each within `timeout_seconds`."""
    return Client(access, _Wired(access, connections, timeout_seconds))


class _Wired:
    """A Transport."""

    def __init__(self, access: Access, connections: int, timeout_seconds: float) -> None:
        self._access = access
        self._connections = connections
        self._timeout_seconds = timeout_seconds
        self._origin, prefix = parse_url(access.server)
        self._prefix = prefix.rstrip("/")
        self._pool: Pool | None = None

    async def open(self) -> None:
        trust = self._access.ssl_context()
        self._pool = Pool(self._origin, trust, most=self._connections, quiet_seconds=_QUIET_SECONDS)

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def request(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        content: bytes | None,
        most: int | None = None,
    ) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_seconds), self._open.lend() as connection:
                reply = await self._ask(connection, method, target, headers, content)
                whole = bytearray()
                while part := await connection.read():
                    whole += part
                    if most is not None and len(whole) > most:
                        raise errors.too_large(most)
                return Answer(reply.status, reply.headers.get("Retry-After"), bytes(whole))
        except (WireError, TimeoutError) as error:
            raise errors.unreachable(error) from error

    @asynccontextmanager
    async def stream(self, target: str, headers: dict[str, str]) -> AsyncGenerator[Stream, None]:
        try:
            async with asyncio.timeout(_HEAD_SECONDS) as limit, self._open.lend() as connection:
                reply = await self._ask(connection, "GET", target, headers, None)
                limit.reschedule(None)
                yield _Stream(connection, reply)
        except (WireError, TimeoutError) as error:
            raise errors.unreachable(error) from error

    async def _ask(
        self,
        connection: Connection,
        method: str,
        target: str,
        headers: dict[str, str],
        content: bytes | None,
    ) -> Reply:
        sent = headers | {"User-Agent": "lcm-engine"} | self._access.authorization()
        return await connection.ask(
            method, request(self._origin, method, self._prefix + target, sent, content)
        )

    @property
    def _open(self) -> Pool:
        if self._pool is None:
            raise RuntimeError("the client is used outside its `async with`")
        return self._pool


class _Stream:
    """A Stream. Errors of `read` are converted where the stream was opened."""

    def __init__(self, connection: Connection, reply: Reply) -> None:
        self._connection = connection
        self.status = reply.status
        self.retry_after = reply.headers.get("Retry-After")

    async def read(self) -> bytes:
        return await self._connection.read(_SILENCE_SECONDS)
