"""What kopf reads through the session that it is given: it outlives every object."""

import asyncio
import json

import aiohttp
import pytest
from kopf._cogs.clients import api
from tests.unit.kube.answering import answering
from tests.unit.kube.test_hostile_answers import nested, trial

from lcm_operator.controllers.kopf_session import ReadableResponse, response_class
from lcm_operator.kube.cache import ObjectCache
from lcm_operator.kube.decoding import DEEPEST
from lcm_operator.kube.session import open_session

DEPTHS = (50, 500, 980, 1_500, 9_000)


def read_as_kopf_does(body, *, watch):
    """Return what kopf makes of an answer: `api.get` and `api.stream` do no more than this."""

    async def asked():
        async with (
            answering(lambda _: (200, body)) as access,
            open_session(access, connections=0, response_class=ReadableResponse) as session,
        ):
            target = f"{access.server}/apis/x" + ("?watch=true" if watch else "")
            response = await session.request("get", target)
            async with response:
                if not watch:
                    return await response.json()
                lines = api.iter_jsonlines(response.content)
                return [json.loads(line.decode("utf-8")) async for line in lines]

    return asyncio.run(asked())


def levels_of(value):
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(levels_of, inner), default=0) if isinstance(value, dict | list) else 0


@pytest.mark.parametrize("levels", DEPTHS)
def test_list_with_a_deep_object_is_read(levels):
    items = b",".join([trial("a"), trial("deep", nested(levels)), trial("z")])
    found = read_as_kopf_does(b'{"metadata":{},"items":[' + items + b"]}", watch=False)
    assert [item["metadata"]["name"] for item in found["items"]] == ["a", "deep", "z"]
    assert levels_of(found) <= DEEPEST


@pytest.mark.parametrize("levels", DEPTHS)
def test_watch_with_a_deep_object_continues(levels):
    kinds = {"a": b"1", "deep": nested(levels), "z": b"1"}
    lines = [b'{"type":"ADDED","object":' + trial(name, deep) + b"}\n" for name, deep in kinds.items()]
    seen = read_as_kopf_does(b"".join(lines), watch=True)
    assert [event["object"]["metadata"]["name"] for event in seen] == ["a", "deep", "z"]
    assert levels_of(seen) <= DEEPEST + 1


@pytest.mark.parametrize(
    "value", [b'"\xff"', b'"\\ud800"', b"1e999", b"7" * 5_000, b'"' + b"z" * 2_000_000 + b'"', b'"\\u0000"']
)
def test_watch_with_an_odd_value_continues(value):
    lines = [
        b'{"type":"ADDED","object":' + trial(name, deep) + b"}\n"
        for name, deep in (("a", value), ("z", b"1"))
    ]
    seen = read_as_kopf_does(b"".join(lines), watch=True)
    assert [event["object"]["metadata"]["name"] for event in seen] == ["a", "z"]


@pytest.mark.parametrize(
    "line",
    [
        b"<html>",
        b'{"type":"ERROR","object":{"code":500,"message":"etcd"}}',
        b'{"type":"ERROR","object":{"code":410}}',
        b'{"type":"ERROR","object":{}}',
    ],
)
def test_error_in_a_watch_makes_kopf_list_again(line):
    (event,) = read_as_kopf_does(line + b"\n", watch=True)
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_list_that_is_no_json_is_an_error_that_kopf_outlives():
    with pytest.raises(aiohttp.ClientPayloadError) as raised:
        read_as_kopf_does(b"<html>", watch=False)
    assert isinstance(raised.value, aiohttp.ClientConnectionError)


def test_kopf_is_given_what_is_not_known_yet_of_a_list():
    known = ObjectCache()
    known.put(("n", "a"), "u-a", 7, None)
    known.put(("n", "b"), "u-b", 6, None)
    items = b",".join(map(trial, ("a", "b", "c")))
    body = b'{"metadata":{"resourceVersion":"9","continue":"next"},"items":[' + items + b"]}"

    async def asked(path, status=200):
        responses = response_class({"trials": known})
        async with (
            answering(lambda _: (status, body)) as access,
            open_session(access, connections=0, response_class=responses) as session,
            session.get(access.server + path) as response,
        ):
            return await response.json()

    found = asyncio.run(asked("/apis/lcm/trials"))
    assert [item["metadata"]["name"] for item in found["items"]] == ["b", "c"]
    assert found["metadata"] == {"resourceVersion": "9", "continue": "next"}
    for path, status in (("/apis/lcm/others", 200), ("/apis/lcm/trials", 403)):
        assert len(asyncio.run(asked(path, status))["items"]) == 3
