"""The activity `sleep`. A restore that finds it running repeats `seconds` in full."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from lcm_operator.api.plan import Sleep
from lcm_operator.engine.outcome import Performed
from lcm_operator.kube.clock import pause

_LOOK_AT_CLOCK_SECONDS = 1.0


async def perform(sleep: Sleep, start_time: datetime, now: Callable[[], datetime]) -> Performed:
    """Wait `sleep.seconds`, or until `sleep.until_seconds` after the start time by the wall clock."""
    if sleep.until_seconds is None:
        await pause(sleep.seconds or 0)
        return Performed()
    end = start_time + timedelta(seconds=sleep.until_seconds)
    while (left := (end - now()).total_seconds()) > 0:  # noqa: ASYNC110 - the wall clock may be set
        await asyncio.sleep(min(left, _LOOK_AT_CLOCK_SECONDS))
    return Performed()
