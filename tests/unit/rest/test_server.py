"""What one client may cost: a slow, greedy or broken one harms nobody."""

import asyncio
import logging

import pytest
from tests.harness.waiting import until
from tests.unit.rest.harness import KEY, Sidecar, read, run

from lcm_operator.rest.http.server import Limits

SOON = 0.3
"""Seconds; the limits that these tests wait for."""
LONG = 30
HEAD = f"Host: localhost\r\nAuthorization: {KEY}\r\n"
SCHEDULE = f"POST /debug/schedule-trial HTTP/1.1\r\n{HEAD}"
STATUS = f"GET /status HTTP/1.1\r\n{HEAD}\r\n".encode()


async def ended(reader):
    """Wait until the server ends the connection; return what it sent before."""
    try:
        return await asyncio.wait_for(reader.read(), LONG)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /status HTTP/1.1\r\nHost: loc", id="half of the headers"),
    ],
)
def test_a_request_that_is_not_complete_in_time_ends_its_connection(tmp_path, sent):
    sidecar = Sidecar(tmp_path, limits=Limits(head_seconds=SOON))

    async def scenario():
        async with sidecar.listening():
            reader, writer = await sidecar.connect()
            writer.write(sent)
            assert await ended(reader) == b""
            writer.close()

    run(scenario())


def test_headers_that_trickle_are_not_waited_for_any_longer(tmp_path):
    sidecar = Sidecar(tmp_path, limits=Limits(head_seconds=SOON))

    async def trickle(writer):
        writer.write(b"GET /status HTTP/1.1\r\n")
        while not writer.is_closing():
            writer.write(b"X: y\r\n")
            await asyncio.sleep(SOON / 10)

    async def scenario():
        async with sidecar.listening():
            reader, writer = await sidecar.connect()
            trickling = asyncio.create_task(trickle(writer))
            assert await ended(reader) == b""
            trickling.cancel()
            writer.close()

    run(scenario())


def test_the_second_request_of_a_connection_has_its_own_time(tmp_path):
    sidecar = Sidecar(tmp_path, limits=Limits(head_seconds=SOON))

    async def scenario():
        async with sidecar.listening():
            reader, writer = await sidecar.connect()
            writer.write(STATUS)
            assert (await read(reader)).status == 200
            writer.write(b"GET /sta")
            assert await ended(reader) == b""
            writer.close()

    run(scenario())


def test_idle_connection_is_kept_for_a_while_and_then_closed(tmp_path):
    sidecar = Sidecar(tmp_path, limits=Limits(head_seconds=LONG, idle_seconds=SOON))

    async def scenario():
        async with sidecar.listening():
            reader, writer = await sidecar.connect()
            for _ in range(2):
                writer.write(STATUS)
                assert (await read(reader)).status == 200
            assert await ended(reader) == b""
            writer.close()

    run(scenario())


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param("Content-Length: 100\r\n\r\n{", id="of a known length"),
        pytest.param("Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", id="in chunks"),
    ],
)
def test_a_body_that_does_not_come_is_given_up(tmp_path, framing):
    sidecar = Sidecar(tmp_path, body_seconds=SOON, limits=Limits(head_seconds=SOON))

    async def scenario():
        async with sidecar.listening():
            answer = await sidecar.send(f"{SCHEDULE}{framing}".encode())
            assert answer.said == (408, "Request Timeout")
            assert answer.headers["Connection"] == "close"

    run(scenario())


def test_an_answer_that_is_not_taken_is_given_up(tmp_path):
    sidecar = Sidecar(tmp_path, limits=Limits(send_seconds=SOON))
    sidecar.padding = "x" * 50_000_000

    async def scenario():
        async with sidecar.listening():
            reader, writer = await sidecar.connect()
            writer.transport.pause_reading()
            writer.write(STATUS)
            await until(lambda: sidecar.observed and not sidecar.server.waiting)
            writer.transport.resume_reading()
            assert len(await ended(reader)) < 50_000_000
            writer.close()

    run(scenario())


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param(b"Content-Length: 70000\r\n\r\n", id="by its length, before it comes"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n", id="in chunks"
        ),
    ],
)
def test_a_body_that_is_too_large_is_refused(tmp_path, framing):
    sidecar = Sidecar(tmp_path, limits=Limits(head_seconds=SOON))
    if b"chunked" in framing:
        head, chunk = framing.split(b"1000\r\n")
        framing = head + (b"1000\r\n" + chunk) * 17

    async def scenario():
        async with sidecar.listening():
            answer = await sidecar.send(SCHEDULE.encode() + framing)
            assert answer.said == (413, "Request Entity Too Large")
            assert answer.headers["Connection"] == "close"

    run(scenario())


