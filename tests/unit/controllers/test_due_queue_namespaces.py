"""No namespace keeps others from their turn, whether it is large, refuses or is slow."""

import asyncio
from contextlib import suppress

import pytest
from tests.unit.controllers.queued import (
    CLOCK,
    FOLLOW,
    RETRY,
    ROUTINE,
    START,
    A,
    B,
    C,
    D,
    due_soon,
    idle,
    in_seconds,
    keys,
    nothing_is_taken,
    taken,
)

from lcm_operator.controllers import due_queue as module
from lcm_operator.controllers.key import Key


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    CLOCK.__init__()
    monkeypatch.setattr(module, "_LOOK_AGAIN_SECONDS", 0.001)
    return CLOCK


@pytest.mark.parametrize("urgency", [START, FOLLOW, RETRY])
def test_a_namespace_with_one_start_does_not_queue_behind_thousands(urgency):
    async def scenario():
        queue = idle()
        for key in keys("crowded", 3000):
            queue.add(key, urgency)
        await taken(queue)
        queue.add(A, urgency)
        assert A in [await taken(queue) for _ in range(2)]

    asyncio.run(scenario())


async def all_taken(queue, most=1000):
    """Take all that there is for so many workers, and give nothing back."""
    found = []
    with suppress(TimeoutError):
        while len(queue._working) < most:
            async with asyncio.timeout(0.05):
                found.append((await queue.take())[0])
    return found


@pytest.mark.parametrize("urgency", [START, FOLLOW, RETRY, ROUTINE])
def test_starts_that_hang_in_one_namespace_leave_workers_for_others(urgency):
    async def scenario():
        queue = idle()
        for key in keys("hanging", 100):
            queue.add(key, urgency)
        hanging = await all_taken(queue)
        assert len(hanging) <= module.WORKERS // 2
        queue.add(A, START)
        assert await taken(queue) == A

    asyncio.run(scenario())


def test_keys_beyond_the_share_of_their_namespace_are_worked_on_in_order():
    async def scenario():
        queue = idle()
        crowd = keys("crowded", 60)
        for key in crowd:
            queue.add(key, START)
        order = await all_taken(queue)
        while len(order) < len(crowd):
            queue.done(order[len(order) - module._SHARE_OF_ONE_NAMESPACE])
            async with asyncio.timeout(5):
                order.append((await queue.take())[0])
        assert order == crowd

    asyncio.run(scenario())


def test_a_start_that_is_seconds_away_comes_after_one_that_is_due():
    async def scenario():
        queue = idle(a=in_seconds(3))
        queue.examine(A)
        queue.add(B, START)
        assert [await taken(queue), await taken(queue)] == [B, A]

    asyncio.run(scenario())


def test_a_start_that_was_seconds_away_comes_first_once_it_is_due():
    async def scenario():
        queue = idle(a=in_seconds(3), b=in_seconds(3))
        queue.examine(A)
        queue.examine(B)
        queue.add(B, START)
        assert [await taken(queue), await taken(queue)] == [B, A]

    asyncio.run(scenario())


# --- refused starts


def test_refused_starts_come_after_all_others_but_are_not_held_back():
    async def scenario():
        queue = due_soon()
        for key, urgency in ((A, RETRY), (B, FOLLOW), (C, START), (D, ROUTINE)):
            queue.add(key, urgency)
        assert [await taken(queue) for _ in range(3)] == [C, B, A]
        await nothing_is_taken(queue)

    asyncio.run(scenario())


def test_one_at_a_time_is_retried_in_a_namespace_that_refuses():
    async def scenario():
        queue = idle()
        for key in keys("refusing", 10):
            queue.add(key, RETRY)
        queue.tried("refusing", refused=True)
        assert len(await all_taken(queue)) == 1

    asyncio.run(scenario())


def test_a_start_that_succeeds_makes_room_for_more_retries():
    async def scenario():
        queue = idle()
        for key in keys("refusing", 40):
            queue.add(key, RETRY)
        queue.tried("refusing", refused=True)
        found = await all_taken(queue)
        for most in (2, 4, 8, module._RETRIES_AT_ONCE):
            queue.tried("refusing", refused=False)
            found += await all_taken(queue)
            assert len(found) == most

    asyncio.run(scenario())


def test_a_refused_start_is_followed_by_the_next_after_a_pause():
    async def scenario():
        queue = idle()
        first, second = keys("refusing", 2)
        queue.add(first, RETRY)
        queue.add(second, RETRY)
        queue.tried("refusing", refused=True)
        assert await taken(queue) == first
        assert await taken(queue) == second

    asyncio.run(scenario())


def test_refused_starts_take_few_workers_however_many_namespaces_refuse():
    async def scenario():
        queue = idle()
        for number in range(100):
            queue.add(Key(f"refusing-{number}", "trial"), RETRY)
        assert len(await all_taken(queue)) == module._RETRIES_AT_ONCE

    asyncio.run(scenario())


def test_a_worker_that_is_cancelled_as_it_is_woken_passes_that_on():
    async def scenario():
        queue = idle()
        first, second = (asyncio.create_task(taken(queue)) for _ in range(2))
        await asyncio.sleep(0)
        queue.add(A, START)
        first.cancel()
        assert await second == A

    asyncio.run(scenario())


def test_work_after_starts_waits_for_starts_without_a_share_but_not_long(clock):
    async def scenario():
        queue = idle()
        for key in keys("crowded", 40):
            queue.add(key, START)
        queue.add(A, FOLLOW)
        assert A not in await all_taken(queue)
        clock.seconds += 0.9
        queue.add(B, FOLLOW)
        assert A in await all_taken(queue)

    asyncio.run(scenario())


