"""Pauses and time-outs on a machine that may be suspended meanwhile."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from lcm_operator.kube.clock import pause, within


class SuspendedClock:
    """A clock of a machine that is suspended for an hour, a moment after it was first looked at.

    `time.monotonic`, by which asyncio sleeps, knows nothing of that hour.
    """

    def __init__(self):
        self.looks = 0

    def now(self):
        return datetime.now(UTC)

    def elapsed(self):
        self.looks += 1
        return time.monotonic() + (3600 if self.looks > 2 else 0)


def test_pause_ends_in_time_after_a_suspension():
    asyncio.run(asyncio.wait_for(pause(1800, SuspendedClock()), 20))


def test_time_out_passes_in_time_after_a_suspension():
    async def scenario():
        async with within(1800, SuspendedClock()):
            await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(scenario(), 20))


def test_pause_lasts_as_long_as_it_should():
    begun = time.monotonic()
    asyncio.run(pause(0.2))
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("seconds", [None, 30])
def test_what_ends_in_time_is_not_cancelled(seconds):
    async def scenario():
        async with within(seconds):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        return "done"

    assert asyncio.run(scenario()) == "done"


def test_time_out_of_nothing_passes_at_once():
    async def scenario():
        async with within(-1):
            await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        asyncio.run(scenario())


def test_cancellation_from_outside_is_no_time_out():
    async def scenario():
        async with within(30):
            await asyncio.sleep(30)

    async def outside():
        task = asyncio.create_task(scenario())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(outside())
