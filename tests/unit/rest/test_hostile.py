"""What somebody writes into an object or a request costs the sidecar one answer, and nobody else anything."""

import asyncio
import contextlib
import json
import logging

import msgspec
import pytest
from tests.harness.api_server import ApiServer
from tests.harness.client import Connection
from tests.harness.waiting import until

from lcm_operator.api.storage import MalformedError
from lcm_operator.kube.client import Json
from lcm_operator.kube.clock import NodeClock
from lcm_operator.rest.cache.feed import Feed
from lcm_operator.rest.cache.records import engine_of, trial_of
from lcm_operator.rest.cache.view import View
from lcm_operator.rest.http import bodies
from lcm_operator.rest.http.replies import HttpRefusalError
from lcm_operator.rest.state import Content

DEEP = msgspec.json.decode(b"[" * 900 + b"]" * 900)
PLACES = ["spec", "status", "startTime", "trialID", "conditions", "engineRef", "startedTime"]
TEXTS = ["[" * 5_000, '[{"x":' + "[" * 5_000, "\ud800", "[1]", "{}", '["a"', '[{"hash":1}]']
VALUES = [None, 5, "text", [], {}, DEEP, True, {"type": DEEP}, [DEEP]]


def raw(**parts: object) -> Json:
    return {"metadata": {"name": "x", "uid": "u", "resourceVersion": "3"}, "spec": {}} | parts


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("project", [trial_of, engine_of])
def test_projection_of_any_object_is_made_or_malformed(project, place, value):
    for parts in ({place: value}, {"spec": {place: value}}, {"status": {place: value}}):
        with contextlib.suppress(MalformedError):
            assert project(raw(**parts)).name == "x"


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("key", ["heartbeats", "tokens"])
def test_config_map_of_any_content_is_read_or_malformed(key, text):
    with pytest.raises(MalformedError):
        Content.parse({"data": {key: text}})


@pytest.mark.parametrize("levels", [50, 500, 900, 1_500, 30_000])
@pytest.mark.parametrize("form", ["%s", '{"trial_id": %s, "start_time": "x"}', '{"start_time": %s}'])
def test_body_of_any_depth_is_refused(form, levels):
    body = (form % ("[" * levels + "]" * levels)).encode()
    with pytest.raises((HttpRefusalError, bodies.InvalidFieldsError)) as refused:
        bodies.from_body(bodies.Scheduling, body)
    if isinstance(refused.value, bodies.InvalidFieldsError):
        json.dumps(refused.value.faults)


def test_object_that_cannot_be_read_is_logged_once_and_harms_no_other(caplog):
    server = ApiServer()
    good = raw(spec={"startTime": "2031-01-01T08:00:00Z"})
    bad = raw(spec=DEEP, metadata={"name": "bad", "uid": "b"})

    async def watched():
        view = View()
        server.put("trials", bad)
        client = Connection(server).client()
        feed = Feed(client, view, "lab", registry="default", plan="default", clock=NodeClock())
        task = asyncio.create_task(feed.run())
        await until(lambda: "name=bad" in caplog.text)
        server.put("trials", bad | {"status": {}})
        server.put("trials", good)
        await until(lambda: view.trial("x"))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return view

    with caplog.at_level(logging.WARNING):
        view = asyncio.run(watched())
    assert view.trial("x") is not None
    assert view.trial("bad") is None
    assert caplog.text.count("unreadable object") == caplog.text.count("name=bad") == 1
