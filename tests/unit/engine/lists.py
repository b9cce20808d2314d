"""A plan with all three lists, and how the tests run it and interrupt it."""

import asyncio

from tests.unit.engine.builders import NOW, POD, Memory, nap, plan, runner

from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.interrupts import Interrupts
from lcm_operator.engine.outcome import (
    Ending,
    Report,
)

STOPPED = Report(Ending.STOPPED, "a stop was requested (Cancel)")
LISTS = {"onFailure": [nap("tell"), nap("say")], "finally": [nap("free"), nap("clean")]}
PLAN = plan(nap("one"), nap("two"), **LISTS)
NAMES = ["one", "two", "tell", "say", "free", "clean"]


def run(store, perform, the_plan=PLAN, **more):
    return asyncio.run(runner(the_plan, store, perform, **more).run())


def stopped():
    interrupts = Interrupts(POD)
    interrupts.stop.trigger(STOPPED)
    return interrupts


def states(store):
    return {activity.name: activity.state for activity in store.status().activities}


def message(store, name):
    return store.status().activity(name).message


def stored(**outcomes):
    """Return a store with a checkpoint in which activities have these outcomes; True: it is Running."""
    store = Memory()
    checkpoint = Checkpoint.from_storage(store.status(), NAMES)
    for name, outcome in outcomes.items():
        checkpoint = checkpoint.began(name, NOW)
        if outcome is not True:
            checkpoint = checkpoint.settled(name, outcome, NOW)
    store.saved.append(checkpoint.stamped(NOW))
    return store


async def forever(_scope):
    await asyncio.Event().wait()
