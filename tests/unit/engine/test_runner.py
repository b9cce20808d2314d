"""The order of writes and acts, and what the runner makes of each activity's result."""

import asyncio

import msgspec
import pytest
from tests.harness.waiting import until
from tests.unit.engine.builders import NOW, POD, Memory, Stub, nap, plan, runner

from lcm_operator.api.engine import ActivityStatus
from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.interrupts import Interrupt, Interrupts
from lcm_operator.engine.outcome import ActivityFailedError, Ending, EngineEndedError, Performed, Report


def run(the_plan, store, perform, **more):
    return asyncio.run(runner(the_plan, store, perform, **more).run())


def statuses(store):
    return {activity.name: activity for activity in store.status().activities}


def test_one_write_ends_an_activity_and_begins_the_next_but_not_before():
    store, began = Memory(), []

    class Watching(Stub):
        async def __call__(self, activity, run, scope):
            began.append((activity.name, store.states[-1]))
            return await super().__call__(activity, run, scope)

    report = run(plan(nap("one"), nap("two")), store, Watching())

    assert report == Report(Ending.FINISHED)
    assert store.states == [["Running", "Pending"], ["Succeeded", "Running"], ["Succeeded", "Succeeded"]]
    assert began == [("one", ["Running", "Pending"]), ("two", ["Succeeded", "Running"])]
    assert [saved.mark.activity for saved in store.saved] == ["one", "two", "two"]


def test_the_first_failure_ends_the_plan_with_its_message_saved():
    store, perform = Memory(), Stub(two=ActivityFailedError("expected 2xx, got 503", {"exitCode": 1}))

    report = run(plan(nap("one"), nap("two"), nap("three")), store, perform)

    assert report == Report(Ending.ACTIVITY_FAILED, "two: expected 2xx, got 503")
    assert perform.names == ["one", "two"]
    assert store.states[-1] == ["Succeeded", "Failed", "Pending"]
    assert statuses(store)["two"].message == "two: expected 2xx, got 503"
    assert statuses(store)["two"].output == {"exitCode": 1}


def test_a_failure_that_nobody_reset_is_not_tried_again():
    store, the_plan = Memory(), plan(nap("one"), nap("two"))
    run(the_plan, store, Stub(one=ActivityFailedError("why")))
    again = Stub()

    assert run(the_plan, store, again) == Report(Ending.ACTIVITY_FAILED, "one: why")
    assert again.calls == []


def test_continue_on_error_continues_the_plan_and_a_restore_repeats_nothing():
    store = Memory()
    the_plan = plan(nap("one", continueOnError=True), nap("two"))
    first = Stub(one=ActivityFailedError("why"), two=ActivityFailedError("too"))
    run(the_plan, store, first)
    assert store.states[-1] == ["Failed", "Failed"]

    second = Stub()
    store.saved[-1] = store.saved[-1].began("two", store.saved[-1].mark.saved_time)
    assert run(the_plan, store, second).ending is Ending.FINISHED
    assert second.names == ["two"]


@pytest.mark.parametrize(
    ("when", "done"),
    [
        pytest.param("{{ parameters.slice == 'true' }}", True, id="a condition that holds"),
        pytest.param("{{ parameters.slice == 'false' }}", False, id="a condition that does not"),
        pytest.param("{{ parameters.slice }}", True, id="the text true"),
        pytest.param("{{ parameters.vnf }}", False, id="the text false"),
        pytest.param("{{ parameters.empty }}", False, id="an empty text"),
    ],
)
def test_an_activity_is_done_only_when_its_condition_holds(when, done):
    store, perform = Memory(), Stub()
    facts = {"parameters": {"slice": "true", "vnf": "false", "empty": ""}}

    report = run(plan(nap("one", when=when)), store, perform, facts=facts)

    assert report.ending is Ending.FINISHED
    assert perform.names == (["one"] if done else [])
    assert store.states[-1] == ["Succeeded" if done else "Skipped"]


def test_skipped_activities_cost_no_write_of_their_own():
    store = Memory()

    run(plan(nap("a", when="false"), nap("b", when="false"), nap("c")), store, Stub())

    assert store.states == [["Skipped", "Skipped", "Running"], ["Skipped", "Skipped", "Succeeded"]]


def test_condition_that_cannot_be_evaluated_fails_its_activity_by_name():
    store, perform = Memory(), Stub()

    report = run(plan(nap("one", when="{{ parameters.nope }}")), store, perform)

    assert report.message == "one: when: the object has no field 'nope' in `{{ parameters.nope }}`"
    assert perform.calls == []
    assert store.states[-1] == ["Failed"]


