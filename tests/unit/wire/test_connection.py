"""Requests to servers on loopback: good ones, and such as hang up, talk out of turn or fall silent."""

import asyncio
import socket
import ssl
import struct

import pytest
import trustme
from tests.harness.waiting import until
from tests.unit.wire.servers import connected, received, saying, serving, serving_on

from lcm_operator.wire.connection import Connection
from lcm_operator.wire.errors import WireError
from lcm_operator.wire.messages import Origin, request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"


async def reply_to(connection, origin, method="GET", content=None):
    """Ask, and return status and body."""
    reply = await connection.ask(method, request(origin, method, "/", {}, content))
    body = b""
    while part := await connection.read():
        body += part
    return reply.status, body


def asked(script, method="GET", content=None, trust=None, verify=None):
    """Ask a server once."""

    async def scenario():
        async with connected(script, trust, verify) as (connection, origin, _):
            return await reply_to(connection, origin, method, content)

    return asyncio.run(scenario())


def test_a_reply_is_read_however_slowly_it_comes():
    assert asked(saying(*(OK[n : n + 1] for n in range(len(OK))))) == (200, b"body")


def test_a_reply_may_end_with_its_connection():
    assert asked(saying(b"HTTP/1.1 200 OK\r\n\r\n", b"bo", b"dy")) == (200, b"body")


def test_a_large_body_is_sent_and_another_comes_in_while_nobody_reads():
    large = b"x" * 3_000_000

    async def script(reader, writer):
        await received(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + large)
        await writer.drain()

    async def scenario():
        async with connected(script) as (connection, origin, _):
            reply = await connection.ask("POST", request(origin, "POST", "/", {}, large))
            await until(lambda: reply.buffered > 256 * 1024)
            for _ in range(100):
                await asyncio.sleep(0)
            waiting = reply.buffered
            body = b""
            while part := await connection.read():
                body += part
            return waiting, body

    waiting, body = asyncio.run(scenario())
    assert waiting < 1_000_000
    assert body == large


@pytest.mark.parametrize(
    ("script", "why"),
    [
        pytest.param(saying(), "closed before a reply", id="hangs up at once"),
        pytest.param(saying(OK[:20]), "closed before a reply", id="hangs up within the head"),
        pytest.param(saying(OK[:-1]), "closed within the reply", id="hangs up within the body"),
        pytest.param(saying(b"HELLO\r\n"), "not valid HTTP", id="speaks another language"),
    ],
)
def test_it_is_an_error_when_a_server(script, why):
    with pytest.raises(WireError, match=why):
        asked(script)


def test_a_reply_without_a_length_that_breaks_off_is_not_taken_for_whole():
    async def script(reader, writer):
        await received(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nbo")
        await writer.drain()
        await reader.readexactly(4)
        now = struct.pack("ii", 1, 0)  # lingering for no time: it resets
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        writer.transport.abort()

    async def scenario():
        async with connected(script) as (connection, origin, _):
            await connection.ask("GET", request(origin, "GET", "/", {}) + b"more")
            assert await connection.read() == b"bo"
            await connection.read()

    with pytest.raises(WireError, match="lost"):
        asyncio.run(scenario())


def test_nobody_listens():
    async def scenario():
        await Connection.connect(Origin(False, "127.0.0.1", 9), None)

    with pytest.raises(WireError, match=r"no connection: .*Connect call failed"):
        asyncio.run(scenario())


@pytest.mark.parametrize("host", ["a..b", "x" * 300])
def test_a_host_that_is_not_there(host):
    async def scenario():
        await Connection.connect(Origin(False, host, 80), None)

    with pytest.raises(WireError, match="no connection"):
        asyncio.run(scenario())


# --- more than one request


@pytest.mark.parametrize(
    ("answer", "reusable"),
    [
        pytest.param(OK, True, id="a whole one"),
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), False, id="its last"),
        pytest.param(OK + b"H", False, id="more than one"),
    ],
)
def test_a_connection_can_be_used_again_after(answer, reusable):
    async def scenario():
        async with connected(serving_on(answer, OK)) as (connection, origin, _):
            assert await reply_to(connection, origin) == (200, b"body")
            assert connection.reusable is reusable
            if reusable:
                assert await reply_to(connection, origin, "POST", b"x") == (200, b"body")

    asyncio.run(scenario())


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"], ids=["silently", "loudly"])
def test_connection_that_the_server_closes_between_requests_is_seen_closed(words):
    go = asyncio.Event()

    async def script(reader, writer):
        await received(reader)
        writer.write(OK)
        await writer.drain()
        await go.wait()
        writer.write(words)

    async def scenario():
        async with connected(script) as (connection, origin, _):
            await reply_to(connection, origin)
            assert connection.reusable
            go.set()
            await until(lambda: not connection.reusable)
            with pytest.raises(WireError):
                await reply_to(connection, origin)

    asyncio.run(scenario())


