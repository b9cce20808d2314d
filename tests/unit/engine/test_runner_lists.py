"""What follows the plan: `finally` after success and upon a stop, `onFailure` after a failure."""

import asyncio

import pytest
from tests.harness.waiting import until
from tests.unit.engine.builders import POD, Memory, Stub, nap, plan, runner
from tests.unit.engine.lists import (
    LISTS,
    NAMES,
    PLAN,
    STOPPED,
    forever,
    message,
    run,
    states,
    stopped,
    stored,
)

from lcm_operator.engine.interrupts import Interrupts
from lcm_operator.engine.outcome import (
    ActivityFailedError,
    Ending,
    Failed,
    Performed,
    Report,
    Skipped,
    Succeeded,
)

TERMINATED = Report(Ending.TERMINATED, "SIGTERM received")


def interrupted_during(name, tell, *, store=None, the_plan=PLAN, **results):
    """Run, and interrupt while the activity `name` runs, which never ends by itself."""

    async def scenario():
        interrupts, perform = Interrupts(POD), Stub(**{name: forever}, **results)
        running = asyncio.create_task(runner(the_plan, store, perform, interrupts=interrupts).run())
        await until(lambda: name in perform.names)
        tell(interrupts)
        return await asyncio.wait_for(running, 10), perform

    store = store or Memory()
    return *asyncio.run(scenario()), store


def stop(interrupts):
    interrupts.stop.trigger(STOPPED)


def end(interrupts):
    interrupts.end.trigger(TERMINATED)


def test_after_the_plan_finally_runs_and_on_failure_does_not():
    store, perform = Memory(), Stub()

    assert run(store, perform) == Report(Ending.FINISHED)
    assert perform.names == ["one", "two", "free", "clean"]
    assert states(store) == dict.fromkeys(NAMES, "Succeeded") | {"tell": "Pending", "say": "Pending"}
    assert len(store.saved) == 5


def test_after_a_failure_on_failure_runs_and_finally_does_not():
    store, perform = Memory(), Stub(one=ActivityFailedError("503"))

    assert run(store, perform) == Report(Ending.ACTIVITY_FAILED, "one: 503")
    assert perform.names == ["one", "tell", "say"]
    assert states(store) == {
        "one": "Failed",
        "two": "Pending",
        "tell": "Succeeded",
        "say": "Succeeded",
        "free": "Pending",
        "clean": "Pending",
    }


def test_a_failure_is_saved_before_it_is_reported():
    store, seen = Memory(), []

    class Watching(Stub):
        async def __call__(self, activity, run, scope):
            seen.append((activity.name, store.states[-1][0]))
            return await super().__call__(activity, run, scope)

    run(store, Watching(one=ActivityFailedError("503")))

    assert seen == [("one", "Running"), ("tell", "Failed"), ("say", "Failed")]


@pytest.mark.parametrize(
    ("broken", "ending", "done"),
    [
        pytest.param({}, Ending.FINISHED, ["one", "two", "free", "clean"], id="finally"),
        pytest.param({"one": "503"}, Ending.ACTIVITY_FAILED, ["one", "tell", "say"], id="onFailure"),
    ],
)
def test_a_failed_activity_is_recorded_and_the_rest_continues_in(broken, ending, done):
    store = Memory()
    perform = Stub(
        **{name: ActivityFailedError(why) for name, why in broken.items()},
        tell=ActivityFailedError("nobody there"),
        free=ActivityFailedError("not mine"),
    )

    assert run(store, perform).ending is ending
    assert perform.names == done
    first = done[-2]
    assert states(store)[first] == "Failed"
    assert message(store, first) in ("tell: nobody there", "free: not mine")


