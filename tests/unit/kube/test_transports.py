"""Both transports by the same cases: servers that are slow, break off, talk nonsense or refuse."""

import asyncio
from contextlib import aclosing

import pytest
from tests.unit.wire.servers import received, saying, serving

from lcm_operator.kube import client as client_module
from lcm_operator.kube import session, wired
from lcm_operator.kube.access import Access
from lcm_operator.kube.errors import ConflictError, GoneError, NotFoundError, RejectedError, UnavailableError
from lcm_operator.kube.resources import TRIALS

pytestmark = pytest.mark.parametrize(
    "transport", [pytest.param(session.pooled, id="aiohttp"), pytest.param(wired.lean, id="http1")]
)
OBJECT = b'{"metadata":{"name":"a","resourceVersion":"7"}}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def answer(body=b"", status=200, *headers):
    lines = [f"HTTP/1.1 {status} Whatever", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def chunks(*parts, end=True):
    framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return CHUNKED + framed + (b"0\r\n\r\n" if end else b"")


def event(kind, version):
    return b'{"type":"%s","object":{"metadata":{"name":"a","resourceVersion":"%d"}}}\n' % (kind, version)


def pieces(content, size):
    return [content[at : at + size] for at in range(0, len(content), size)]


async def hang(reader, _writer):
    await received(reader)
    await reader.read()


def ask(transport, script, question, *, token=None, timeout_seconds=15):
    """Return the answer to the question, and how many connections were made."""

    async def asked():
        async with serving(script) as (origin, accepted):
            access = Access(server=f"http://127.0.0.1:{origin.port}", token=token)
            async with (
                asyncio.timeout(20),
                transport(access, connections=2, timeout_seconds=timeout_seconds) as client,
            ):
                return await question(client), len(accepted)

    return asyncio.run(asked())


async def get(client):
    return await client.get(TRIALS, "n", "a")


def watch(into):
    async def watched(client):
        async with aclosing(client.watch(TRIALS, "n", resource_version="1")) as events:
            async for kind, found in events:
                into.append((kind, found["metadata"]["resourceVersion"]))

    return watched


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_answer_in_pieces_is_whole(transport, size):
    found, _ = ask(transport, saying(*pieces(answer(OBJECT), size)), get)
    assert found["metadata"]["name"] == "a"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(saying(answer(OBJECT)[:-5]), id="cut in its body"),
        pytest.param(saying(chunks(OBJECT, end=False)), id="cut between chunks"),
        pytest.param(saying(b"HTTP/1.1 200 OK\r\nContent-Le"), id="cut in its head"),
        pytest.param(saying(), id="closed without a word"),
        pytest.param(saying(b"SSH-2.0-OpenSSH_9.6\r\n"), id="another protocol"),
        pytest.param(saying(b"\x15\x03\x01\x00\x02\x02\x46"), id="TLS"),
        pytest.param(saying(answer(b"")), id="empty"),
        pytest.param(saying(answer(b"<html>")), id="a page of a proxy"),
        pytest.param(saying(answer(b"[]")), id="no object"),
        pytest.param(saying(answer(b"upstream is down", 502)), id="a bad gateway"),
        pytest.param(saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), id="no chunk"),
    ],
)
def test_answer_that_is_none_is_unavailable(transport, script):
    with pytest.raises(UnavailableError):
        ask(transport, script, get)


def test_answer_that_takes_too_long_is_unavailable(transport):
    with pytest.raises(UnavailableError):
        ask(transport, hang, get, timeout_seconds=0.2)


def test_server_that_does_not_exist_is_unavailable(transport):
    async def asked():
        async with serving(hang) as (origin, _):
            access = Access(server=f"http://127.0.0.1:{origin.port}")
        async with transport(access, connections=1) as client:
            await get(client)

    with pytest.raises(UnavailableError):
        asyncio.run(asked())


def test_write_whose_answer_is_lost_is_not_repeated(transport):
    made = []

    async def script(reader, _writer):
        made.append(await received(reader))

    with pytest.raises(UnavailableError):
        ask(transport, script, lambda client: client.create(TRIALS, "n", {"spec": {}}))
    assert len(made) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, NotFoundError),
        (409, ConflictError),
        (410, GoneError),
        (403, RejectedError),
        (301, RejectedError),
    ],
)
def test_refusal_has_its_class(transport, status, kind):
    with pytest.raises(kind):
        ask(transport, saying(answer(b'{"message":"no"}', status, "Location: /elsewhere")), get)


@pytest.mark.parametrize("question", [get, watch([])], ids=["a request", "a watch"])
def test_retry_after_is_passed_on(transport, question):
    with pytest.raises(UnavailableError) as raised:
        ask(transport, saying(answer(b"too many requests", 429, "Retry-After: 7")), question)
    assert raised.value.retry_after == 7


