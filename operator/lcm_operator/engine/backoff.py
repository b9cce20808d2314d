"""How long to wait before the API server is asked again. Used by `store`, `follower` and `beats`."""

import asyncio
import os

from lcm_operator import logs
from lcm_operator.kube.errors import ApiError, Unavailable

log = logs.get(__name__)
_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 5.0


class Backoff:
    """Doubles from 0.1 s to `longest`, shortened by chance so that many engines don't come back at once."""

    def __init__(self, longest: float = _LONGEST_SECONDS) -> None:
        self._longest = min(longest, _LONGEST_SECONDS)
        self._seconds = _FIRST_SECONDS
        self._told = False

    def reset(self) -> None:
        """Begin again: it worked."""
        if self._told:
            log.info("API server answers again")
        self._seconds = _FIRST_SECONDS
        self._told = False

    async def wait(self, doing: str, error: ApiError) -> None:
        """Wait, no less than the API server asked for; log one warning once the pause reaches a second."""
        asked = error.retry_after if isinstance(error, Unavailable) else None
        pause = max(self._seconds * _half_to_whole(), asked or 0.0)
        if self._seconds >= 1 and not self._told:
            log.warning("API server request failed; retrying until it succeeds", doing=doing, error=error)
            self._told = True
        self._seconds = min(self._seconds * 2, self._longest)
        await asyncio.sleep(pause)


def _half_to_whole() -> float:
    """Return a number from 0.5 to 1 by chance, without loading `random`."""
    return 0.5 + os.urandom(1)[0] / 510