def test_finally_sees_outputs_and_an_undefined_one_fails_its_activity_only():
    seen = []

    async def look(scope):
        seen.append(scope.value("{{ outputs.one.id }}"))
        return Performed()

    async def look_for_nothing(scope):
        return Performed({"id": scope.value("{{ outputs.two.id }}")})

    store = stored(one=Succeeded({"id": 5}), two=True)
    perform = Stub(free=look_for_nothing, clean=look)

    assert run(store, perform, interrupts=stopped()) == STOPPED
    assert seen == [5]
    assert states(store)["free"] == "Failed"
    assert "outputs.two.id" in message(store, "free")


def test_a_condition_counts_in_finally_as_well():
    store, perform = Memory(), Stub()
    the_plan = plan(nap("one"), **{"finally": [nap("free", when="false"), nap("clean")]})

    run(store, perform, the_plan)

    assert perform.names == ["one", "clean"]
    assert states(store) == {"one": "Succeeded", "free": "Skipped", "clean": "Succeeded"}


def test_a_stop_interrupts_the_plan_which_stays_running_and_finally_runs():
    report, perform, store = interrupted_during("one", stop)

    assert report == STOPPED
    assert perform.names == ["one", "free", "clean"]
    assert states(store) == {
        "one": "Running",
        "two": "Pending",
        "tell": "Pending",
        "say": "Pending",
        "free": "Succeeded",
        "clean": "Succeeded",
    }


def test_a_stop_interrupts_the_reports_of_a_failure_and_finally_runs():
    report, perform, store = interrupted_during("tell", stop, one=ActivityFailedError("503"))

    assert report == STOPPED
    assert perform.names == ["one", "tell", "free", "clean"]
    assert (states(store)["tell"], states(store)["say"]) == ("Running", "Pending")


def test_a_stop_between_two_tries_does_not_wait_for_the_next():
    store = Memory()
    the_plan = plan(nap("one", retry={"limit": 1, "backoffSeconds": 3600}), **LISTS)

    async def scenario():
        interrupts, perform = Interrupts(POD), Stub(one=ActivityFailedError("503"))
        running = asyncio.create_task(runner(the_plan, store, perform, interrupts=interrupts).run())
        await until(lambda: perform.names)
        stop(interrupts)
        return await asyncio.wait_for(running, 10), perform

    report, perform = asyncio.run(scenario())
    assert report == STOPPED
    assert perform.names == ["one", "free", "clean"]


def test_stop_as_an_activity_ends_keeps_its_outcome_and_ends_the_plan():
    store, interrupts = Memory(), Interrupts(POD)

    async def last_act(_scope):
        stop(interrupts)
        return Performed({"id": 5})

    perform = Stub(one=last_act)
    assert run(store, perform, interrupts=interrupts) == STOPPED
    assert perform.names == ["one", "free", "clean"]
    assert (states(store)["one"], states(store)["two"]) == ("Succeeded", "Pending")


def test_stop_seen_by_the_write_that_begins_an_activity_precedes_its_act():
    store, interrupts, perform = Memory(), Interrupts(POD), Stub()
    store.after = lambda _: stop(interrupts)

    assert run(store, perform, interrupts=interrupts) == STOPPED
    assert perform.names == ["free", "clean"]


def test_stop_while_the_begin_of_an_activity_is_saved_waits_for_the_write():
    """Given up, it might be taken all the same, and the next one refused as somebody else's."""

    class Slow(Memory):
        async def save(self, checkpoint):
            stored = await super().save(checkpoint)
            self.taken = True
            await self.answered.wait()
            return stored

    async def scenario():
        store, interrupts, perform = Slow(), Interrupts(POD), Stub()
        store.taken, store.answered = False, asyncio.Event()
        running = asyncio.create_task(runner(PLAN, store, perform, interrupts=interrupts).run())
        await until(lambda: store.taken)
        stop(interrupts)
        for _ in range(10):
            await asyncio.sleep(0)
        store.answered.set()
        return await asyncio.wait_for(running, 10), perform, store

    report, perform, store = asyncio.run(scenario())
    assert report == STOPPED
    assert perform.names == ["free", "clean"]
    assert [saved.mark.sequence for saved in store.saved] == list(range(1, len(store.saved) + 1))


