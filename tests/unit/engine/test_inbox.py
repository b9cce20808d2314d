"""The activity `wait`: which signals it counts, and that none is lost or acted on twice."""

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.harness.waiting import until
from tests.unit.engine.builders import NOW, POD, Memory, Stub, ask, nap, plan, runner, wait

from lcm_operator.engine.interrupts import Interrupts
from lcm_operator.engine.outcome import Ending, Performed, Report

DEPLOY_DELETE = plan(
    ask("deploy"), wait("deployed", "slice"), nap("use"), ask("delete"), wait("deleted", "slice")
)


def run(the_plan, store, perform, **more):
    """Run to the end; a plan that waits for what never comes fails the test."""

    async def scenario():
        return await asyncio.wait_for(runner(the_plan, store, perform, **more).run(), 10)

    return asyncio.run(scenario())


def killed_when(the_plan, store, perform, condition):
    """Run until a condition holds; the process is gone then, and what it knew."""

    async def scenario():
        running = asyncio.create_task(runner(the_plan, store, perform).run())
        await until(condition)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())


def receiving(store, *names, **more):
    """Return what an activity does that causes signals."""

    async def act(_scope):
        for name in names:
            store.receive(name, **more)
        return Performed()

    return act


def states(store):
    return {activity.name: activity.state for activity in store.status().activities}


def test_wait_succeeds_with_the_signal_of_its_request_in_one_write():
    store = Memory()
    perform = Stub(deploy=receiving(store, "slice"))

    report = run(plan(ask("deploy"), wait("ready", "slice"), nap("use")), store, perform)

    assert report.ending is Ending.FINISHED
    assert perform.names == ["deploy", "use"]
    taking = next(saved for saved in store.saved if saved.consumed)
    assert [a.state for a in taking.activities] == ["Succeeded", "Succeeded", "Running"]
    assert store.consumed == {"slice-0": "ready"}


def test_a_wait_continues_as_soon_as_the_signal_comes():
    async def scenario():
        store, perform = Memory(), Stub()
        the_plan = plan(ask("deploy"), wait("ready", "slice"), nap("use"))
        running = asyncio.create_task(runner(the_plan, store, perform).run())
        await until(lambda: states(store).get("ready") == "Running")
        for _ in range(20):
            await asyncio.sleep(0)
        assert perform.names == ["deploy"]
        store.receive("other")
        store.receive("slice")
        await asyncio.wait_for(running, 10)
        return store, perform

    store, perform = asyncio.run(scenario())

    assert perform.names == ["deploy", "use"]
    assert store.consumed == {"slice-1": "ready"}


def test_one_that_came_before_the_request_is_not_counted_but_taken_along():
    store = Memory()
    store.receive("slice")
    perform = Stub(deploy=receiving(store, "slice"))

    run(plan(ask("deploy"), wait("ready", "slice")), store, perform)

    assert store.consumed == {"slice-0": "ready", "slice-1": "ready"}


def test_clocks_do_not_matter_between_the_request_and_its_callback():
    store = Memory()
    store.receive("slice", at=NOW + timedelta(hours=9))
    perform = Stub(deploy=receiving(store, "slice", at=NOW - timedelta(hours=9)))

    assert run(plan(ask("deploy"), wait("ready", "slice")), store, perform).ending is Ending.FINISHED
    assert store.consumed == {"slice-0": "ready", "slice-1": "ready"}


def test_repeated_callback_counts_for_the_first_wait_and_not_for_the_second():
    store = Memory()
    perform = Stub(deploy=receiving(store, "slice", "slice"), delete=receiving(store, "slice"))

    assert run(DEPLOY_DELETE, store, perform).ending is Ending.FINISHED
    assert store.consumed == {"slice-0": "deployed", "slice-1": "deleted", "slice-2": "deleted"}


def test_a_second_callback_of_the_first_request_does_not_end_the_second_wait():
    store = Memory()
    perform = Stub(deploy=receiving(store, "slice", "slice"))

    killed_when(DEPLOY_DELETE, store, perform, lambda: states(store).get("deleted") == "Running")

    assert perform.names == ["deploy", "use", "delete"]
    assert states(store)["deleted"] == "Running"


def test_two_requests_may_be_under_way_at_once_each_with_its_own_wait():
    store = Memory()
    the_plan = plan(
        ask("first"),
        ask("second"),
        wait("first-done", "job", after="first"),
        wait("second-done", "job", after="second"),
    )
    perform = Stub(first=receiving(store, "job"), second=receiving(store, "job"))

    assert run(the_plan, store, perform).ending is Ending.FINISHED
    assert store.consumed == {"job-0": "first-done", "job-1": "second-done"}


@pytest.mark.parametrize(
    "where", ["deploy", "ready"], ids=["during the request", "while the engine waits for it"]
)
def test_a_signal_that_comes_while_the_engine_is_down_counts(where):
    store, second = Memory(), Stub()
    the_plan = plan(ask("deploy"), wait("ready", "slice"))
    first = Stub(**({"deploy": forever} if where == "deploy" else {}))
    killed_when(the_plan, store, first, lambda: states(store).get(where) == "Running")
    store.receive("slice")

    assert run(the_plan, store, second).ending is Ending.FINISHED
    assert second.calls == ([("deploy", 1)] if where == "deploy" else [])
    assert store.consumed == {"slice-0": "ready"}


