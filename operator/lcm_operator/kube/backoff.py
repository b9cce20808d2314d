"""How long to wait before the API server is asked again. An engine loads this: nothing heavy."""

import asyncio
import os

from lcm_operator import logs
from lcm_operator.kube.errors import ApiError, UnavailableError

log = logs.get(__name__)
_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 5.0
_WARN_FROM_SECONDS = 1.0


class Backoff:
    """Doubles from `first` (0.1 s) to `longest` (5 s), shortened by chance: clients don't return together."""

    def __init__(self, longest: float = _LONGEST_SECONDS, *, first: float | None = None) -> None:
        self._first = self._seconds = min(_FIRST_SECONDS if first is None else first, longest)
        self._longest = min(longest, _LONGEST_SECONDS)
        self._warned = False

    def reset(self) -> None:
        """Begin again: it worked."""
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
        """Wait, no less than the API server asked for; log one warning once it takes long."""
        if self._seconds >= min(_WARN_FROM_SECONDS, self._longest) and not self._warned:
            log.warning("API server request failed; retrying until it succeeds", doing=doing, error=error)
            self._warned = True
        await self.pause((error.retry_after if isinstance(error, UnavailableError) else None) or 0.0)


def _half_to_whole() -> float:
    """Return a number from 0.5 to 1 by chance, without loading `random`."""
    return 0.5 + os.urandom(1)[0] / 510
