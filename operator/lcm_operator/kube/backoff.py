"""Pauses between requests to the API server. Engines load this: no heavy imports."""

import asyncio
import os

from lcm_operator import logs
from lcm_operator.kube.errors import ApiError, UnavailableError

log = logs.get(__name__)
_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 5.0
_WARN_FROM_SECONDS = 1.0


class Backoff:
    """Pauses that double from `first` (0.1 s) to `longest` (5 s), randomly shortened to spread clients."""

    def __init__(self, longest: float = _LONGEST_SECONDS, *, first: float | None = None) -> None:
        self._first = self._seconds = min(_FIRST_SECONDS if first is None else first, longest)
        self._longest = min(longest, _LONGEST_SECONDS)
        self._warned = False

    def reset(self) -> None:
        """Begin again with the shortest pause, after a success."""
        if self._warned:
            log.info("API server answers again")
        self._seconds = self._first
        self._warned = False

    async def pause(self, at_least: float = 0.0) -> None:
        """Wait, no less than `at_least`."""
        seconds = max(self._seconds * _half_to_whole(), at_least)
        self._seconds = min(self._seconds * 2, self._longest)
        await asyncio.sleep(seconds)

    async def wait(self, doing: str, error: ApiError) -> None:
        """Wait at least for Retry-After; log one warning when the pause reaches a second."""
        if self._seconds >= min(_WARN_FROM_SECONDS, self._longest) and not self._warned:
            log.warning("API server request failed; retrying until it succeeds", doing=doing, error=error)
            self._warned = True
        await self.pause((error.retry_after if isinstance(error, UnavailableError) else None) or 0.0)


def _half_to_whole() -> float:
    """Return a random number from 0.5 to 1, without loading `random`."""
    return 0.5 + os.urandom(1)[0] / 510
