"""The due-time heap and its one task."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.controllers.clock import HandClock

from lcm_operator.controllers import alarm as module
from lcm_operator.controllers.alarm import Alarm
from lcm_operator.controllers.key import Key
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
    monkeypatch.setattr(module, "_LONGEST_SLEEP_SECONDS", 0.01)
    return CLOCK


class Bell:
    """What has rung, in order."""

    def __init__(self):
        self.rung = []
        self.changed = asyncio.Event()

    def __call__(self, key, urgency):
        self.rung.append((key, urgency))
        self.changed.set()

    async def has_rung(self, count):
        async with asyncio.timeout(5):
            while len(self.rung) < count:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def running(clock=CLOCK):
    bell = Bell()
    alarm = Alarm(bell, clock)
    task = asyncio.create_task(alarm.run())
    try:
        yield alarm, bell
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def several_looks():
    """Wait until the alarm has looked at the clock several times."""
    enough = CLOCK.looks + 3
    for _ in range(1000):
        if CLOCK.looks >= enough:
            return
        await asyncio.sleep(0.001)
    pytest.fail("the alarm does not look at the clock")


def seconds(number):
    return timedelta(seconds=number)


def test_what_is_overdue_rings_at_once():
    async def scenario():
        async with running() as (alarm, bell):
            alarm.set(A, T - seconds(60), ROUTINE)
            await bell.has_rung(1)
            assert bell.rung == [(A, ROUTINE)]
            assert len(alarm) == 0

    asyncio.run(scenario())


def test_nothing_rings_before_its_time(clock):
    async def scenario():
        async with running() as (alarm, bell):
            alarm.set(A, T + seconds(60), START)
            await several_looks()
            clock.time = T + seconds(59.999)
            await several_looks()
            assert bell.rung == []
            clock.time = T + seconds(60)
            await bell.has_rung(1)

    asyncio.run(scenario())


def test_a_clock_that_steps_forward_is_noticed(clock):
    async def scenario():
        async with running() as (alarm, bell):
            alarm.set(A, T + timedelta(days=30), START)
            await several_looks()
            clock.time = T + timedelta(days=31)
            await bell.has_rung(1)
            assert bell.rung == [(A, START)]

    asyncio.run(scenario())


def test_a_clock_that_steps_back_delays_what_was_nearly_due(clock):
    async def scenario():
        async with running() as (alarm, bell):
            alarm.set(A, T + seconds(0.02), START)
            clock.time = T - seconds(60)
            await several_looks()
            assert bell.rung == []

    asyncio.run(scenario())


def test_the_start_rings_on_time_by_the_real_clock():
    async def scenario():
        async with running(NodeClock()) as (alarm, bell):
            due = datetime.now(UTC) + seconds(0.2)
            alarm.set(A, due, START)
            await bell.has_rung(1)
            assert datetime.now(UTC) >= due

    asyncio.run(scenario())


def test_an_alarm_set_while_another_is_slept_for_rings_first(monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_SLEEP_SECONDS", 60)

    async def scenario():
        async with running() as (alarm, bell):
            alarm.set(A, T + seconds(30), START)
            await asyncio.sleep(0)
            alarm.set(B, T, ROUTINE)
            await bell.has_rung(1)
            assert bell.rung == [(B, ROUTINE)]

    asyncio.run(scenario())


def test_setting_a_key_again_replaces_its_alarm(clock):
    async def scenario():
        async with running() as (alarm, bell):
            alarm.set(A, T + seconds(60), START)
            alarm.set(A, T + seconds(120), ROUTINE)
            assert len(alarm) == 1
            clock.time = T + seconds(60)
            await several_looks()
            assert bell.rung == []
            clock.time = T + seconds(120)
            await bell.has_rung(1)
            assert bell.rung == [(A, ROUTINE)]

    asyncio.run(scenario())


def test_a_cleared_alarm_does_not_ring(clock):
    async def scenario():
        async with running() as (alarm, bell):
            alarm.set(A, T + seconds(60), START)
            alarm.clear(A)
            alarm.clear(B)
            clock.time = T + seconds(60)
            await several_looks()
            assert bell.rung == []
            assert len(alarm) == 0

    asyncio.run(scenario())


def test_each_key_rings_once(clock):
    async def scenario():
        async with running() as (alarm, bell):
            for key in (A, B, C):
                alarm.set(key, T + seconds(60), START)
                alarm.set(key, T + seconds(60), START)
            clock.time = T + seconds(61)
            await bell.has_rung(3)
            await several_looks()
            assert sorted(key for key, _ in bell.rung) == [A, B, C]

    asyncio.run(scenario())


def test_of_what_is_due_together_the_urgent_rings_first():
    async def scenario():
        async with running() as (alarm, bell):
            alarm.set(A, T - seconds(60), ROUTINE)
            alarm.set(B, T - seconds(50), FOLLOW)
            alarm.set(C, T - seconds(40), START)
            await bell.has_rung(3)
            assert bell.rung == [(C, START), (B, FOLLOW), (A, ROUTINE)]

    asyncio.run(scenario())


def test_the_earlier_rings_first():
    async def scenario():
        async with running() as (alarm, bell):
            alarm.set(A, T - seconds(1), START)
            alarm.set(B, T - seconds(3), START)
            alarm.set(C, T - seconds(2), START)
            await bell.has_rung(3)
            assert [key for key, _ in bell.rung] == [B, C, A]

    asyncio.run(scenario())


def test_what_is_next_is_asked_by_urgency():
    alarm = Alarm(lambda *_: None, CLOCK)
    assert alarm.next(START) is None
    alarm.set(A, T + seconds(60), START)
    alarm.set(B, T + seconds(30), START)
    alarm.set(C, T, ROUTINE)
    assert alarm.next(START) == (T + seconds(30)).timestamp()
    alarm.clear(B)
    assert alarm.next(START) == (T + seconds(60)).timestamp()
    alarm.set(A, T + seconds(90), ROUTINE)
    assert alarm.next(START) is None
    assert alarm.next(ROUTINE) == T.timestamp()
