"""`finally` has a time-out for all of it, from its begin on, over all attempts."""

import asyncio
from datetime import timedelta

from tests.harness.waiting import until
from tests.unit.engine.builders import Clock, Memory, Stub, nap, plan
from tests.unit.engine.lists import LISTS, STOPPED, forever, message, run, states, stopped, stored

from lcm_operator.engine.outcome import (
    ActivityFailedError,
    Ending,
    Report,
    Succeeded,
)


def nearly_over():
    """Return a clock by which finally, begun at NOW, has 20 ms left."""
    clock = Clock()
    clock.time += timedelta(seconds=298.98)
    return clock


TOO_LATE = "finally was not done within 300 s"


def test_finally_has_a_time_out_that_fails_what_runs_and_skips_the_rest():
    store, perform = stored(one=Succeeded(), two=Succeeded(), free=True), Stub(free=forever)

    assert run(store, perform, now=nearly_over()) == Report(Ending.FINISHED)
    assert perform.names == ["free"]
    assert (states(store)["free"], states(store)["clean"]) == ("Failed", "Skipped")
    assert (message(store, "free"), message(store, "clean")) == (f"free: {TOO_LATE}", TOO_LATE)


def test_the_time_out_of_finally_counts_from_its_begin():
    the_plan = plan(nap("one"), **LISTS, engine={"finallyTimeoutSeconds": 1})
    store, perform = Memory(), Stub(free=forever)

    assert run(store, perform, the_plan) == Report(Ending.FINISHED)
    assert message(store, "free") == "free: finally was not done within 1 s"


def test_the_time_out_of_finally_ends_the_pauses_between_tries_as_well():
    free = nap("free", retry={"limit": 5, "backoffSeconds": 3600})
    store, perform = stored(one=True, free=True), Stub(free=ActivityFailedError("503"))

    run(store, perform, plan(nap("one"), **{"finally": [free]}), interrupts=stopped(), now=nearly_over())

    assert perform.names == ["free"]
    assert message(store, "free") == f"free: {TOO_LATE}"


def test_attempt_after_the_time_out_of_finally_does_nothing_outside():
    clock = nearly_over()
    clock.time += timedelta(seconds=60)
    store, perform = stored(one=True, free=True), Stub()

    assert run(store, perform, interrupts=stopped(), now=clock) == STOPPED
    assert perform.names == []
    assert (states(store)["free"], states(store)["clean"]) == ("Failed", "Skipped")


def test_time_out_of_finally_ends_no_save_but_what_it_would_have_begun():
    class Slow(Memory):
        async def save(self, checkpoint):
            if checkpoint.activity("clean").state == "Running":
                loop = asyncio.get_running_loop()
                over = loop.time() + 0.05
                await until(lambda: loop.time() > over)
            return await super().save(checkpoint)

    store, perform = Slow(), Stub()
    store.saved = stored(one=True, free=Succeeded()).saved

    assert run(store, perform, interrupts=stopped(), now=nearly_over()) == STOPPED
    assert perform.names == []
    assert message(store, "clean") == f"clean: {TOO_LATE}"
