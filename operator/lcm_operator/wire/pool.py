"""A pool of connections to one server.

A connection is not reused after the server may have closed it. Requests must not be repeated.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from lcm_operator.wire.connection import Connection
from lcm_operator.wire.messages import Origin


class Pool:
    """At most `most` connections at a time, each reused within `quiet_seconds`."""

    def __init__(
        self, origin: Origin, trust: ssl.SSLContext | None, *, most: int, quiet_seconds: float
    ) -> None:
        self._origin = origin
        self._trust = trust
        self._places = asyncio.Semaphore(most)
        self._quiet_seconds = quiet_seconds
        self._idle: list[tuple[float, Connection]] = []

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Connection, None]:
        """Lend a connection for one request. Raises WireError if none can be made."""
        async with self._places:
            connection = await self._kept() or await Connection.connect(self._origin, self._trust)
            try:
                yield connection
            finally:
                if connection.reusable:
                    self._idle.append((_now(), connection))
                else:
                    await connection.close()

    async def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            await self._idle.pop()[1].close()

    async def _kept(self) -> Connection | None:
        """Return the most recently used idle connection that can be reused."""
        while self._idle:
            since, connection = self._idle.pop()
            if connection.reusable and _now() - since < self._quiet_seconds:
                return connection
            await connection.close()
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()
