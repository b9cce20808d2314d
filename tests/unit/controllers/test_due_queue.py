"""The queue of due work: what comes first, what waits, what is tried again, and one worker for each key."""

import asyncio
import random
from contextlib import suppress
from datetime import timedelta

import pytest
from tests.unit.controllers.clock import HandClock

from lcm_operator.controllers import due_queue as module
from lcm_operator.controllers.due_queue import DueQueue
from lcm_operator.controllers.key import Due, Key
from lcm_operator.domain.actions import Urgency

A, B, C, D = (Key("lab", name) for name in "abcd")
START, FOLLOW, RETRY, ROUTINE = Urgency


CLOCK = HandClock()
NEAR = Key("lab", "near")


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    CLOCK.__init__()
    monkeypatch.setattr(module, "_LOOK_AGAIN_SECONDS", 0.001)
    return CLOCK


async def taken(queue, *, done=True):
    async with asyncio.timeout(5):
        key, _ = await queue.take()
    if done:
        queue.done(key)
    return key


async def nothing_is_taken(queue):
    with suppress(TimeoutError):
        async with asyncio.timeout(0.02):
            key, _ = await queue.take()
            pytest.fail(f"{key} was taken")


def idle(**due):
    """Return a queue in which nothing is near; `due`: what is due in slots, by their names."""
    return DueQueue(lambda key: due.get(key.name, Due()), CLOCK)


def due_soon():
    """Return a queue in which a start is near, as long as the wall clock does not move."""
    queue = idle()
    queue.add(NEAR, START, after(0.9))
    return queue


def after(seconds):
    return CLOCK.now() + timedelta(seconds=seconds)


def in_seconds(seconds):
    return Due(START, after(seconds))


# --- order


def test_keys_of_one_urgency_come_in_their_order():
    async def scenario():
        queue = idle()
        for key in (A, B, C):
            queue.add(key, ROUTINE)
        assert [await taken(queue) for _ in range(3)] == [A, B, C]

    asyncio.run(scenario())


def test_a_start_comes_before_what_follows_a_start_and_both_before_routine():
    async def scenario():
        queue = idle()
        for key, urgency in ((A, ROUTINE), (B, FOLLOW), (C, START)):
            queue.add(key, urgency)
        assert [await taken(queue) for _ in range(3)] == [C, B, A]

    asyncio.run(scenario())


def test_work_after_a_start_precedes_later_starts_after_most_of_a_second(clock):
    async def scenario():
        queue = idle()
        queue.add(A, FOLLOW)
        clock.seconds += 0.7
        queue.add(B, START)
        clock.seconds += 0.2
        queue.add(C, START)
        assert [await taken(queue) for _ in range(3)] == [B, A, C]

    asyncio.run(scenario())


def test_a_key_that_is_queued_is_not_queued_twice():
    async def scenario():
        queue = idle()
        queue.add(A, ROUTINE)
        queue.add(A, ROUTINE)
        assert len(queue) == 1
        await taken(queue)
        await nothing_is_taken(queue)
        assert len(queue) == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "urgencies",
    [pytest.param((ROUTINE, START), id="later"), pytest.param((START, ROUTINE), id="earlier")],
)
def test_a_key_keeps_the_higher_urgency_whether_it_comes(urgencies):
    async def scenario():
        queue = due_soon()
        queue.add(B, FOLLOW)
        for urgency in urgencies:
            queue.add(A, urgency)
        assert [await taken(queue), await taken(queue)] == [A, B]
        await nothing_is_taken(queue)

    asyncio.run(scenario())


# --- holding back


