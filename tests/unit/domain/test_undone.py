"""What a restore takes back: signals are given back to waits that need them, values to what they were."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.domain.builders import at, engine, nap, trial

from lcm_operator.api.engine import Stop, TrialEngine, TrialEngineStatus
from lcm_operator.api.storage import parse, rfc3339
from lcm_operator.domain.checkpoint import released, restored


def ask(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "http": {"url": "http://service.example/"}} | more


def wait(name: str, signal: str, after: str | None = None) -> dict[str, Any]:
    return {"name": name, "wait": {"signal": signal} | ({"after": after} if after else {})}


def made(
    *activities: dict[str, Any],
    states: dict[str, str],
    consumed: dict[str, str] | None = None,
    signals: tuple[str, ...] = (),
    values: dict[str, str] | None = None,
    **spec: Any,
) -> TrialEngine:
    """Return an engine with this progress; a signal's ID is `<name>-<number>`."""
    taken = consumed or {}
    status = {
        "attempt": 1,
        "activities": [
            {"name": name, "state": state, "run": 1}
            | ({} if state == "Pending" else {"startTime": rfc3339(at(1)), "earlierSignals": ["old-1"]})
            for name, state in states.items()
        ],
        "signals": [
            {"id": one, "name": one.rpartition("-")[0], "receivedTime": rfc3339(at(2))}
            for one in (*taken, *signals)
        ],
        "consumedSignals": [{"id": one, "activity": activity} for one, activity in taken.items()],
        "values": values or {},
    }
    of = trial(activities=list(activities), **spec)
    return replace(engine(of), status=parse(status, TrialEngineStatus))


def restore(this: TrialEngine, from_activity: str | None = None) -> TrialEngineStatus:
    return restored(this, "Restore", at(20), None, from_activity)


def consumed(status: TrialEngineStatus) -> dict[str, str]:
    return {taken.id: taken.activity for taken in status.consumed_signals}


DEPLOYED = {"deploy": "Succeeded", "ready": "Succeeded", "use": "Succeeded"}


def deployed(**more: Any) -> TrialEngine:
    more = {"states": DEPLOYED, "consumed": {"slice-1": "ready"}} | more
    return made(ask("deploy"), wait("ready", "slice"), nap("use"), **more)


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        pytest.param(None, {"slice-1": "ready"}, id="from the latest checkpoint: it stays consumed"),
        pytest.param("use", {"slice-1": "ready"}, id="from after the wait: it stays consumed"),
        pytest.param("ready", {}, id="from the wait: it is given back"),
        pytest.param("deploy", {"slice-1": "ready"}, id="from the request: its callback will come again"),
    ],
)
def test_what_a_wait_had_taken(chosen, left):
    assert consumed(restore(deployed(), chosen)) == left


def test_a_wait_since_the_first_grant_gets_its_signal_back():
    this = made(nap("one"), wait("told", "go"), states={"one": "Succeeded", "told": "Succeeded"},
                consumed={"go-1": "told"})  # fmt: skip

    assert consumed(restore(this, "one")) == {}


def test_wait_gets_its_signal_back_unless_the_activity_it_names_is_repeated():
    this = made(
        ask("first"),
        ask("second"),
        wait("done", "job", after="first"),
        states={"first": "Succeeded", "second": "Succeeded", "done": "Succeeded"},
        consumed={"job-1": "done"},
    )

    assert consumed(restore(this, "second")) == {}
    assert consumed(restore(this, "first")) == {"job-1": "done"}


def test_repeated_wait_of_finally_gets_back_the_signals_of_the_plan():
    this = made(
        ask("delete"),
        states={"delete": "Succeeded", "gone": "Succeeded"},
        consumed={"slice-1": "gone"},
        **{"finally": [wait("gone", "slice")]},
    )

    assert consumed(restore(this)) == {}


FINISHED = {"deploy": "Succeeded", "ready": "Skipped", "stopping": "Succeeded", "delete": "Failed"}


def finished(consumer: str, state: str = "Skipped", **more: Any) -> TrialEngine:
    return made(
        ask("deploy"),
        wait("ready", "finish"),
        nap("stopping"),
        nap("delete"),
        states=FINISHED | {"ready": state},
        consumed={"finish-1": consumer},
        finishAt="stopping",
        **more,
    )


