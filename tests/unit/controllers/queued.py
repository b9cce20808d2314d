"""A queue of due work with a clock that is moved by hand."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from tests.unit.controllers.clock import HandClock

from lcm_operator.controllers.due_queue import DueQueue
from lcm_operator.controllers.key import Due, Key
from lcm_operator.domain.actions import Urgency

A, B, C, D = (Key("lab", name) for name in "abcd")
START, FOLLOW, RETRY, ROUTINE = Urgency
CLOCK = HandClock()
NEAR = Key("lab", "near")


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


# --- namespaces


def keys(namespace, count):
    return [Key(namespace, f"trial-{number}") for number in range(count)]
