"""Keys that wait for a time: what comes first, and that the queue hands each out on time."""

import asyncio
import math
import random
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.controllers.clock import HandClock

from lcm_operator.controllers import due_queue as module
from lcm_operator.controllers.due_queue import DueQueue
from lcm_operator.controllers.due_times import DueTimes
from lcm_operator.controllers.key import Due, Key
from lcm_operator.domain.actions import Urgency
from lcm_operator.kube.clock import NodeClock

T = datetime(2026, 11, 24, 10, tzinfo=UTC)
A, B, C = Key("lab", "a"), Key("lab", "b"), Key("lab", "c")
START, FOLLOW, ROUTINE = Urgency.START, Urgency.FOLLOW, Urgency.ROUTINE


class CountingClock(HandClock):
    """A clock that counts how often it is looked at."""

    looks = 0

    def now(self):
        self.looks += 1
        return super().now()


CLOCK = CountingClock()


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    CLOCK.__init__()
    monkeypatch.setattr(module, "_READ_CLOCK_SECONDS", 0.01)
    return CLOCK


class Worker:
    """What it was given, in order."""

    def __init__(self, queue):
        self.queue = queue
        self.given = []
        self.changed = asyncio.Event()

    async def run(self):
        while True:
            key, urgency = await self.queue.take()
            self.given.append((key, urgency))
            self.queue.done(key)
            self.changed.set()

    async def has_been_given(self, count):
        async with asyncio.timeout(5):
            while len(self.given) < count:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def running(clock=CLOCK):
    queue = DueQueue(lambda _: Due(), clock)
    worker = Worker(queue)
    task = asyncio.create_task(worker.run())
    try:
        yield queue, worker
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def several_looks():
    """Wait until the queue has looked at the clock several times."""
    enough = CLOCK.looks + 3
    for _ in range(1000):
        if CLOCK.looks >= enough:
            return
        await asyncio.sleep(0.001)
    pytest.fail("the queue does not look at the clock")


def seconds(number):
    return timedelta(seconds=number)


def test_an_overdue_key_is_handed_out_at_once():
    async def scenario():
        async with running() as (queue, worker):
            queue.add(A, ROUTINE, T - seconds(60))
            await worker.has_been_given(1)
            assert worker.given == [(A, ROUTINE)]
            assert queue.delayed == 0

    asyncio.run(scenario())


def test_no_key_is_handed_out_before_its_time(clock):
    async def scenario():
        async with running() as (queue, worker):
            queue.add(A, START, T + seconds(60))
            await several_looks()
            clock.time = T + seconds(59.999)
            await several_looks()
            assert worker.given == []
            clock.time = T + seconds(60)
            await worker.has_been_given(1)

    asyncio.run(scenario())


def test_a_clock_that_steps_forward_is_noticed(clock):
    async def scenario():
        async with running() as (queue, worker):
            queue.add(A, START, T + timedelta(days=30))
            await several_looks()
            clock.time = T + timedelta(days=31)
            await worker.has_been_given(1)
            assert worker.given == [(A, START)]

    asyncio.run(scenario())


def test_a_clock_that_steps_back_delays_what_was_nearly_due(clock):
    async def scenario():
        async with running() as (queue, worker):
            queue.add(A, START, T + seconds(0.02))
            clock.time = T - seconds(60)
            await several_looks()
            assert worker.given == []

    asyncio.run(scenario())


def test_a_start_is_handed_out_on_time_by_the_real_clock():
    async def scenario():
        async with running(NodeClock()) as (queue, worker):
            due = datetime.now(UTC) + seconds(0.2)
            queue.add(A, START, due)
            await worker.has_been_given(1)
            assert datetime.now(UTC) >= due

    asyncio.run(scenario())


def test_an_earlier_time_that_is_added_later_comes_first(monkeypatch):
    monkeypatch.setattr(module, "_READ_CLOCK_SECONDS", 60)

    async def scenario():
        async with running() as (queue, worker):
            queue.add(A, START, T + seconds(30))
            await asyncio.sleep(0)
            queue.add(B, ROUTINE, T)
            await worker.has_been_given(1)
            assert worker.given == [(B, ROUTINE)]

    asyncio.run(scenario())