@pytest.mark.parametrize("urgency", [START, FOLLOW, RETRY, ROUTINE])
def test_each_key_of_thousands_costs_the_same_few_looks(urgency):
    async def scenario():
        queue, looks, lane = idle(), 0, int(urgency)
        for key in keys("crowded", 2000):
            queue.add(key, urgency)
        is_current = queue._is_current

        def counted(entry):
            nonlocal looks
            looks += 1
            return is_current(entry)

        queue._lanes[lane]._is_current = counted
        for _ in range(2000):
            await taken(queue)
        assert looks < 2000 * 20

    asyncio.run(scenario())


def test_keys_beyond_the_share_of_their_namespace_are_passed_over_at_once():
    async def scenario():
        queue, checks = idle(), 0
        for key in keys("crowded", 5000):
            queue.add(key, ROUTINE)
        await all_taken(queue)
        is_current = queue._is_current

        def counted(entry):
            nonlocal checks
            checks += 1
            return is_current(entry)

        queue._routine._is_current = counted
        queue.add(A, ROUTINE)
        assert await taken(queue) == A
        assert checks < 100

    asyncio.run(scenario())


# --- slow namespaces


@pytest.mark.parametrize("urgency", [START, FOLLOW, RETRY, ROUTINE])
@pytest.mark.parametrize("slow", [2, 3, 10, 30])
def test_while_many_namespaces_are_slow_others_find_a_worker(clock, slow, urgency):
    async def scenario():
        queue = idle()
        for number in range(slow):
            for key in keys(f"slow-{number}", 40):
                queue.add(key, urgency)
        while await all_taken(queue, most=module.WORKERS):
            clock.seconds += 1
        for key in (A, B, C):
            queue.add(key, urgency)
        found = await all_taken(queue, most=module.WORKERS)
        assert {A, B, C} & set(found)
        assert await all_taken(queue, most=module.WORKERS) == []
        clock.seconds += 1
        queue.add(Key("another", "trial"), START)
        assert await taken(queue) == Key("another", "trial")

    asyncio.run(scenario())


@pytest.mark.parametrize("slow", [2, 3, 10])
def test_starts_that_are_seen_to_hang_at_the_dry_run_leave_workers_at_once(clock, slow):
    async def scenario():
        queue = idle()
        hanging = [key for number in range(slow) for key in keys(f"slow-{number}", 40)]
        for key in hanging:
            queue.add(key, ROUTINE)
        checked = []
        while taken_now := await all_taken(queue, most=module.WORKERS):
            checked += taken_now
            clock.seconds += 5
        for key in checked:
            queue.done(key)
        for key in hanging:
            queue.add(key, START)
        await all_taken(queue, most=module.WORKERS)
        queue.add(Key("another", "trial"), START)
        assert await all_taken(queue, most=module.WORKERS) == [Key("another", "trial")]

    asyncio.run(scenario())


def test_routine_work_does_not_wait_for_starts_that_hang(clock):
    async def scenario():
        queue = idle()
        queue.add(Key("slow", "trial"), START)
        await taken(queue, done=False)
        clock.seconds += 1
        queue.add(A, ROUTINE)
        assert await taken(queue) == A

    asyncio.run(scenario())


def test_a_namespace_that_is_slow_alone_keeps_its_share(clock):
    async def scenario():
        queue = idle()
        for key in keys("slow", 100):
            queue.add(key, START)
        found = await all_taken(queue)
        clock.seconds += 2
        for key in found:
            queue.done(key)
        assert len(await all_taken(queue)) == len(found) == module._SHARE_OF_ONE_NAMESPACE

    asyncio.run(scenario())


def test_what_no_one_is_slow_with_takes_as_many_workers_as_may_move():
    async def scenario():
        queue = idle()
        for namespace in "abc":
            for key in keys(namespace, 1000):
                queue.add(key, START)
        assert len(await all_taken(queue)) == module._MOVING_AT_ONCE

    asyncio.run(scenario())


def test_a_namespace_that_was_slow_is_like_the_others_after_minutes(clock):
    async def scenario():
        queue = idle()
        for namespace in ("slow", "slower"):
            for key in keys(namespace, 40):
                queue.add(key, START)
        first = await all_taken(queue)
        clock.seconds += 1
        await all_taken(queue)
        for key in first:
            queue.done(key)
        then = await all_taken(queue)
        assert 0 < len(then) < len(first)
        for key in then:
            queue.done(key)
        clock.seconds += 130
        assert len(await all_taken(queue)) == len(keys("", 40)) * 2 - len(first) - len(then)

    asyncio.run(scenario())


def test_none_is_passed_over_when_all_slow_namespaces_recover_at_once(clock):
    namespaces = [f"slow-{number}" for number in range(30)]

    async def scenario():
        queue = idle()
        for namespace in namespaces:
            queue.add(Key(namespace, "first"), START)
        first = await all_taken(queue)
        clock.seconds += 1
        for key in first:
            queue.done(key)
        clock.seconds += 119.9
        for namespace in namespaces:
            queue.add(Key(namespace, "second"), START)
        second = await all_taken(queue)
        assert 0 < len(second) < len(namespaces)
        clock.seconds += 0.2
        for key in second:
            queue.done(key)
        while len(queue):
            await taken(queue)

    asyncio.run(scenario())
