"""Parallel branches: what runs side by side, how it is saved, and what ends all of it."""

import asyncio
from datetime import UTC, datetime

import pytest
from tests.unit.engine.builders import NOW, POD, Memory, Stub, ask, nap, plan, runner, until, wait

from lcm_operator.api.engine import Signal
from lcm_operator.api.storage import serialise
from lcm_operator.domain.checkpoint import restored
from lcm_operator.engine.checkpoint import LARGEST_OUTPUT, Checkpoint
from lcm_operator.engine.interrupts import Interrupts
from lcm_operator.engine.outcome import (
    ActivityFailedError,
    Ending,
    EngineEndedError,
    Performed,
    Report,
    Succeeded,
)


def side(name, branch, **more):
    return nap(name, branch=branch, **more)


FLIGHT = plan(
    nap("deploy"), side("start", "fly"), side("land", "fly"), side("measure", "data"), nap("release")
)


def run(the_plan, store, perform, **more):
    """Run to the end; a plan that hangs fails the test."""

    async def scenario():
        return await asyncio.wait_for(runner(the_plan, store, perform, **more).run(), 10)

    return asyncio.run(scenario())


def statuses(store):
    return {activity.name: activity for activity in store.status().activities}


def states(store):
    return {name: status.state for name, status in statuses(store).items()}


def restore(store):
    """Reset the store as the operator does for the next attempt."""
    old = store.engine()
    new = restored(old, "Restore", datetime.now(UTC), ending=None)
    store.saved.append(Checkpoint.from_storage(new, [each.name for each in new.activities]))


class Gate:
    """Performs an activity that lasts until it is opened; `cancelled` once it was interrupted."""

    def __init__(self, result=None):
        self.entered, self.cancelled = False, False
        self._open = asyncio.Event()
        self._result = result or Performed()

    async def __call__(self, _scope):
        self.entered = True
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result

    def open(self):
        self._open.set()