def test_a_body_that_just_fits_is_read_also_after_asking_whether_it_may_come(tmp_path):
    sidecar = Sidecar(tmp_path)
    body = b'{"trial_id":"a","start_time":"b"}'.ljust(64 * 1024)

    async def scenario():
        async with sidecar.listening():
            reader, writer = await sidecar.connect()
            writer.write(f"{SCHEDULE}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert (await read(reader)).status == 200
            writer.close()

    run(scenario())


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(b"hello\r\n\r\n", 400, id="no HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="TLS"),
        pytest.param(f"GET /status HTTP/1.1\r\n{HEAD}X\x00: y\r\n\r\n".encode(), 400, id="a broken header"),
        pytest.param(
            f"GET /status HTTP/1.1\r\nAuthorization: {KEY}\x01\r\n\r\n".encode(), 400, id="a broken key"
        ),
        pytest.param(f"GET /{'x' * 9000} HTTP/1.1\r\n{HEAD}\r\n".encode(), 431, id="a path beyond measure"),
        pytest.param(
            f"GET / HTTP/1.1\r\n{HEAD}X: {'y' * 9000}\r\n\r\n".encode(), 431, id="a header beyond measure"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100 + b"\r\n", 400, id="more headers than anybody needs"
        ),
        pytest.param(f"GET http://[::1/x HTTP/1.1\r\n{HEAD}\r\n".encode(), 400, id="an address that is none"),
        pytest.param(
            f"CONNECT evil.example:80 HTTP/1.1\r\n{HEAD}\r\n".encode(), 405, id="asking for a tunnel"
        ),
        pytest.param(f"{SCHEDULE}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode(), 400, id="broken chunks"),
    ],
)
def test_what_is_no_request_is_refused_without_repeating_it(tmp_path, raw, status, caplog):
    caplog.set_level(logging.DEBUG)
    sidecar = Sidecar(tmp_path)

    async def scenario():
        async with sidecar.listening():
            answer = await sidecar.send(raw)
            assert answer.status == status
            assert list(answer.said[1:]) != []
            assert KEY not in answer.body.decode()
            assert (await sidecar.ask("GET", "/status")).status == 200

    run(scenario())
    assert KEY not in caplog.text
    assert "Traceback" not in caplog.text


def test_many_slow_clients_make_room_for_a_quick_one(tmp_path):
    sidecar = Sidecar(tmp_path, limits=Limits(head_seconds=LONG, connections=20))

    async def scenario():
        async with sidecar.listening():
            slow = [await sidecar.connect() for _ in range(60)]
            for _, writer in slow:
                writer.write(b"GET /status HTTP/1.1\r\n")
            assert (await sidecar.ask("GET", "/status")).status == 200
            assert await ended(slow[0][0]) == b""
            assert len(sidecar.server.connections) <= 21
            for _, writer in slow:
                writer.close()

    run(scenario())


def test_a_client_that_is_being_served_is_not_sent_away_for_others(tmp_path):
    sidecar = Sidecar(tmp_path, limits=Limits(connections=2))
    go = asyncio.Event()
    sidecar.service.answers["remove"] = go.wait

    async def scenario():
        async with sidecar.listening():
            served = asyncio.create_task(sidecar.ask("DELETE", "/debug/engine/a"))
            await until(lambda: sidecar.calls)
            others = [await sidecar.connect() for _ in range(10)]
            assert (await sidecar.ask("GET", "/status")).status == 200
            go.set()
            assert (await served).status == 200
            for _, writer in others:
                writer.close()

    run(scenario())


def test_a_request_under_way_is_answered_before_the_server_ends(tmp_path):
    sidecar = Sidecar(tmp_path)
    go = asyncio.Event()
    sidecar.service.answers["remove"] = go.wait

    async def scenario():
        async with sidecar.listening():
            served = asyncio.create_task(sidecar.ask("DELETE", "/debug/engine/a"))
            await until(lambda: sidecar.calls)
            asyncio.get_running_loop().call_later(SOON, go.set)
        assert (await served).status == 200

    run(scenario())
