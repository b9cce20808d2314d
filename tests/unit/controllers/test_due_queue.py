"""The queue of due work: what comes first, what waits, what is tried again, and one worker for each key."""

import asyncio
import random
from datetime import timedelta

import pytest
from tests.unit.controllers.queued import (
    CLOCK,
    FOLLOW,
    NEAR,
    RETRY,
    ROUTINE,
    START,
    A,
    B,
    C,
    D,
    after,
    due_soon,
    idle,
    in_seconds,
    nothing_is_taken,
    taken,
)

from lcm_operator.controllers import due_queue as module
from lcm_operator.controllers.due_queue import DueQueue
from lcm_operator.controllers.key import Due, Key
from lcm_operator.domain.actions import Urgency


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    CLOCK.__init__()
    monkeypatch.setattr(module, "_LOOK_AGAIN_SECONDS", 0.001)
    return CLOCK


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


def test_routine_work_continues_as_soon_as_nothing_is_due():
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
