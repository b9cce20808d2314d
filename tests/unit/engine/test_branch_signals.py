"""Waits of parallel branches: which signal each of them takes."""

import asyncio

from tests.harness.waiting import until
from tests.unit.engine.builders import NOW, Memory, Stub, ask, nap, plan, runner, wait
from tests.unit.engine.flight import Gate, states

from lcm_operator.api.engine import Signal
from lcm_operator.engine.outcome import (
    Ending,
)

# --- signals


def signalled(the_plan, *steps, **results):
    """Run a plan; of `steps`, each a condition on the states and a signal, the signals come in turn."""

    async def scenario():
        store = Memory()
        running = asyncio.create_task(runner(the_plan, store, Stub(**results)).run())
        for condition, name in steps:
            await until(lambda condition=condition: condition(states(store)))
            for _ in range(20):
                await asyncio.sleep(0)
            store.receive(name)
        report = await asyncio.wait_for(running, 10)
        assert report.ending is Ending.FINISHED
        return store.consumed

    return asyncio.run(scenario())


def are_running(*names):
    return lambda found: all(found.get(name) == "Running" for name in names)


def test_each_branch_waits_for_its_own_signal():
    the_plan = plan(wait("one", "go", branch="x"), wait("two", "stop", branch="y"))

    taken = signalled(the_plan, (are_running("one", "two"), "stop"), (are_running("one"), "go"))

    assert taken == {"stop-0": "two", "go-1": "one"}


def test_of_two_waits_for_one_name_the_first_to_wait_takes_the_first_signal():
    the_plan = plan(wait("one", "go", branch="x"), wait("two", "go", branch="y"))

    taken = signalled(the_plan, (are_running("one", "two"), "go"), (are_running("two"), "go"))

    assert taken == {"go-0": "one", "go-1": "two"}


def test_two_signals_at_once_end_two_waits():
    async def scenario():
        store = Memory()
        the_plan = plan(wait("one", "go", branch="x"), wait("two", "go", branch="y"))
        running = asyncio.create_task(runner(the_plan, store, Stub()).run())
        await until(lambda: are_running("one", "two")(states(store)))
        moment = NOW
        store.signals += [Signal(id=each, name="go", received_time=moment) for each in ("s1", "s2")]
        store.observe(store.engine())
        await asyncio.wait_for(running, 10)
        return store.consumed

    assert asyncio.run(scenario()) == {"s1": "one", "s2": "two"}


def test_a_signal_that_another_branch_counts_is_not_consumed_as_too_early():
    the_plan = plan(
        ask("ask-one", branch="x"),
        wait("one", "go", branch="x"),
        wait("hold", "on", branch="y"),
        ask("ask-two", branch="y"),
        wait("two", "go", branch="y"),
    )

    async def scenario():
        store, slow = Memory(), Gate()
        # `go` comes for ask-one, whose branch is not at its wait yet, before ask-two begins.
        running = asyncio.create_task(runner(the_plan, store, Stub(ask_one=slow)).run())
        await until(lambda: slow.entered and states(store)["hold"] == "Running")
        store.receive("go")
        store.receive("on")
        await until(lambda: states(store)["two"] == "Running")
        store.receive("go")
        await until(lambda: states(store)["two"] == "Succeeded")
        slow.open()
        await asyncio.wait_for(running, 10)
        return store.consumed

    assert asyncio.run(scenario()) == {"go-0": "one", "on-1": "hold", "go-2": "two"}


def test_wait_counts_since_a_request_before_the_block_not_of_a_branch():
    the_plan = plan(
        ask("before"),
        wait("one", "go", branch="x"),
        ask("other", branch="y"),
        nap("end"),
    )

    async def scenario():
        store, slow = Memory(), Gate()
        before = Gate()
        running = asyncio.create_task(runner(the_plan, store, Stub(before=before, other=slow)).run())
        await until(lambda: before.entered)
        store.receive("go")
        before.open()
        await until(lambda: states(store)["one"] == "Succeeded")
        slow.open()
        return (await asyncio.wait_for(running, 10)).ending

    assert asyncio.run(scenario()) is Ending.FINISHED