def test_identity_is_sent(transport):
    heads = []

    async def script(reader, writer):
        heads.append(await received(reader))
        writer.write(answer(OBJECT))
        await writer.drain()

    ask(transport, script, get, token="secret")
    assert b"authorization: bearer secret" in heads[0].lower()


def test_kept_connection_is_used_again(transport):
    async def script(reader, writer):
        while True:
            await received(reader)
            writer.write(answer(OBJECT))
            await writer.drain()

    async def twice(client):
        return [await get(client), await get(client)]

    assert ask(transport, script, twice)[1] == 1


@pytest.mark.parametrize("size", [1, 13, 100_000])
def test_events_are_whole_however_they_are_cut(transport, size):
    lines = event(b"ADDED", 2) + b"\n" + event(b"BOOKMARK", 3) + event(b"DELETED", 4)
    seen = []
    ask(transport, saying(chunks(*pieces(lines, size))), watch(seen))
    assert seen == [("ADDED", "2"), ("BOOKMARK", "3"), ("DELETED", "4")]


def test_event_of_several_mib_is_read(transport):
    line = event(b"ADDED", 2).replace(b'"a"', b'"%s"' % (b"a" * 4_000_000))
    seen = []
    ask(transport, saying(chunks(*pieces(line, 50_000))), watch(seen))
    assert seen == [("ADDED", "2")]


def test_line_without_an_end_is_unavailable(transport, monkeypatch):
    monkeypatch.setattr(client_module, "_LONGEST_LINE", 100_000)

    async def script(reader, writer):
        await received(reader)
        writer.write(CHUNKED)
        while True:
            writer.write(b"%x\r\n%s\r\n" % (1_000, b"x" * 1_000))
            await writer.drain()

    with pytest.raises(UnavailableError, match="100000 bytes"):
        ask(transport, script, watch([]))


def test_watch_that_is_cut_yields_its_events_first(transport):
    seen = []
    with pytest.raises(UnavailableError):
        ask(transport, saying(chunks(event(b"ADDED", 2), event(b"ADDED", 3)[:20], end=False)), watch(seen))
    assert seen == [("ADDED", "2")]


def test_half_an_event_at_the_end_of_a_watch_is_dropped(transport):
    seen = []
    ask(transport, saying(chunks(event(b"ADDED", 2), event(b"ADDED", 3)[:20])), watch(seen))
    assert seen == [("ADDED", "2")]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'{"type":"ERROR","object":{"code":410,"reason":"Expired","message":"old"}}\n', GoneError),
        (b'{"type":"ERROR","object":{"code":429,"message":"slowly"}}\n', UnavailableError),
        (b'{"type":"ERROR","object":{"code":"x"}}\n', UnavailableError),
        (b'{"type":"ADDED","object":[]}\n', UnavailableError),
        (b'{"type":7,"object":{}}\n', UnavailableError),
        (b"\xff\xfe\n", UnavailableError),
    ],
)
def test_line_that_is_no_change_ends_the_watch(transport, line, kind):
    seen = []
    with pytest.raises(kind):
        ask(transport, saying(chunks(event(b"ADDED", 2), line, event(b"ADDED", 3))), watch(seen))
    assert seen == [("ADDED", "2")]


def test_silence_of_a_watch_is_unavailable(transport, monkeypatch):
    for module in (session, wired):
        monkeypatch.setattr(module, "_SILENCE_SECONDS", 1.0)

    async def script(reader, writer):
        await received(reader)
        writer.write(chunks(event(b"ADDED", 2), end=False))
        await writer.drain()
        await reader.read()

    seen = []
    with pytest.raises(UnavailableError):
        ask(transport, script, watch(seen))
    assert seen == [("ADDED", "2")]


def test_watch_that_is_left_ends_its_connection(transport):
    ended = asyncio.Event()

    async def script(reader, writer):
        await received(reader)
        writer.write(chunks(event(b"ADDED", 2), end=False))
        await writer.drain()
        await reader.read()
        ended.set()

    async def left(client):
        async with aclosing(client.watch(TRIALS, "n", resource_version="1")) as events:
            async for _ in events:
                break
        await ended.wait()

    ask(transport, script, left)


def test_list_is_read_page_by_page(transport):
    targets = []
    pages = [
        b'{"metadata":{"resourceVersion":"9","continue":"a/b"},"items":[{"metadata":{"name":"a"}}]}',
        b'{"metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"b"}}]}',
    ]

    async def script(reader, writer):
        while True:
            targets.append((await received(reader)).split()[1].decode())
            writer.write(answer(pages[len(targets) - 1]))
            await writer.drain()

    (items, version), _ = ask(
        transport, script, lambda client: client.list(TRIALS, "n", label_selector="x=y z")
    )
    assert [item["metadata"]["name"] for item in items] == ["a", "b"]
    assert version == "9"
    assert [target.partition("?")[2] for target in targets] == [
        "limit=500&labelSelector=x%3Dy+z",
        "limit=500&labelSelector=x%3Dy+z&continue=a%2Fb",
    ]
