"""What ends all parallel branches: a stop, an end, the signal `finish`, a save that is rejected."""

import asyncio

import pytest
from tests.harness.waiting import until
from tests.unit.engine.builders import POD, Memory, Stub, nap, plan, runner, wait
from tests.unit.engine.flight import FLIGHT, Gate, restore, run, side, states

from lcm_operator.api.storage import serialise
from lcm_operator.engine.interrupts import Interrupts
from lcm_operator.engine.outcome import (
    ActivityFailedError,
    Ending,
    EngineEndedError,
    Report,
)

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
