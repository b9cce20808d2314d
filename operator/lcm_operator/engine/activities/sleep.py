"""The activity `sleep`. A restore that finds it running repeats `seconds` in full."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from lcm_operator.api.plan import Sleep
from lcm_operator.engine.outcome import Performed
from lcm_operator.kube.clock import pause
from lcm_operator.plan.numbers import number
from lcm_operator.plan.templates import Scope

_LOOK_AT_CLOCK_SECONDS = 1.0


async def perform(sleep: Sleep, scope: Scope, start_time: datetime, now: Callable[[], datetime]) -> Performed:
    """Wait `sleep.seconds`, or until `sleep.until_seconds` after the start time by the wall clock.

    Raises TemplateError.
    """
    if sleep.until_seconds is None:
        await pause(number(sleep.seconds or 0, "sleep.seconds", scope))
        return Performed()
    end = start_time + timedelta(seconds=number(sleep.until_seconds, "sleep.untilSeconds", scope))
    while (left := (end - now()).total_seconds()) > 0:  # noqa: ASYNC110 - the wall clock may be set
        await asyncio.sleep(min(left, _LOOK_AT_CLOCK_SECONDS))
    return Performed()
