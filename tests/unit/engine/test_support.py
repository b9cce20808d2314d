"""What is refused rather than run in part."""

import pytest
from tests.unit.engine.builders import nap, plan

from lcm_operator.api.support import unsupported

URL = "http://service.example/"


def ask(**http):
    return {"name": "ask", "http": {"url": URL} | http}


@pytest.mark.parametrize(
    ("refused", "fields"),
    [
        pytest.param(
            plan(
                nap("a"),
                onFailure=[ask(podToken=True)],
                **{"finally": [nap("b"), ask(until={"condition": "true"})]},
            ),
            ["onFailure[0].http.podToken", "finally[1].http.until"],
            id="the same in reports and releases",
        ),
        pytest.param(plan(nap("a"), finishAt="a"), ["finishAt"], id="an early finish"),
        pytest.param(
            plan(nap("a"), {"name": "b", "wait": {"signal": "slice"}}), ["activities[1].wait"], id="a wait"
        ),
        pytest.param(
            plan({"name": "a", "sleep": {"untilSeconds": 5}}),
            ["activities[0].sleep.untilSeconds"],
            id="a sleep until a time",
        ),
        pytest.param(
            plan(ask(basicAuth={"username": "a", "password": "b"})),
            ["activities[0].http.basicAuth"],
            id="basic authentication",
        ),
        pytest.param(plan(ask(podToken=True)), ["activities[0].http.podToken"], id="the pod's token"),
        pytest.param(
            plan(ask(expect={"condition": "true"})),
            ["activities[0].http.expect.condition"],
            id="a condition of success",
        ),
        pytest.param(
            plan(ask(secretCapture=["token"])), ["activities[0].http.secretCapture"], id="a secret capture"
        ),
        pytest.param(plan(ask(until={"condition": "true"})), ["activities[0].http.until"], id="a poll"),
        pytest.param(plan(ask(json=None, body="")), ["activities[0].http.body"], id="two bodies"),
        pytest.param(
            plan(ask(headers={"idempotency-key": "mine"})),
            ["activities[0].http.headers.idempotency-key"],
            id="an Idempotency-Key of its own",
        ),
        pytest.param(
            plan(ask(podToken=True), {"name": "b", "wait": {"signal": "s"}}, finishAt="b"),
            ["finishAt", "activities[0].http.podToken", "activities[1].wait"],
            id="several things at once, each named",
        ),
    ],
)
def test_a_plan_is_refused_with(refused, fields):
    assert unsupported(refused) == fields


def test_a_plan_of_all_that_can_be_run_is_not_refused():
    everything = plan(
        ask(
            method="PUT",
            query={"a": "b"},
            headers={"A": "b"},
            json={},
            expect={"status": [204]},
            capture={"a": "b"},
        ),
        nap("b", when="true", retry={"limit": 1}, continueOnError=True, set={"a": "b"}, stateName="B"),
        {"name": "c", "exec": {"command": ["true"], "env": {"A": "b"}, "timeoutSeconds": 1}},
        onFailure=[nap("d")],
        **{"finally": [nap("e")]},
    )

    assert unsupported(everything) == []
