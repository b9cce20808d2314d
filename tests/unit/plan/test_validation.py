"""What is refused rather than run in part."""

import pytest
from tests.unit.engine.builders import nap, plan

from lcm_operator.plan.validation import unsupported

URL = "http://service.example/"


def ask(**http):
    return {"name": "ask", "http": {"url": URL} | http}


@pytest.mark.parametrize(
    ("refused", "fields"),
    [
        pytest.param(
            plan(
                nap("a"),
                onFailure=[ask(json=None, body="")],
                **{"finally": [nap("b"), ask(secretCapture=["token"])]},
            ),
            ["onFailure[0].http.body", "finally[1].http.secretCapture"],
            id="the same in reports and releases",
        ),
        pytest.param(
            plan(nap("a"), onFailure=[nap("b")], finishAt="b"),
            ["finishAt"],
            id="a finish at none of its activities",
        ),
        pytest.param(
            plan(nap("a"), {"name": "b", "wait": {"signal": "slice", "after": "c"}}),
            ["activities[1].wait.after"],
            id="a wait after an activity that there is not",
        ),
        pytest.param(
            plan(ask(capture={"id": "x"}, secretCapture=["id", "token"])),
            ["activities[0].http.secretCapture"],
            id="a secret capture of what is not captured",
        ),
        pytest.param(plan(ask(json=None, body="")), ["activities[0].http.body"], id="two bodies"),
        pytest.param(
            plan(ask(headers={"idempotency-key": "mine"})),
            ["activities[0].http.headers.idempotency-key"],
            id="an Idempotency-Key of its own",
        ),
        pytest.param(
            plan(ask(headers={"A": "b", "Content-Length": "5"})),
            ["activities[0].http.headers.Content-Length"],
            id="a length of the body of its own",
        ),
        pytest.param(
            plan(ask(json=1, body="", headers={"TE": "x", "Upgrade": "y"})),
            [f"activities[0].http.{field}" for field in ("body", "headers.TE", "headers.Upgrade")],
            id="several things at once, each named",
        ),
    ],
)
def test_a_plan_is_refused_with(refused, fields):
    assert [fault.path for fault in unsupported(refused)] == fields


def test_a_plan_of_all_that_can_be_run_is_not_refused():
    everything = plan(
        ask(
            method="PUT",
            query={"a": "b"},
            headers={"A": "b"},
            json={},
            expect={"status": [204], "condition": "true"},
            capture={"a": "b", "c": "d"},
            secretCapture=["c"],
            basicAuth={"username": "a", "password": "b"},
            until={"condition": "true"},
        ),
        ask(podToken=True, body="") | {"name": "f"},
        {"name": "g", "sleep": {"untilSeconds": 5}},
        nap("b", when="true", retry={"limit": 1}, continueOnError=True, set={"a": "b"}, stateName="B"),
        {"name": "c", "exec": {"command": ["true"], "env": {"A": "b"}, "timeoutSeconds": 1}},
        {"name": "h", "wait": {"signal": "slice", "after": "e", "timeoutSeconds": 5}},
        onFailure=[nap("d")],
        finishAt="h",
        **{"finally": [nap("e")]},
    )

    assert unsupported(everything) == []
