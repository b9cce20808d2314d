"""What `onFailure` and `finally` see of the end: `failure` and `outcome`."""

import pytest
from msgspec.structs import replace
from tests.unit.engine.builders import NOW, POD, Memory, Stub, engine, nap, plan
from tests.unit.engine.lists import run, stored

from lcm_operator.api.engine import Stop
from lcm_operator.api.storage import parse, rfc3339
from lcm_operator.engine.grant import attempt_at
from lcm_operator.engine.interrupts import Interrupts
from lcm_operator.engine.outcome import ActivityFailedError, Failed, Performed, Succeeded

SAY = {"set": {"said": "{{ outcome }} {{ failure.activity if failure else 'nothing' }}"}}
PLAN = plan(nap("one"), nap("two"), onFailure=[nap("tell", **SAY)], **{"finally": [nap("free", **SAY)]})


def said(store):
    return store.status().values.get("said")


def stopped(mode):
    interrupts = Interrupts(POD)
    grant = {"name": "example-1", "uid": POD, "notBefore": rfc3339(NOW)}
    interrupts.observe(engine(status={"podRef": grant, "stop": {"mode": mode, "requestTime": rfc3339(NOW)}}))
    return interrupts


def test_on_failure_sees_the_activity_that_failed():
    store, seen = Memory(), []

    async def look(scope):
        seen.append(scope.variables["failure"])
        return Performed()

    run(store, Stub(two=ActivityFailedError("503"), tell=look), PLAN)

    (failure,) = seen
    assert {**failure, "time": None} == {"activity": "two", "message": "503", "attempt": 1, "time": None}
    assert failure["time"] == store.status().activity("two").completion_time
    assert said(store) == "Failed two"


def test_finally_after_success_sees_no_failure():
    store = Memory()
    run(store, Stub(), PLAN)
    assert said(store) == "Succeeded nothing"


def test_condition_on_the_failure_is_false_without_one():
    the_plan = plan(
        nap("one"), **{"finally": [nap("a", when="{{ failure }}"), nap("b", when="{{ not failure }}")]}
    )
    store, perform = Memory(), Stub()
    run(store, perform, the_plan)
    assert perform.names == ["one", "b"]


@pytest.mark.parametrize(
    ("mode", "outcomes", "words"),
    [
        pytest.param("Cancel", {"one": Succeeded()}, "Cancelled nothing", id="cancelled on the way"),
        pytest.param("Cancel", {"one": Failed("x")}, "Cancelled one", id="a failed one is deleted"),
        pytest.param("Deadline", {"one": Succeeded(), "two": True}, "Failed two", id="out of time"),
        pytest.param(
            "Release", {"one": Succeeded(), "two": Succeeded()}, "Succeeded nothing", id="done before"
        ),
    ],
)
def test_finally_sees_what_the_trial_ends_as(mode, outcomes, words):
    store = stored(**outcomes)
    store.saved[-1] = replace(
        store.saved[-1],
        activities=tuple(a for a in store.saved[-1].activities if a.name in ("one", "two")),
    )
    run(store, Stub(), PLAN, interrupts=stopped(mode))
    assert said(store) == words


def test_activities_of_the_plan_see_no_failure():
    store = Memory()
    run(store, Stub(), plan(nap("one", set={"x": "{{ failure }}"}), onFailure=[], **{"finally": []}))
    assert "'failure' is undefined" in store.status().activity("one").message


@pytest.mark.parametrize(
    ("seconds", "number"),
    [
        pytest.param(5, 1, id="in the first"),
        pytest.param(15, 2, id="in the second"),
        pytest.param(99, 3, id="now"),
    ],
)
def test_attempt_of_a_failure_is_the_one_that_was_granted_then(seconds, number):
    def at(second):
        return f"2026-11-24T10:00:{second:02}Z"

    status = {
        "attempt": 3,
        "podRef": {"name": "example-3", "uid": POD, "notBefore": at(20)},
        "attempts": [
            {"number": 1, "reason": "Start", "startTime": at(0)},
            {"number": 2, "reason": "Restore", "startTime": at(10)},
            {"number": 3, "reason": "Restore"},
        ],
    }
    time = parse({"mode": "Cancel", "requestTime": at(min(seconds, 59))}, Stop).request_time
    assert attempt_at(engine(status=status).status, time) == number
