"""Parallel branches: what runs side by side, how it is saved, and what a failure does."""

import asyncio
from datetime import timedelta

from tests.harness.waiting import until
from tests.unit.engine.builders import NOW, Memory, Stub, ask, nap, plan, runner
from tests.unit.engine.flight import FLIGHT, Gate, SlowMemory, restore, run, side, states, statuses

from lcm_operator.engine.checkpoint import LARGEST_OUTPUT, Checkpoint
from lcm_operator.engine.outcome import ActivityFailedError, Ending, Failed, Performed, Report, Succeeded


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


def test_on_failure_sees_the_failure_of_the_branch_that_failed_first():
    store = Memory()
    the_plan = plan(
        side("a", "x"), side("b", "y"), onFailure=[nap("report", when="{{ failure.activity == 'b' }}")]
    )
    begun = Checkpoint.from_storage(store.status(), ["a", "b", "report"]).began("a", NOW).began("b", NOW)
    failed = begun.settled("b", Failed("b: crashed"), NOW)
    store.saved.append(failed.settled("a", Failed("a: crashed"), NOW + timedelta(seconds=1)))

    run(the_plan, store, Stub())

    assert states(store) == {"a": "Failed", "b": "Failed", "report": "Succeeded"}


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
