"""The interface of the transports below `client`: `session` (aiohttp), or `wired` in an engine."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct


class Answer(Struct, frozen=True):
    """A complete answer."""

    status: int
    retry_after: str | None
    content: bytes


class Stream(Protocol):
    """A streamed answer."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def retry_after(self) -> str | None:
        """The header of that name."""

    async def read(self) -> bytes:
        """Return what has come, b"" at the end. Raises UnavailableError, after a long silence too."""


class Transport(Protocol):
    """Carries requests to one API server, as one identity, without retries.

    `target` is path and query, percent-encoded. Open it before, close it after use.
    """

    async def open(self) -> None:
        """Open the transport."""

    async def close(self) -> None:
        """Close all connections."""

    async def request(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        content: bytes | None,
        most: int | None = None,
    ) -> Answer:
        """Return the answer, whatever its status. Raises UnavailableError, after its time-out too.

        Raises TooLargeError, without reading on, as soon as more than `most` bytes have come.
        """

    def stream(self, target: str, headers: dict[str, str]) -> AbstractAsyncContextManager[Stream]:
        """Get `target`, without a time-out for the whole. Raises UnavailableError."""