@pytest.mark.parametrize("urgency", [FOLLOW, RETRY, ROUTINE])
def test_the_others_keep_their_turn_when_the_first_becomes_urgent(urgency):
    async def scenario():
        queue = idle()
        for key in (A, B, C):
            queue.add(key, urgency)
        queue.add(A, START)
        assert [await taken(queue) for _ in range(3)] == [A, B, C]

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(40))
def test_every_key_is_taken_however_its_urgency_changes(clock, seed):
    chance = random.Random(seed)  # noqa: S311 - it has to come out the same each time
    keys = [Key(namespace, name) for namespace in ("lab", "field") for name in "abcde"]

    async def scenario():
        queue = DueQueue(lambda _: chance.choice((Due(), in_seconds(0), in_seconds(3))), CLOCK)
        for _ in range(30):
            key, urgency = chance.choice(keys), chance.choice(list(Urgency))
            chance.choice((queue.add, queue.examine))(key, urgency)
            clock.seconds += chance.choice((0.0, 0.3, 1.0))
            if len(queue) and chance.random() < 0.2:
                await taken(queue)
        clock.seconds += 10
        while len(queue):
            await taken(queue)

    asyncio.run(scenario())


def test_routine_work_waits_while_a_start_is_near_but_at_most_five_seconds(clock):
    async def scenario():
        queue = due_soon()
        queue.add(A, ROUTINE)
        await nothing_is_taken(queue)
        clock.seconds += 4.9
        await nothing_is_taken(queue)
        clock.seconds += 0.2
        assert await taken(queue) == A

    asyncio.run(scenario())


def test_routine_work_goes_on_as_soon_as_nothing_is_due():
    async def scenario():
        queue = due_soon()
        queue.add(A, ROUTINE)
        await nothing_is_taken(queue)
        queue.clear(NEAR)
        assert await taken(queue) == A

    asyncio.run(scenario())


def test_routine_work_waits_while_urgent_work_is_under_way():
    async def scenario():
        queue = idle()
        queue.add(A, START)
        queue.add(B, ROUTINE)
        await taken(queue, done=False)
        await nothing_is_taken(queue)
        queue.done(A)
        assert await taken(queue) == B

    asyncio.run(scenario())


def test_routine_work_does_not_wait_for_other_routine_work():
    async def scenario():
        queue = idle()
        queue.add(A, ROUTINE)
        queue.add(B, ROUTINE)
        await taken(queue, done=False)
        assert await taken(queue) == B

    asyncio.run(scenario())


def test_urgent_work_is_never_held_back():
    async def scenario():
        queue = due_soon()
        queue.add(A, FOLLOW)
        queue.add(B, START)
        assert [await taken(queue), await taken(queue)] == [B, A]

    asyncio.run(scenario())


# --- one worker a key


def test_a_key_is_worked_on_by_one_worker_at_a_time():
    async def scenario():
        queue = idle()
        queue.add(A, START)
        await taken(queue, done=False)
        queue.add(A, START)
        await nothing_is_taken(queue)
        queue.done(A)
        assert await taken(queue) == A

    asyncio.run(scenario())


def test_key_added_during_its_work_is_worked_on_once_more_at_top_urgency():
    async def scenario():
        queue = due_soon()
        queue.add(A, START)
        await taken(queue, done=False)
        queue.add(A, ROUTINE)
        queue.add(A, FOLLOW)
        queue.add(A, ROUTINE)
        assert len(queue) == 1
        queue.done(A)
        async with asyncio.timeout(5):
            assert await queue.take() == (A, FOLLOW)
        queue.done(A)
        assert len(queue) == 0

    asyncio.run(scenario())


def test_a_key_given_back_is_not_looked_at_again_without_a_reason():
    async def scenario():
        queue = idle()
        queue.add(A, START)
        await taken(queue)
        await nothing_is_taken(queue)

    asyncio.run(scenario())


def test_workers_that_wait_all_get_work():
    async def scenario():
        queue = idle()
        workers = [asyncio.create_task(taken(queue, done=False)) for _ in range(4)]
        await asyncio.sleep(0)
        for key in (A, B, C, D):
            queue.add(key, START)
        assert sorted(await asyncio.gather(*workers)) == [A, B, C, D]

    asyncio.run(scenario())


# --- namespaces


def keys(namespace, count):
    return [Key(namespace, f"trial-{number}") for number in range(count)]


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


