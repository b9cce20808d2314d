"""Neither answers of partners nor contents of its TrialEngine end an engine without a message."""

import asyncio
import contextlib

import pytest
from tests.harness.api_server import ApiServer
from tests.harness.client import Connection
from tests.harness.waiting import until
from tests.unit.engine.builders import NOW, POD, engine, nap

from lcm_operator.api.storage import serialise
from lcm_operator.engine.activities.exchange import Response
from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.trial_engine import TrialEngineFollower
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError
from lcm_operator.wire.replies import Headers


def nested(levels, value=1):
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [70, 900, 5_000, 100_000])
@pytest.mark.parametrize(
    "source",
    [
        "{{ response.json }}",
        "{{ response.json == response.json }}",
        "{{ response.json | string }}",
        "{{ response.json | tojson }}",
        "x{{ response.json }}",
        "{{ response.json | length }}",
    ],
)
def test_reply_of_any_depth_gives_a_value_or_a_message(source, levels):
    response = Response(200, Headers(), b"[" * levels + b"]" * levels)
    scope = Scope({"response": response.variables()})
    with contextlib.suppress(TemplateError):
        scope.value(source)


def test_message_names_the_depth_of_a_reply():
    scope = Scope({"response": Response(200, Headers(), b"[" * 100_000 + b"]" * 100_000).variables()})
    with pytest.raises(TemplateError, match="too deep"):
        scope.value("{{ response.json }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 1_500 + "1" + ")" * 1_500 + " }}",
        "{{ " + "[" * 3_000 + "]" * 3_000 + " }}",
        "{{ " + "not " * 2_000 + "1 }}",
        "{{ " + "-" * 4_000 + "1 }}",
    ],
)
def test_expression_that_nests_too_deep_is_an_error_of_the_expression(source):
    with pytest.raises(TemplateError) as raised:
        Scope({}).value(source)
    assert len(str(raised.value)) < 500


def test_output_that_nests_too_deep_fails_its_activity():
    checkpoint = Checkpoint.from_storage(engine(nap("one")).status, ["one"])
    assert checkpoint.too_large("one", {"x": nested(63)}, {}) is None
    assert checkpoint.too_large("one", {"x": nested(64)}, {}).startswith(
        "OutputTooDeep: the output nests deeper than 64"
    )


def test_engine_waits_for_a_trial_engine_that_it_can_read():
    good = serialise(engine(nap("one"), resourceVersion="2"))
    good["status"] = {
        "podRef": {"name": "example-1", "uid": POD, "notBefore": NOW.isoformat()},
        "attempt": 1,
    }
    server = ApiServer()
    connection = Connection(server)

    async def granted():
        server.put("trialengines", good | {"status": {"attempt": "two"}})
        follower = TrialEngineFollower(connection.client(), "example", POD, lambda: NOW)
        task = asyncio.create_task(follower.follow())
        try:
            await until(lambda: any(request.verb == "watch" for request in connection.requests))
            server.put("trialengines", good | {"spec": 5})
            server.put("trialengines", good)
            return await asyncio.wait_for(follower.granted(), 30)
        finally:
            task.cancel()

    assert asyncio.run(granted()).status.attempt == 1