def test_a_stop_while_finally_runs_after_the_plan_changes_nothing():
    store, interrupts = Memory(), Interrupts(POD)

    async def releasing(_scope):
        stop(interrupts)
        return Performed()

    perform = Stub(free=releasing)
    assert run(store, perform, interrupts=interrupts) == Report(Ending.FINISHED)
    assert perform.names == ["one", "two", "free", "clean"]


@pytest.mark.parametrize(
    ("before", "done"),
    [
        pytest.param({}, [], id="before anything was begun: nothing"),
        pytest.param({"one": True}, ["free", "clean"], id="in the middle of the plan"),
        pytest.param({"one": Failed("503")}, ["free", "clean"], id="after a failure"),
        pytest.param(
            {"one": Failed("503"), "tell": Succeeded(), "say": True},
            ["free", "clean"],
            id="in the middle of the reports",
        ),
        pytest.param({"one": True, "free": True}, ["free", "clean"], id="in the middle of finally"),
        pytest.param({"one": True, "free": Succeeded()}, ["clean"], id="when a part of finally is done"),
        pytest.param({"one": True, "free": Failed("no")}, ["clean"], id="when a part of finally has failed"),
        pytest.param({"one": True, "free": Skipped()}, ["clean"], id="when a part of finally was skipped"),
        pytest.param(
            {"one": Succeeded(), "two": Succeeded(), "free": Succeeded(), "clean": Failed("no")},
            [],
            id="when all is over",
        ),
    ],
)
def test_an_attempt_that_begins_stopped_does_what_is_left_of_finally_only(before, done):
    store, perform = stored(**before), Stub()
    written, plan_before = len(store.saved), [states(store)[name] for name in NAMES[:4]]

    assert run(store, perform, interrupts=stopped()) == STOPPED
    assert perform.calls == [(name, 1) for name in done]
    assert [states(store)[name] for name in NAMES[:4]] == plan_before
    assert len(store.saved) == written + (len(done) + 1 if done else 0)


@pytest.mark.parametrize(
    ("before", "wish", "unasked"),
    [
        pytest.param({}, stop, ["one"], id="of the plan, stopped"),
        pytest.param({"one": Failed("503")}, stop, ["tell"], id="of the reports, stopped"),
        pytest.param({"one": Succeeded()}, end, ["free"], id="of finally, told to end"),
    ],
)
def test_what_is_not_to_be_done_any_more_is_not_skipped_either(before, wish, unasked):
    def idle(name):
        return nap(name, when="false")

    the_plan = plan(idle("one"), onFailure=[idle("tell")], **{"finally": [idle("free")]})
    store, interrupts = stored(**before), Interrupts(POD)
    wish(interrupts)

    run(store, Stub(), the_plan, interrupts=interrupts)

    assert [name for name in unasked if states(store)[name] != "Pending"] == []


def test_an_attempt_that_begins_with_a_recorded_failure_finishes_the_reports():
    store, perform = stored(one=Failed("one: 503"), tell=Succeeded()), Stub()

    assert run(store, perform) == Report(Ending.ACTIVITY_FAILED, "one: 503")
    assert perform.names == ["say"]


@pytest.mark.parametrize(
    ("name", "interrupts", "results"),
    [
        pytest.param("one", [end], {}, id="the plan"),
        pytest.param("tell", [end], {"one": ActivityFailedError("503")}, id="the reports"),
        pytest.param("free", [end], {}, id="finally"),
        pytest.param("one", [stop, end], {}, id="the plan, stopped at the same time"),
    ],
)
def test_sigterm_lets_go_of_what_runs_and_begins_nothing_more_in(name, interrupts, results):
    report, perform, store = interrupted_during(name, lambda it: [wish(it) for wish in interrupts], **results)

    assert report == TERMINATED
    assert perform.names[-1] == name
    assert states(store)[name] == "Running"
    assert states(store)["clean"] == "Pending"
