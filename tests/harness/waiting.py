"""Waits of unit tests: for a condition, with a deadline that no load of the machine reaches."""

import asyncio
from collections.abc import Callable

DEADLINE_SECONDS = 30.0
_POLL_SECONDS = 0.001


async def until(condition: Callable[[], object], seconds: float = DEADLINE_SECONDS) -> None:
    """Let all other tasks run until the condition holds. Raises TimeoutError after so many seconds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - no event reports an arbitrary condition
            await asyncio.sleep(_POLL_SECONDS)