async def forever(_scope):
    await asyncio.Event().wait()


def test_wait_counts_since_the_nearest_earlier_request_that_was_not_skipped():
    store = Memory()
    the_plan = plan(ask("deploy"), ask("unused", when="false"), wait("ready", "slice"))
    perform = Stub(deploy=receiving(store, "slice"))

    assert run(the_plan, store, perform).ending is Ending.FINISHED


def test_a_wait_of_finally_counts_since_the_last_request_of_the_plan():
    store = Memory()
    the_plan = plan(ask("delete"), **{"finally": [wait("deleted", "slice")]})
    perform = Stub(delete=receiving(store, "slice"))

    assert run(the_plan, store, perform).ending is Ending.FINISHED


def test_without_a_request_before_it_a_wait_counts_since_the_first_grant():
    store = Memory()
    store.receive("go", at=NOW - timedelta(seconds=1))
    store.receive("go", at=NOW + timedelta(seconds=1))

    assert run(plan(nap("one"), wait("told", "go")), store, Stub()).ending is Ending.FINISHED
    assert store.consumed == {"go-0": "told", "go-1": "told"}


def test_what_came_before_the_first_grant_alone_does_not_end_such_a_wait():
    store = Memory()
    store.receive("go", at=NOW - timedelta(seconds=1))
    the_plan = plan(nap("one"), wait("told", "go", timeoutSeconds=0.01))

    report = run(the_plan, store, Stub())

    assert report == Report(Ending.ACTIVITY_FAILED, "told: expected the signal go within 0.01 s, got none")


def test_timed_out_wait_takes_nothing_and_when_restored_a_late_signal():
    store = Memory()
    the_plan = plan(ask("deploy"), wait("ready", "slice", timeoutSeconds=0.01))
    assert run(the_plan, store, Stub()).ending is Ending.ACTIVITY_FAILED
    assert store.consumed == {}
    store.receive("slice")
    reset(store, "ready")

    assert run(the_plan, store, second := Stub()).ending is Ending.FINISHED
    assert second.calls == []


def reset(store, name):
    """Let the operator make an activity Pending again, as for a restore."""
    last = store.saved[-1]
    activities = tuple(
        replace(a, state="Pending", message="", completion_time=None) if a.name == name else a
        for a in last.activities
    )
    store.saved.append(replace(last, activities=activities))


def test_a_signal_that_nobody_has_shown_yet_is_read_before_a_wait_gives_up():
    store = Memory()

    async def unseen(_scope):
        observe, store.observe = store.observe, lambda _: None
        store.receive("slice")
        store.observe = lambda engine: None if engine.status.signals else observe(engine)
        return Performed()

    the_plan = plan(ask("deploy"), wait("ready", "slice", timeoutSeconds=0.01))

    assert run(the_plan, store, Stub(deploy=unseen)).ending is Ending.FINISHED


def test_a_time_out_that_passes_while_the_api_server_is_away_begins_anew():
    class Away(Memory):
        looks = 0

        async def look(self):
            self.looks += 1
            return self.engine(), self.looks > 2

    store = Away()
    the_plan = plan(ask("deploy"), wait("ready", "slice", timeoutSeconds=0.01))

    assert run(the_plan, store, Stub()).ending is Ending.ACTIVITY_FAILED
    assert store.looks == 3


def test_a_stop_lets_go_of_a_wait_at_once():
    async def scenario():
        store, interrupts = Memory(), Interrupts(POD)
        running = asyncio.create_task(
            runner(plan(wait("ready", "slice")), store, Stub(), interrupts=interrupts).run()
        )
        await until(lambda: states(store).get("ready") == "Running")
        interrupts.stop.trigger(Report(Ending.STOPPED))
        return await asyncio.wait_for(running, 10)

    assert asyncio.run(scenario()).ending is Ending.STOPPED


def test_consumed_signal_is_remembered_only_as_long_as_it_is_stored():
    store = Memory()
    perform = Stub(deploy=receiving(store, "slice"), use=dropping(store))

    run(plan(ask("deploy"), wait("ready", "slice"), nap("use"), nap("last")), store, perform)

    assert store.consumed == {}


def dropping(store):
    async def act(_scope):
        store.signals.clear()
        return Performed()

    return act


def test_a_value_is_set_by_a_wait_as_well():
    store = Memory()

    run(plan(ask("one"), wait("told", "go", set={"told": "yes"})), store, Stub(one=receiving(store, "go")))

    assert store.status().values == {"told": "yes"}


def test_time_out_of_a_wait_is_rendered():
    expression = "{{ parameters.ms | number / 1000 }}"
    the_plan = plan(wait("told", "go", timeoutSeconds=expression))
    report = run(the_plan, Memory(), Stub(), facts={"parameters": {"ms": "10"}})
    assert report == Report(Ending.ACTIVITY_FAILED, "told: expected the signal go within 0.01 s, got none")
    report = run(the_plan, Memory(), Stub(), facts={"parameters": {"ms": "0"}})
    assert report.message == "told: wait.timeoutSeconds: expected a number above 0, up to 315360000, got `0`"