def test_adding_a_key_again_replaces_its_time(clock):
    async def scenario():
        async with running() as (queue, worker):
            queue.add(A, START, T + seconds(60))
            queue.add(A, ROUTINE, T + seconds(120))
            assert queue.delayed == 1
            clock.time = T + seconds(60)
            await several_looks()
            assert worker.given == []
            clock.time = T + seconds(120)
            await worker.has_been_given(1)
            assert worker.given == [(A, ROUTINE)]

    asyncio.run(scenario())


def test_a_cleared_key_is_not_handed_out(clock):
    async def scenario():
        async with running() as (queue, worker):
            queue.add(A, START, T + seconds(60))
            queue.clear(A)
            queue.clear(B)
            clock.time = T + seconds(60)
            await several_looks()
            assert worker.given == []
            assert queue.delayed == 0

    asyncio.run(scenario())


def test_each_key_is_handed_out_once(clock):
    async def scenario():
        async with running() as (queue, worker):
            for key in (A, B, C):
                queue.add(key, START, T + seconds(60))
                queue.add(key, START, T + seconds(60))
            clock.time = T + seconds(61)
            await worker.has_been_given(3)
            await several_looks()
            assert sorted(key for key, _ in worker.given) == [A, B, C]

    asyncio.run(scenario())


def test_of_keys_that_are_overdue_the_urgent_come_first():
    async def scenario():
        async with running() as (queue, worker):
            queue.add(A, ROUTINE, T - seconds(60))
            queue.add(B, FOLLOW, T - seconds(50))
            queue.add(C, START, T - seconds(40))
            await worker.has_been_given(3)
            assert worker.given == [(C, START), (B, FOLLOW), (A, ROUTINE)]

    asyncio.run(scenario())


def test_of_one_urgency_the_earlier_comes_first():
    async def scenario():
        async with running() as (queue, worker):
            queue.add(A, START, T - seconds(1))
            queue.add(B, START, T - seconds(3))
            queue.add(C, START, T - seconds(2))
            await worker.has_been_given(3)
            assert [key for key, _ in worker.given] == [B, C, A]

    asyncio.run(scenario())


def test_the_next_time_is_known_for_each_urgency():
    times = DueTimes()
    assert times.next(START) is None
    times.set(A, T + seconds(60), START)
    times.set(B, T + seconds(30), START)
    times.set(C, T, ROUTINE)
    assert times.next(START) == (T + seconds(30)).timestamp()
    times.clear(B)
    assert times.next(START) == (T + seconds(60)).timestamp()
    times.set(A, T + seconds(90), ROUTINE)
    assert times.next(START) is None
    assert times.next(ROUTINE) == T.timestamp()


@pytest.mark.parametrize("seed", range(40))
def test_every_key_comes_once_at_its_last_time_however_times_change(seed):
    chance = random.Random(seed)  # noqa: S311 - it has to come out the same each time
    times, expected, popped = DueTimes(), {}, {}
    for now in range(60):
        for _ in range(chance.randrange(4)):
            key, at = Key("lab", chance.choice("abcdef")), now + chance.randrange(20)
            if chance.random() < 0.2:
                times.clear(key)
                expected.pop(key, None)
            else:
                times.set(key, T + seconds(at), chance.choice(list(Urgency)))
                expected[key] = at
        due = {key for key, at in expected.items() if at <= now}
        while found := times.pop((T + seconds(now)).timestamp()):
            assert expected.pop(found[0]) <= now
            popped[found[0]] = now
            due.remove(found[0])
        assert not due
    assert len(times) == len(expected)
    assert times.earliest <= min((T.timestamp() + at for at in expected.values()), default=math.inf)


def test_keys_due_at_one_instant_are_released_some_with_each_that_is_taken():
    async def scenario():
        queue, released = DueQueue(lambda _: Due(), CLOCK), module._RELEASED_AT_ONCE
        for number in range(1000):
            queue.add(Key("lab", f"flight-{number}"), START, T - seconds(1))
        for taken in range(1000):
            assert queue.delayed == max(0, 1000 - taken * released)
            key, _ = await queue.take()
            queue.done(key)

    asyncio.run(scenario())
