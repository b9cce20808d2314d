"""Work that nobody waits for leaves each turn of the loop to others after a few milliseconds."""

import asyncio
import time

from lcm_operator.controllers import time_slice as module
from lcm_operator.controllers.time_slice import TimeSlice


def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def turns_of_the_loop(workers, steps):
    """Return how many turns the loop made while so many workers worked so many steps of a slice each."""
    slice_ = TimeSlice()

    async def work():
        for _ in range(steps):
            busy(module.SLICE_SECONDS)
            await slice_.rest()

    async def scenario():
        turns = 0
        tasks = [asyncio.create_task(work()) for _ in range(workers)]
        while not all(task.done() for task in tasks):
            turns += 1
            await asyncio.sleep(0)
        return turns

    return asyncio.run(scenario())


def test_long_work_gives_way_after_each_slice():
    assert turns_of_the_loop(workers=1, steps=10) >= 10


def test_many_workers_share_one_slice():
    assert turns_of_the_loop(workers=8, steps=5) >= 20


def test_short_work_is_not_interrupted():
    async def scenario():
        slice_ = TimeSlice()
        others = asyncio.create_task(asyncio.sleep(0))
        await slice_.rest()
        await slice_.rest()
        assert not others.done()
        await others

    asyncio.run(scenario())