def test_a_condition_is_not_asked_again_for_an_activity_in_flight():
    store = Memory()
    store.saved.append(Checkpoint.from_storage(store.status(), ["one"]).began("one", NOW))
    perform = Stub()

    run(plan(nap("one", when="false")), store, perform)

    assert perform.names == ["one"]


@pytest.mark.parametrize(
    ("began", "done"),
    [
        pytest.param({"start_time": NOW}, ["one"], id="begun by an earlier attempt: it goes on"),
        pytest.param({"run": 2}, [], id="reset for a new run: it is judged again"),
    ],
)
def test_a_condition_that_no_longer_holds_after_a_restore(began, done):
    store, perform = Memory(), Stub()
    reset = ActivityStatus(name="one", state="Pending", run=1)
    store.saved.append(Checkpoint(activities=(msgspec.structs.replace(reset, **began),)))

    run(plan(nap("one", when="false")), store, perform)

    assert perform.names == done


def test_a_retried_activity_keeps_its_run_and_fails_with_the_last_message():
    store = Memory()
    perform = Stub(
        one=[ActivityFailedError("first"), ActivityFailedError("second"), ActivityFailedError("third")]
    )

    report = run(plan(nap("one", retry={"limit": 2, "backoffSeconds": 0})), store, perform)

    assert report.message == "one: third"
    assert perform.calls == [("one", 1)] * 3
    assert len(store.saved) == 2


def test_a_retried_activity_that_then_works_has_succeeded():
    perform = Stub(one=[ActivityFailedError("first"), Performed({"a": 1})])

    report = run(plan(nap("one", retry={"limit": 1, "backoffSeconds": 0})), store := Memory(), perform)

    assert report.ending is Ending.FINISHED
    assert statuses(store)["one"].output == {"a": 1}


def test_set_renders_texts_into_the_values_that_later_activities_see():
    seen = []

    async def look(scope):
        seen.append(scope.value("{{ values.kpiLabel }} {{ outputs.one.id }}"))
        return Performed()

    store = Memory()
    perform = Stub(one=Performed({"id": 5}, {"response": {"status": 201}}), two=look)
    the_set = {"kpiLabel": "{{ outputs.one.id }}-{{ response.status }}"}

    run(plan(nap("one", set=the_set), nap("two")), store, perform)

    assert store.status().values == {"kpiLabel": "5-201"}
    assert seen == ["5-201 5"]


def test_a_value_that_cannot_be_rendered_fails_the_activity():
    report = run(plan(nap("one", set={"kpiLabel": "{{ nope }}"})), Memory(), Stub())

    assert report == Report(Ending.ACTIVITY_FAILED, "one: 'nope' is undefined in `{{ nope }}`")


def test_output_that_is_too_large_fails_the_activity_without_a_retry():
    store, perform = Memory(), Stub(one=Performed({"text": "x" * 9000}))

    report = run(plan(nap("one", retry={"limit": 3, "backoffSeconds": 0})), store, perform)

    assert report.message.startswith("OutputTooLarge: ")
    assert perform.names == ["one"]
    assert statuses(store)["one"].output is None


def test_a_message_is_one_line_of_bounded_length():
    report = run(plan(nap("one")), Memory(), Stub(one=ActivityFailedError("a\nb\0\x1b[31m" + "x" * 9999)))

    assert report.message.startswith("one: a b [31mxxx")
    assert len(report.message) <= 2048
    assert report.message.isprintable()


async def halted_at(store, the_plan, results, interrupt_when):
    """Run with activities that never end by themselves, and ask for the end once `tell_when` says so."""
    interrupts = Interrupts(POD)
    running = asyncio.create_task(runner(the_plan, store, Stub(**results), interrupts=interrupts).run())
    await until(interrupt_when)
    interrupts.end.trigger(Report(Ending.TERMINATED, "SIGTERM received"))
    return await asyncio.wait_for(running, 10)


def test_terminated_engine_leaves_its_activity_running_in_the_checkpoint():
    store, cleaned = Memory(), []

    async def long(_scope):
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    the_plan = plan(nap("one"), nap("two"), nap("three"))
    report = asyncio.run(
        halted_at(
            store, the_plan, {"two": long}, lambda: store.states[-1:] == [["Succeeded", "Running", "Pending"]]
        )
    )

    assert report == Report(Ending.TERMINATED, "SIGTERM received")
    assert cleaned == [True]
    assert store.states[-1] == ["Succeeded", "Running", "Pending"]