@pytest.mark.parametrize("chosen", ["deploy", "ready", "stopping", "delete", None])
def test_a_finish_that_has_jumped_does_not_jump_again(chosen):
    assert consumed(restore(finished("stopping"), chosen)) == {"finish-1": "stopping"}


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        pytest.param("ready", {}, id="from that wait: it is given back"),
        pytest.param("deploy", {"finish-1": "ready"}, id="from before it: it would skip what is to be done"),
    ],
)
def test_a_finish_that_a_wait_had_taken(chosen, left):
    this = made(
        ask("ask"),
        nap("deploy"),
        wait("ready", "finish"),
        nap("stopping"),
        states={"ask": "Succeeded", "deploy": "Succeeded", "ready": "Succeeded", "stopping": "Failed"},
        consumed={"finish-1": "ready"},
        finishAt="stopping",
    )

    assert consumed(restore(this, chosen)) == left


def test_finish_after_the_jump_that_is_not_consumed_does_not_jump_again():
    this = finished("stopping", signals=("finish-2",))

    assert consumed(restore(this, "deploy")) == {"finish-1": "stopping", "finish-2": "stopping"}


def test_a_finish_before_the_jump_is_kept_for_the_next_attempt():
    this = made(
        nap("one"), nap("stopping"), states={"one": "Running"}, signals=("finish-1",), finishAt="stopping"
    )

    assert consumed(restore(this)) == {}


@pytest.mark.parametrize(
    ("stopped", "taken"),
    [
        pytest.param(2, {"finish-1": "stopping"}, id="after the stop was asked for: it asked for no more"),
        pytest.param(3, {}, id="before that: the next attempt jumps"),
    ],
)
def test_a_finish_that_came_to_a_stopping_engine(stopped, taken):
    this = made(
        nap("one"), nap("stopping"), states={"one": "Running"}, signals=("finish-1",), finishAt="stopping"
    )
    stop = Stop(mode="Deadline", request_time=at(stopped))

    assert consumed(restore(replace(this, status=replace(this.status, stop=stop)))) == taken


def test_same_run_keeps_its_start_time_and_outputs_and_a_new_one_does_not():
    this = deployed(states={"deploy": "Succeeded", "ready": "Running"}, consumed={})

    same, new = restore(this).activity("ready"), restore(this, "deploy").activity("deploy")
    assert (same.state, same.run, same.start_time, same.earlier_signals) == ("Pending", 1, at(1), ("old-1",))
    assert (new.state, new.run, new.start_time, new.earlier_signals) == ("Pending", 2, None, ())


def test_release_begun_by_an_attempt_before_the_last_gets_a_new_run():
    this = made(nap("one"), states={"one": "Failed", "free": "Running"}, **{"finally": [nap("free")]})
    again = replace(this, status=released(this, at(10)))
    assert (again.status.activity("free").run, again.status.activity("free").start_time) == (1, at(1))
    free = restore(again).activity("free")
    assert (free.state, free.run, free.start_time) == ("Pending", 2, None)


LABELLED = (nap("idle", set={"kpiLabel": "Idle"}), nap("active", set={"kpiLabel": "Active"}), nap("last"))


@pytest.mark.parametrize(
    ("chosen", "values"),
    [
        pytest.param(None, {"kpiLabel": "Active"}, id="the latest checkpoint"),
        pytest.param("active", {"kpiLabel": "Idle"}, id="before it was set for the second time"),
        pytest.param("idle", {}, id="before it was set at all"),
    ],
)
def test_values_are_again_as_they_were_at(chosen, values):
    states = {"idle": "Succeeded", "active": "Succeeded", "last": "Failed"}
    this = made(*LABELLED, states=states, values={"kpiLabel": "Active"})

    assert restore(this, chosen).values == values


def test_value_set_by_an_earlier_expression_is_forgotten_and_others_stay():
    this = made(
        nap("one", set={"slice": "{{ outputs.x.id }}", "other": "{{ outputs.x.id }}"}),
        nap("two", set={"slice": "second"}),
        states={"one": "Succeeded", "two": "Succeeded"},
        values={"slice": "second", "other": "5"},
    )

    assert restore(this, "two").values == {"other": "5"}


def test_what_had_not_succeeded_has_set_nothing():
    states = {"idle": "Succeeded", "active": "Failed"}
    this = made(*LABELLED, states=states, values={"kpiLabel": "Idle"})

    assert restore(this).values == {"kpiLabel": "Idle"}