class SlowMemory(Memory):
    """A store whose saves last until `gate` is set."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.most = 0

    async def save(self, checkpoint):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        await self.gate.wait()
        self.under_way -= 1
        return await super().save(checkpoint)


def test_branches_run_side_by_side_and_the_next_activity_waits_for_all():
    async def scenario():
        store, start, measure = Memory(), Gate(), Gate()
        perform = Stub(start=start, measure=measure)
        running = asyncio.create_task(runner(FLIGHT, store, perform).run())
        await until(lambda: start.entered and measure.entered)
        begun = states(store)
        start.open()
        await until(lambda: "land" in perform.names and states(store)["land"] == "Succeeded")
        seen = list(perform.names)
        measure.open()
        ending = (await asyncio.wait_for(running, 10)).ending
        return begun, seen, perform.names, ending, store

    begun, seen, names, ending, store = asyncio.run(scenario())

    assert begun == {
        "deploy": "Succeeded",
        "start": "Running",
        "land": "Pending",
        "measure": "Running",
        "release": "Pending",
    }
    assert seen == ["deploy", "start", "measure", "land"]
    assert names == [*seen, "release"]
    assert ending is Ending.FINISHED
    assert [saved.mark.sequence for saved in store.saved] == list(range(1, len(store.saved) + 1))


def test_no_activity_of_a_branch_acts_before_its_begin_is_saved():
    store, early = Memory(), []

    class Watching(Stub):
        async def __call__(self, activity, run, scope):
            if states(store).get(activity.name) != "Running":
                early.append(activity.name)
            return await super().__call__(activity, run, scope)

    run(FLIGHT, store, Watching())

    assert early == []


def test_saves_of_branches_follow_one_another_and_lose_nothing():
    branches = [side(f"{letter}{number}", letter) for letter in "abcd" for number in range(3)]

    async def scenario():
        store, perform = SlowMemory(), Stub()
        report = await asyncio.wait_for(runner(plan(*branches), store, perform).run(), 10)
        return store, perform, report

    store, perform, report = asyncio.run(scenario())

    assert report.ending is Ending.FINISHED
    assert store.most == 1
    assert set(states(store).values()) == {"Succeeded"}
    assert sorted(perform.calls) == sorted((branch["name"], 1) for branch in branches)
    assert [saved.mark.sequence for saved in store.saved] == list(range(1, len(store.saved) + 1))


def test_activity_that_ends_while_another_branch_is_saved_is_not_forgotten():
    async def scenario():
        store, start, measure = SlowMemory(), Gate(), Gate(Performed({"hits": 3}))
        running = asyncio.create_task(runner(FLIGHT, store, Stub(start=start, measure=measure)).run())
        await until(lambda: start.entered and measure.entered)
        store.gate.clear()
        start.open()
        await until(lambda: store.under_way)
        measure.open()
        for _ in range(20):
            await asyncio.sleep(0)
        store.gate.set()
        await asyncio.wait_for(running, 10)
        return store

    store = asyncio.run(scenario())

    assert statuses(store)["measure"].output == {"hits": 3}
    assert set(states(store).values()) == {"Succeeded"}


def test_end_of_a_branch_is_saved_while_others_run():
    async def scenario():
        store, start, measure = Memory(), Gate(), Gate()
        running = asyncio.create_task(runner(FLIGHT, store, Stub(start=start, measure=measure)).run())
        await until(lambda: start.entered and measure.entered)
        measure.open()
        await until(lambda: states(store)["measure"] == "Succeeded")
        still = states(store)["start"]
        start.open()
        await asyncio.wait_for(running, 10)
        return still

    assert asyncio.run(scenario()) == "Running"


# --- failures


def failing(measure_fails, **more):
    """Run the flight until its measurement fails while it starts."""

    async def scenario():
        store, start, measure = Memory(), Gate(), Gate(measure_fails)
        perform = Stub(start=start, measure=measure, **more)
        the_plan = plan(
            nap("deploy"),
            side("start", "fly"),
            side("land", "fly"),
            side("measure", "data"),
            nap("release"),
            onFailure=[nap("report")],
            **{"finally": [nap("free")]},
        )
        running = asyncio.create_task(runner(the_plan, store, perform).run())
        await until(lambda: start.entered and measure.entered)
        measure.open()
        return store, perform, start, await asyncio.wait_for(running, 10), the_plan

    return asyncio.run(scenario())


def test_a_failure_stops_the_other_branches_and_is_reported():
    store, perform, start, report, _ = failing(ActivityFailedError("no sensor"))

    assert report == Report(Ending.ACTIVITY_FAILED, "measure: no sensor")
    assert start.cancelled
    assert perform.names == ["deploy", "start", "measure", "report"]
    found = statuses(store)
    assert (found["start"].state, found["start"].run) == ("Pending", 1)
    assert found["start"].start_time is not None
    assert found["start"].message == "start: stopped, as a parallel branch failed: measure: no sensor"
    assert (found["land"].state, found["land"].message) == ("Pending", "")
    assert (found["measure"].state, found["release"].state) == ("Failed", "Pending")


def test_a_restore_repeats_only_what_was_stopped_or_failed():
    store, *_, the_plan = failing(ActivityFailedError("no sensor"))
    restore(store)
    perform = Stub()

    report = run(the_plan, store, perform)

    assert report.ending is Ending.FINISHED
    assert sorted(perform.calls[:2]) == [("measure", 1), ("start", 1)]
    assert perform.calls[2:] == [("land", 1), ("release", 1), ("free", 1)]


def test_branch_that_succeeded_is_not_repeated_after_another_failed():
    store = Memory()
    the_plan = plan(side("measure", "data"), side("start", "fly"), side("land", "fly"), nap("release"))
    run(the_plan, store, Stub(land=ActivityFailedError("wind")))
    assert states(store) == {
        "measure": "Succeeded",
        "start": "Succeeded",
        "land": "Failed",
        "release": "Pending",
    }
    restore(store)
    perform = Stub()

    run(the_plan, store, perform)

    assert perform.names == ["land", "release"]


def test_a_failure_that_the_plan_tolerates_stops_nothing():
    async def scenario():
        store, start = Memory(), Gate()
        the_plan = plan(
            side("start", "fly"),
            side("measure", "data", continueOnError=True),
            side("store", "data"),
            nap("end"),
        )
        perform = Stub(start=start, measure=ActivityFailedError("no sensor"))
        running = asyncio.create_task(runner(the_plan, store, perform).run())
        await until(lambda: "store" in perform.names and start.entered)
        start.open()
        return (await asyncio.wait_for(running, 10)).ending, states(store)

    ending, found = asyncio.run(scenario())

    assert ending is Ending.FINISHED
    assert found == {"start": "Succeeded", "measure": "Failed", "store": "Succeeded", "end": "Succeeded"}


def test_of_two_failures_at_once_both_are_recorded_and_the_first_is_reported():
    async def scenario():
        store, both = Memory(), asyncio.Event()

        async def fail(_scope):
            await both.wait()
            raise ActivityFailedError("crashed")

        the_plan = plan(side("a", "x"), side("b", "y"), onFailure=[nap("report")])
        perform = Stub(a=fail, b=fail)
        running = asyncio.create_task(runner(the_plan, store, perform).run())
        await until(lambda: perform.names == ["a", "b"])
        both.set()
        return store, await asyncio.wait_for(running, 10), perform

    store, report, perform = asyncio.run(scenario())

    assert report == Report(Ending.ACTIVITY_FAILED, "a: crashed")
    assert states(store) == {"a": "Failed", "b": "Failed", "report": "Succeeded"}
    assert perform.names.count("report") == 1


def test_an_attempt_with_a_recorded_failure_begins_no_other_branch():
    store, *_, the_plan = failing(ActivityFailedError("no sensor"))
    again = Stub()

    assert run(the_plan, store, again) == Report(Ending.ACTIVITY_FAILED, "measure: no sensor")
    assert again.calls == []


def test_a_failure_between_two_tries_of_another_branch_stops_it():
    async def scenario():
        store, measure = Memory(), Gate(ActivityFailedError("no sensor"))
        the_plan = plan(
            side("start", "fly", retry={"limit": 9, "backoffSeconds": 600}), side("measure", "data")
        )
        perform = Stub(start=ActivityFailedError("wind"), measure=measure)
        running = asyncio.create_task(runner(the_plan, store, perform).run())
        await until(lambda: "start" in perform.names and measure.entered)
        measure.open()
        return await asyncio.wait_for(running, 10), states(store)

    report, found = asyncio.run(scenario())

    assert report.message == "measure: no sensor"
    assert found == {"start": "Pending", "measure": "Failed"}


def test_outputs_of_all_branches_together_are_bounded():
    whole = Performed({"text": "x" * (LARGEST_OUTPUT - 100)})
    activities = [side(f"a{number}", f"b{number}") for number in range(40)]

    report = run(plan(*activities), store := Memory(), Stub(**{each["name"]: whole for each in activities}))

    assert report.ending is Ending.ACTIVITY_FAILED
    assert report.message.startswith("OutputTooLarge")
    kept = sum(len(str(each.output)) for each in statuses(store).values() if each.output)
    assert kept <= 256 * 1024


# --- expressions


def test_an_expression_sees_no_output_of_another_branch_even_if_it_is_there():
    async def scenario():
        store, slow = Memory(), Gate()
        the_plan = plan(
            side("a", "x"),
            side("slow", "y"),
            side("b", "y", when="{{ outputs.a is defined }}"),
            nap("c", when="{{ outputs.a.hits == 1 }}"),
        )
        perform = Stub(a=Performed({"hits": 1}), slow=slow)
        running = asyncio.create_task(runner(the_plan, store, perform).run())
        await until(lambda: slow.entered and states(store)["a"] == "Succeeded")
        slow.open()
        await asyncio.wait_for(running, 10)
        return states(store)

    found = asyncio.run(scenario())

    assert (found["b"], found["c"]) == ("Skipped", "Succeeded")


# --- what ends all branches


def interrupted(trigger, the_plan=FLIGHT, **more):
    """Run the flight, and trigger something while it starts and measures."""

    async def scenario():
        store, start, measure, interrupts = Memory(), Gate(), Gate(), Interrupts(POD)
        perform = Stub(start=start, measure=measure, **more)
        running = asyncio.create_task(runner(the_plan, store, perform, interrupts=interrupts).run())
        await until(lambda: start.entered and measure.entered)
        trigger(store, interrupts)
        report = await asyncio.wait_for(running, 10)
        assert start.cancelled
        assert measure.cancelled
        return store, perform, report

    return asyncio.run(scenario())


@pytest.mark.parametrize("name", ["end", "stop"])
def test_a_stop_or_end_interrupts_all_branches_which_stay_running(name):
    report = Report(Ending.TERMINATED if name == "end" else Ending.STOPPED, "why")
    the_plan = plan(*map(serialise, FLIGHT.activities), **{"finally": [nap("free")]})

    store, perform, said = interrupted(
        lambda _, interrupts: getattr(interrupts, name).trigger(report), the_plan
    )

    assert said == report
    found = states(store)
    assert (found["start"], found["measure"], found["land"]) == ("Running", "Running", "Pending")
    assert ("free" in perform.names) == (name == "stop")


FINISHING = plan(
    nap("deploy"),
    side("start", "fly"),
    side("land", "fly"),
    side("measure", "data"),
    wait("called", "finish", branch="call"),
    wait("called-too", "finish", branch="call-too"),
    nap("between"),
    nap("release"),
    finishAt="release",
)


def test_the_signal_finish_ends_all_branches_and_every_wait_for_it():
    store, perform, report = interrupted(lambda store, _: store.receive("finish"), FINISHING)

    assert report.ending is Ending.FINISHED
    assert states(store) == {
        "deploy": "Succeeded",
        "start": "Skipped",
        "land": "Skipped",
        "measure": "Skipped",
        "called": "Succeeded",
        "called-too": "Succeeded",
        "between": "Skipped",
        "release": "Succeeded",
    }
    assert perform.names == ["deploy", "start", "measure", "release"]
    assert store.consumed == {"finish-0": "release"}


def test_finish_is_not_consumed_before_the_activity_that_it_jumps_to():
    store, _, _ = interrupted(lambda store, _: store.receive("finish"), FINISHING)

    assert all(not saved.consumed or saved.activity("release").state != "Pending" for saved in store.saved)


def test_finish_and_a_failure_at_once_leave_the_jump_to_the_next_attempt():
    async def scenario():
        store, start = Memory(), Gate(ActivityFailedError("wind"))
        the_plan = plan(
            side("start", "fly"),
            wait("called", "finish", branch="call"),
            nap("between"),
            nap("end"),
            finishAt="end",
        )
        running = asyncio.create_task(runner(the_plan, store, Stub(start=start)).run())
        await until(lambda: start.entered and states(store)["called"] == "Running")
        start.open()
        await asyncio.sleep(0)
        store.receive("finish")
        return store, the_plan, await asyncio.wait_for(running, 10)

    store, the_plan, report = asyncio.run(scenario())
    assert report.ending is Ending.ACTIVITY_FAILED
    restore(store)
    again = Stub()

    assert run(the_plan, store, again).ending is Ending.FINISHED
    assert again.names == ["end"]


def test_engine_whose_save_is_refused_ends_with_all_its_branches():
    async def scenario():
        store, measure = Memory(), Gate()

        def refuse(checkpoint):
            if checkpoint.activity("land").state == "Running":
                raise EngineEndedError(Ending.WITHDRAWN, "the grant was taken back")

        store.before = refuse
        perform = Stub(measure=measure)
        with pytest.raises(EngineEndedError) as ended:
            await asyncio.wait_for(runner(FLIGHT, store, perform).run(), 10)
        return ended.value, measure, perform

    ended, measure, perform = asyncio.run(scenario())

    assert ended.ending is Ending.WITHDRAWN
    assert measure.cancelled
    assert "land" not in perform.names


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


# --- secrets


def secret(name, **more):
    return ask(name, http={"capture": {"token": "x"}, "secretCapture": ["token"]}, **more)


def test_secret_of_a_branch_that_has_not_begun_is_no_lost_one():
    """An activity listed before one that has begun is not lost, if it is of another branch."""
    the_plan = plan(secret("token", branch="x", when="false"), side("fly", "y"), side("land", "y"))
    store = Memory()
    store.saved.append(Checkpoint.from_storage(store.status(), ["token", "fly", "land"]).began("fly", NOW))
    perform = Stub()

    run(the_plan, store, perform)

    assert perform.names == ["fly", "land"]
    assert states(store)["token"] == "Skipped"


def test_secrets_of_branches_are_fetched_again_before_the_rest():
    the_plan = plan(secret("token", branch="x"), side("fly", "y"), nap("end"))
    store = Memory()
    first = Checkpoint.from_storage(store.status(), ["token", "fly", "end"])
    done = first.began("token", NOW).settled("token", Succeeded(), NOW).began("fly", NOW)
    store.saved.append(done)
    perform = Stub()

    run(the_plan, store, perform)

    assert perform.calls == [("token", 2), ("fly", 1), ("end", 1)]