# --- what has failed


def test_pauses_between_tries_double_up_to_five_seconds():
    queue = idle()
    assert [queue.retry(A, FOLLOW) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    queue.succeeded(A)
    assert queue.retry(A, FOLLOW) == 0.1


def test_a_step_based_on_old_knowledge_is_tried_again_at_once_but_once():
    queue = idle()
    assert [queue.retry(A, FOLLOW, at_once=True) for _ in range(3)] == [0.0, 0.1, 0.2]


def test_what_failed_is_examined_after_its_pause_and_not_before(clock):
    async def scenario():
        queue = idle()
        queue.retry(A, FOLLOW)
        assert queue.delayed == 1
        await nothing_is_taken(queue)
        clock.advance(0.11)
        assert await taken(queue) == A
        assert queue.delayed == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("due", "seconds"),
    [
        pytest.param({"start_time": 3}, 3, id="start time"),
        pytest.param({"start_time": -1, "last_try": 8.7}, 8.7, id="last chance of the start"),
    ],
)
def test_a_pause_ends_no_later_than_the(clock, due, seconds):
    times = {name: clock.now() + timedelta(seconds=value) for name, value in due.items()}
    queue = idle(a=Due(START, **times))
    assert queue.retry(A, FOLLOW, at_least=20) == 20
    clock.advance(seconds - 0.1)
    assert queue._times.pop(clock.now().timestamp()) is None
    clock.advance(0.1)
    assert queue._times.pop(clock.now().timestamp())[0] == A


def test_what_failed_more_than_once_comes_after_the_starts_of_others():
    async def scenario():
        queue = idle(a=in_seconds(0), b=in_seconds(0))
        for _ in range(3):
            queue.retry(A, START)
        queue.examine(A)
        queue.examine(B)
        assert [await taken(queue), await taken(queue)] == [B, A]

    asyncio.run(scenario())


# --- quiet moments


@pytest.mark.parametrize(
    "busy",
    [
        pytest.param(lambda queue: queue.add(A, START), id="a start that waits for a worker"),
        pytest.param(lambda queue: queue.add(A, FOLLOW), id="what follows a start"),
        pytest.param(lambda queue: queue.add(A, START, after(0.9)), id="a near start"),
    ],
)
def test_nobody_finds_a_quiet_moment_during(busy):
    async def scenario():
        queue = idle()
        busy(queue)
        assert await queue.quiet(0.02) == 0.02

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "calm",
    [
        pytest.param(lambda queue: queue.add(A, ROUTINE), id="routine work"),
        pytest.param(lambda queue: queue.add(A, ROUTINE, CLOCK.now()), id="routine work that is due"),
        pytest.param(lambda queue: queue.add(A, START, after(2)), id="a start ahead"),
    ],
)
def test_a_moment_is_quiet_in_spite_of(calm):
    async def scenario():
        queue = idle()
        calm(queue)
        assert await queue.quiet(60) == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("urgency", [START, FOLLOW])
def test_all_who_wait_for_a_quiet_moment_go_on_when_urgent_work_is_done(urgency):
    async def scenario():
        queue = idle()
        queue.add(A, urgency)
        waiting = [asyncio.create_task(queue.quiet(60)) for _ in range(2)]
        await taken(queue, done=False)
        assert not (await asyncio.wait(waiting, timeout=0.02))[0]
        queue.done(A)
        async with asyncio.timeout(5):
            await asyncio.gather(*waiting)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda queue: queue.clear(NEAR), id="cancelled"),
        pytest.param(lambda queue: queue.add(NEAR, START, after(3600)), id="moved"),
    ],
)
def test_a_moment_becomes_quiet_when_the_near_start_is(change):
    async def scenario():
        queue = due_soon()
        waiting = asyncio.create_task(queue.quiet(60))
        assert not (await asyncio.wait([waiting], timeout=0.02))[0]
        change(queue)
        async with asyncio.timeout(5):
            await waiting

    asyncio.run(scenario())