def test_a_request_is_never_repeated_on_a_connection_that_closes_meanwhile():
    heads = []

    async def script(reader, writer):
        heads.append(await received(reader))
        writer.write(OK)
        await writer.drain()
        heads.append(await received(reader))

    async def scenario():
        async with connected(script) as (connection, origin, accepted):
            await reply_to(connection, origin)
            with pytest.raises(WireError, match="closed before a reply"):
                await reply_to(connection, origin)
            return len(accepted)

    assert (asyncio.run(scenario()), len(heads)) == (1, 2)


# --- time


def test_silence_within_a_reply_is_noticed_and_nothing_in_time_is_lost():
    async def script(reader, writer):
        await received(reader)
        writer.write(OK[:-2])
        await reader.read()

    async def scenario():
        async with connected(script) as (connection, origin, _):
            await connection.ask("GET", request(origin, "GET", "/", {}))
            first = await connection.read(silence=10)
            with pytest.raises(TimeoutError):
                await connection.read(silence=0.05)
            return first

    assert asyncio.run(scenario()) == b"bo"


@pytest.mark.parametrize("by_tls", [False, True], ids=["in the clear", "by TLS"])
def test_whoever_waits_can_leave_and_the_connection_is_gone(by_tls):
    gone, began = asyncio.Event(), asyncio.Event()

    async def script(reader, _writer):
        await received(reader)
        began.set()
        try:
            await reader.read()
        finally:
            gone.set()

    async def scenario():
        trust, verify = contexts() if by_tls else (None, None)
        async with serving(script, trust) as (origin, _):

            async def ask():
                async with await Connection.connect(origin, verify) as connection:
                    await reply_to(connection, origin)

            asking = asyncio.create_task(ask())
            await began.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await gone.wait()

    asyncio.run(asyncio.wait_for(scenario(), 10))


# --- TLS


def contexts(name="127.0.0.1"):
    """Return what a server shows and what a client trusts."""
    authority = trustme.CA()
    trust, verify = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(name).configure_cert(trust)
    authority.configure_trust(verify)
    return trust, verify


def test_by_tls_it_is_the_same():
    trust, verify = contexts()
    assert asked(serving_on(OK), trust=trust, verify=verify) == (200, b"body")


@pytest.mark.parametrize(
    ("trust", "verify"),
    [
        pytest.param(contexts()[0], contexts()[1], id="of another authority"),
        pytest.param(*contexts("other.example"), id="of another name"),
    ],
)
def test_a_certificate_is_refused(trust, verify):
    with pytest.raises(WireError, match=r"no connection: .*certificate verify failed"):
        asked(serving_on(OK), trust=trust, verify=verify)


def test_a_server_without_tls_is_no_server_with_it():
    async def script(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def scenario():
        async with serving(script) as (origin, _):
            await Connection.connect(Origin(True, origin.host, origin.port), contexts()[1])

    with pytest.raises(WireError, match="no connection"):
        asyncio.run(asyncio.wait_for(scenario(), 10))
