"""Requests to the API server with aiohttp, for operator, REST sidecar and local node.

Engines, which must be light, use `wired`.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from lcm_operator.kube import errors
from lcm_operator.kube.access import Access
from lcm_operator.kube.client import Client
from lcm_operator.kube.cluster_clock import ClusterClock
from lcm_operator.kube.transport import Answer, Stream

_CONNECT_SECONDS = 10
_SILENCE_SECONDS = 100  # bookmarks come every minute


def open_session(
    access: Access,
    connections: int,
    timeout: aiohttp.ClientTimeout | None = None,
    response_class: type[aiohttp.ClientResponse] = aiohttp.ClientResponse,
) -> aiohttp.ClientSession:
    """Return a session of at most `connections` (0: any number) that carries the identity of `access`.

    The token is read for every request, so that its rotation ends no connection.
    """

    async def authorize(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.headers.update(access.authorization())
        request.server_hostname = access.server_name
        if access.proxy and access.proxy.authorization:
            shown = {"Proxy-Authorization": access.proxy.authorization}
            if request.is_ssl():
                request.proxy_headers = type(request.headers)(shown)  # of the request for a tunnel
            else:
                request.headers.update(shown)
        return await handler(request)

    connector = aiohttp.TCPConnector(
        limit=connections,
        keepalive_timeout=75,  # below the 90 s after which the API server closes
        ssl=access.ssl_context() or True,
    )
    return aiohttp.ClientSession(
        connector=connector,
        middlewares=(authorize,),
        response_class=response_class,
        timeout=timeout or aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        proxy=access.proxy.url if access.proxy else None,
    )


def pooled(
    access: Access,
    *,
    connections: int = 64,
    timeout_seconds: float = 15,
    namespaces: Sequence[str] = (),
    clock: ClusterClock | None = None,
) -> Client:
    """Return a client whose requests go over at most `connections`, each within `timeout_seconds`.

    `namespaces`: the namespaces of lists without one; empty: all. `clock` is fed with the `Date` of answers.
    """
    return Client(access, _Session(access, connections, timeout_seconds, clock), namespaces)


class _Session:
    """A Transport."""

    def __init__(
        self, access: Access, connections: int, timeout_seconds: float, clock: ClusterClock | None
    ) -> None:
        self._access = access
        self._clock = clock
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._session = open_session(self._access, self._connections, self._timeout)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        content: bytes | None,
        most: int | None = None,
    ) -> Answer:
        try:
            sent = self._clock.elapsed() if self._clock else 0.0
            async with self._open.request(
                method, self._url(target), data=content, headers=headers, allow_redirects=False
            ) as response:
                if self._clock:
                    self._clock.heard(response.headers.get("Date"), sent, self._clock.elapsed())
                body = await (response.read() if most is None else _at_most(most, response))
                return Answer(response.status, response.headers.get("Retry-After"), body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise errors.unreachable(error) from error

    @asynccontextmanager
    async def stream(self, target: str, headers: dict[str, str]) -> AsyncGenerator[Stream, None]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
        try:
            async with self._open.get(
                self._url(target), headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                yield _Stream(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise errors.unreachable(error) from error

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the client is used outside its `async with`")
        return self._session

    def _url(self, target: str) -> URL:
        return URL(self._access.server.rstrip("/") + target, encoded=True)


async def _at_most(most: int, response: aiohttp.ClientResponse) -> bytes:
    """Return the body. Raises TooLargeError, and closes the connection, if it has more bytes."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > most:
            response.close()
            raise errors.too_large(most)
        parts.append(part)
    return b"".join(parts)


class _Stream:
    """A Stream. Errors of `read` are converted where the stream was opened."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def retry_after(self) -> str | None:
        return self._response.headers.get("Retry-After")

    async def read(self) -> bytes:
        return await self._response.content.readany()
