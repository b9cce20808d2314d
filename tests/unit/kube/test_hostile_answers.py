"""Objects of any depth in what the API server answers: nothing but the object itself suffers."""

import asyncio
from contextlib import aclosing

import msgspec
import pytest
from tests.unit.kube.answering import answering

from lcm_operator.kube.errors import ConflictError, GoneError, RejectedError, UnavailableError
from lcm_operator.kube.resources import TRIALS
from lcm_operator.kube.session import pooled
from lcm_operator.kube.wired import lean

TRANSPORTS = [pytest.param(pooled, id="aiohttp"), pytest.param(lean, id="wired")]
DEPTHS = (50, 980, 1_500, 9_000)


def trial(name: str, deep: bytes = b"null") -> bytes:
    return (
        b'{"metadata":{"name":"%s","namespace":"n","uid":"u-%s","resourceVersion":"7","managedFields":[%s]},'
        b'"spec":{"activities":[{"http":{"json":%s}}]}}' % (name.encode(), name.encode(), deep, deep)
    )


def nested(levels: int) -> bytes:
    return b'{"a":[' * (levels // 2) + b"]}" * (levels // 2)


def ask(transport, answer, question):
    async def asked():
        async with answering(lambda _: answer) as access, transport(access, connections=2) as client:
            return await question(client)

    return asyncio.run(asked())


async def watched(client):
    seen = []
    async with aclosing(client.watch(TRIALS, "n", resource_version="1")) as events:
        async for kind, found in events:
            seen.append((kind, found["metadata"]["name"]))
    return seen


@pytest.mark.parametrize("levels", DEPTHS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_deep_object_leaves_the_rest_of_its_list(transport, levels):
    items = b",".join([trial("a"), trial("deep", nested(levels)), trial("z")])
    body = b'{"metadata":{"resourceVersion":"9"},"items":[' + items + b"]}"
    found, version = ask(transport, (200, body), lambda client: client.list(TRIALS, "n"))
    assert [item["metadata"]["name"] for item in found] == ["a", "deep", "z"]
    assert found[1]["metadata"]["uid"] == "u-deep"
    assert version == "9"


@pytest.mark.parametrize("levels", DEPTHS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_watch_continues_after_a_deep_object(transport, levels):
    lines = [
        b'{"type":"%s","object":%s}\n' % (kind, trial(name, deep))
        for kind, name, deep in (
            (b"ADDED", "a", b"1"),
            (b"MODIFIED", "deep", nested(levels)),
            (b"DELETED", "z", b"1"),
        )
    ]
    seen = ask(transport, (200, b"".join(lines)), watched)
    assert seen == [("ADDED", "a"), ("MODIFIED", "deep"), ("DELETED", "z")]


@pytest.mark.parametrize("levels", DEPTHS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_answer_to_a_write_may_hold_a_deep_object(transport, levels):
    written = ask(
        transport,
        (200, trial("deep", nested(levels))),
        lambda client: client.merge_patch(TRIALS, "n", "deep", {}),
    )
    assert written["metadata"]["resourceVersion"] == "7"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"null",
        b"",
        b'{"items":[]}',
        b'{"metadata":null,"items":[]}',
        b'{"metadata":{},"items":null}',
    ],
)
def test_answer_that_is_no_list_is_unavailable(transport, body):
    with pytest.raises(UnavailableError):
        ask(transport, (200, body), lambda client: client.list(TRIALS, "n"))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_list_without_items_is_empty(transport):
    body = b'{"metadata":{"resourceVersion":"9"},"items":null}'
    assert ask(transport, (200, body), lambda client: client.list(TRIALS, "n")) == ([], "9")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("line", [b"<html>\n", b"[]\n", b'{"type":"ADDED"}\n', b'{"type":1,"object":{}}\n'])
def test_line_that_is_no_event_is_unavailable(transport, line):
    with pytest.raises(UnavailableError):
        ask(transport, (200, line), watched)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(410, GoneError), (500, UnavailableError), (b'"x"', UnavailableError), (b"null", UnavailableError)],
)
def test_error_in_a_watch_is_raised_whatever_it_holds(status, kind):
    code = status if isinstance(status, bytes) else str(status).encode()
    line = b'{"type":"ERROR","object":{"code":%s,"details":%s}}\n' % (code, nested(2_000))
    with pytest.raises(kind):
        ask(pooled, (200, line), watched)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("status", "kind"), [(409, ConflictError), (422, RejectedError), (503, UnavailableError)]
)
def test_refusal_keeps_its_class_whatever_comes_with_it(transport, status, kind):
    for body in (nested(5_000), b'{"message":' + nested(900) + b"}", b"\xff<html>", b"[1]", b"9" * 9_000):
        with pytest.raises(kind) as raised:
            ask(transport, (status, body), lambda client: client.get(TRIALS, "n", "x"))
        assert len(str(raised.value)) < 3_000


def test_message_of_a_refusal_is_cut():
    body = msgspec.json.encode({"reason": "Invalid", "message": "spec: Invalid value: " + "x" * 1_000_000})
    with pytest.raises(RejectedError) as raised:
        ask(pooled, (422, body), lambda client: client.get(TRIALS, "n", "x"))
    assert len(raised.value.message) == 2_048