def test_of_several_reasons_to_end_the_first_counts():
    interrupt = Interrupt()

    interrupt.trigger(Report(Ending.TERMINATED))
    interrupt.trigger(Report(Ending.WITHDRAWN))

    assert interrupt.report == Report(Ending.TERMINATED)


def test_asked_to_end_between_two_tries_it_does_not_wait_for_the_next():
    store, perform_results = Memory(), {"one": ActivityFailedError("why")}
    the_plan = plan(nap("one", retry={"limit": 1, "backoffSeconds": 3600}))

    report = asyncio.run(halted_at(store, the_plan, perform_results, lambda: store.states))

    assert report.ending is Ending.TERMINATED
    assert store.states[-1] == ["Running"]


def test_asked_to_end_as_an_activity_ends_it_saves_that_and_begins_nothing():
    store, interrupts = Memory(), Interrupts(POD)

    async def last_act(_scope):
        interrupts.end.trigger(Report(Ending.TERMINATED))
        return Performed({"a": 1})

    perform = Stub(one=last_act)
    report = run(plan(nap("one"), nap("two")), store, perform, interrupts=interrupts)

    assert report.ending is Ending.TERMINATED
    assert perform.names == ["one"]
    assert store.states[-1] == ["Succeeded", "Pending"]


def test_terminated_engine_waits_for_no_save_that_nothing_depends_on():
    class Away(Memory):
        async def save(self, _checkpoint):
            self.trying = True
            await asyncio.Event().wait()

    store, perform = Away(), Stub()
    store.trying = False
    report = asyncio.run(halted_at(store, plan(nap("one")), {}, lambda: store.trying))

    assert report.ending is Ending.TERMINATED
    assert perform.calls == []


def test_terminated_engine_waits_for_the_save_of_a_finished_activity():
    class Slow(Memory):
        async def save(self, checkpoint):
            if checkpoint.mark.sequence == 2:
                self.trying = True
                await self.there.wait()
            return await super().save(checkpoint)

    async def scenario():
        store, interrupts, perform = Slow(), Interrupts(POD), Stub()
        store.trying, store.there = False, asyncio.Event()
        the_plan = plan(nap("one"), nap("two"))
        running = asyncio.create_task(runner(the_plan, store, perform, interrupts=interrupts).run())
        await until(lambda: store.trying)
        interrupts.end.trigger(Report(Ending.TERMINATED))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not running.done()
        store.there.set()
        return store, perform, await asyncio.wait_for(running, 10)

    store, perform, report = asyncio.run(scenario())

    assert report.ending is Ending.TERMINATED
    assert perform.names == ["one"]
    assert store.states[-1][0] == "Succeeded"


def test_engine_ends_at_once_when_its_checkpoints_may_not_be_saved_any_more():
    store, perform = Memory(), Stub()

    def withdrawn(checkpoint):
        if checkpoint.mark.sequence == 2:
            raise EngineEndedError(Ending.WITHDRAWN, "pod example-2 has the grant")

    store.before = withdrawn
    with pytest.raises(EngineEndedError, match="example-2"):
        run(plan(nap("one"), nap("two")), store, perform)
    assert perform.names == ["one"]


def test_retry_is_rendered():
    perform = Stub(one=[ActivityFailedError("no"), ActivityFailedError("no"), Performed()])
    retry = {"limit": "{{ parameters.n }}", "backoffSeconds": "{{ 0 }}"}
    report = run(plan(nap("one", retry=retry)), Memory(), perform, facts={"parameters": {"n": "2"}})
    assert (report.ending, perform.names) == (Ending.FINISHED, ["one"] * 3)


def test_retry_that_is_no_number_fails_the_activity_before_it_runs():
    perform = Stub()
    report = run(plan(nap("one", retry={"limit": "{{ 'many' }}"})), Memory(), perform)
    assert report.message == "one: retry.limit: expected a whole number from 0 to 1000, got `many`"
    assert perform.names == []


def test_notes_are_left_out_where_they_would_make_the_output_too_large():
    store, large = Memory(), {"it": "x" * 8000}
    notes = {"stdout": "y" * 1000}
    run(
        plan(nap("one"), nap("two")),
        store,
        Stub(one=Performed(large, notes=notes), two=Performed(notes=notes)),
    )
    assert store.status().activity("one").output == large
    assert store.status().activity("two").output == notes
