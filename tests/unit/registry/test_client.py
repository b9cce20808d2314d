"""The registry's client against a server on loopback that behaves as registries do on a bad day."""

import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime

import pytest
import trustme
from pytest_mock import MockerFixture

from lcm_operator.registry.client import RegistryClient
from lcm_operator.registry.connection import Connection
from lcm_operator.registry.errors import (
    BadConnectionError,
    BadReplyError,
    BadStatusError,
    RegistryError,
    UnreachableError,
)

NINE = datetime(2031, 1, 1, 9, tzinfo=UTC)
Behaviour = Callable[[socket.socket], object]


class Server:
    """A server that reads a request's head and then does what the test wants with the connection."""

    def __init__(
        self, behave: Behaviour, trust: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.heads: list[bytes] = []
        self._behave, self._trust = behave, trust
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError, ssl.SSLError):
                if self._trust:
                    connection = self._trust.wrap_socket(connection, server_side=True)
                with connection:
                    head = b""
                    while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
                        head += more
                    self.heads.append(head)
                    self._behave(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@contextmanager
def server(
    behave: Behaviour, trust: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[Server]:
    running = Server(behave, trust, host)
    try:
        yield running
    finally:
        running.close()


def says(content: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> Behaviour:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(content) if length is None else length}", *headers)
    head = "\r\n".join((*lines, "Connection: close", "", "")).encode()
    return lambda connection: connection.sendall(head + content)


def trickles(content: bytes, pause: float = 0.05) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        for _ in range(10_000):
            connection.sendall(content)
            time.sleep(pause)

    return behave


@contextmanager
def nobody() -> Iterator[socket.socket]:
    """Keep a port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken


def asks(running: Server, *, seconds: float = 20, path: str = "", **connection) -> RegistryClient:
    url = f"{connection.pop('scheme', 'http')}://127.0.0.1:{running.port}{path}"
    return RegistryClient(Connection(url, **connection), seconds)


def test_a_list_is_read():
    trials = [
        {"id": "a", "start_time": "2031-01-01T10:00:00+01:00", "more": [1]},
        {"id": 7, "start_time": "2031-01-01T09:00:00Z"},
    ]
    with server(says(json.dumps(trials).encode())) as running:
        listing = asks(running).list_trials()

    assert [(entry.id, entry.start_time) for entry in listing.entries] == [("a", NINE), ("7", NINE)]
    assert (listing.total, listing.bad) == (2, 0)
    assert running.heads[0].startswith(b"GET /trial/ HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("trial_id", "segment"),
    [
        pytest.param("a/b", b"a%2Fb", id="a slash"),
        pytest.param("..", b"%2E%2E", id="dots"),
        pytest.param("ü 1", b"%C3%BC%201", id="an umlaut and a space"),
    ],
)
def test_an_id_is_one_segment_of_the_path(trial_id: str, segment: bytes):
    with server(says(b'{"start_time": "2031-01-01T09:00:00Z"}')) as running:
        entry = asks(running, path="/api/").trial(trial_id)

    assert (entry.id, entry.start_time) == (trial_id, NINE)
    assert running.heads[0].startswith(b"GET /api/trial/" + segment + b"/ HTTP/1.1\r\n")


def test_basic_authentication_is_sent_and_is_never_shown():
    with server(says(b"no", "401 Unauthorized")) as running:
        client = asks(running, user="apikey", password="sesame")
        with pytest.raises(BadStatusError) as caught:
            client.list_trials()

    assert b"Authorization: Basic YXBpa2V5OnNlc2FtZQ==\r\n" in running.heads[0]
    assert str(caught.value) == "Trial registry responded with: b'no'."
    assert "sesame" not in repr(client._connection)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("86400", 30.0), ("soon", None), ("Tue, 24 Nov 2026 10:00:00 GMT", None)],
)
def test_a_refusal_says_when_to_ask_again(header: str, seconds: float | None):
    busy = says(b"later", "503 Busy", f"Retry-After: {header}")
    with server(busy) as running, pytest.raises(BadStatusError) as caught:
        asks(running).list_trials()

    assert caught.value.retry_after == seconds


def test_a_long_refusal_is_cut():
    with server(says(b"x" * 5000, "500 Oops")) as running, pytest.raises(BadStatusError) as caught:
        asks(running).list_trials()

    assert str(caught.value) == f"Trial registry responded with: {b'x' * 512!r}."


def test_a_refusal_that_breaks_off_is_reported_as_far_as_it_came():
    with server(says(b"half", "500 Oops", length=500)) as running, pytest.raises(BadStatusError) as caught:
        asks(running).list_trials()

    assert str(caught.value) == "Trial registry responded with: b'half'."


@pytest.mark.parametrize(
    "repeated",
    [
        pytest.param(b"who is open sesame?", id="the password"),
        pytest.param(b"who is YXBpa2V5Om9wZW4gc2VzYW1l?", id="the header"),
        pytest.param(b"." * 505 + b"open sesame?", id="where it is cut"),
    ],
)
def test_credentials_that_a_refusal_repeats_are_not_shown(repeated: bytes):
    with server(says(repeated, "401 Unauthorized")) as running, pytest.raises(BadStatusError) as caught:
        asks(running, user="apikey", password="open sesame").list_trials()

    assert "***" in str(caught.value)
    assert "ses" not in str(caught.value)
    assert "YXB" not in str(caught.value)


BAD_REPLIES = {
    "HTML": (says(b"<html>"), "it is not JSON"),
    "half a list": (says(b'[{"id": "a"'), "it is not JSON"),
    "a list that breaks off": (says(b'[{"id": "a"', length=500), "it is incomplete"),
    "an object": (says(b'{"trials": []}'), "it is not a list of trials"),
    "null": (says(b"null"), "it is not a list of trials"),
    "a list without end in depth": (says(b"[" * 100_000), "it is not JSON"),
    "what is packed": (
        says(gzip.compress(b" " * 10_000_000), "200 OK", "Content-Encoding: gzip"),
        "it is compressed",
    ),
    "over 32 MiB": (says(b" " * (33 * 1024 * 1024)), "it is larger than 32 MiB"),
}


@pytest.mark.parametrize(("behave", "why"), BAD_REPLIES.values(), ids=BAD_REPLIES.keys())
def test_a_reply_that_is_no_list_is_an_error(behave: Behaviour, why: str):
    with server(behave) as running, pytest.raises(BadReplyError) as caught:
        asks(running).list_trials()

    assert str(caught.value).startswith(f"Failed to parse reply from Trial registry: {why}")


def test_no_redirect_is_followed():
    with server(says(b"", "302 Found", "Location: /trial/")) as running, pytest.raises(BadStatusError):
        asks(running).list_trials()

    assert len(running.heads) == 1


def test_headers_without_end_are_an_error():
    with server(says(b"[]", "200 OK", "X: " + "x" * 100_000)) as running, pytest.raises(UnreachableError):
        asks(running).list_trials()


def hangs(connection: socket.socket) -> None:
    connection.recv(1)


TRICKLES = {
    "no word": hangs,
    "headers byte by byte": trickles(b"H"),
    "headers line by line": trickles(b"HTTP/1.1 200 OK\r\nX: y\r\n", pause=0.3),
    "a body byte by byte": lambda c: (
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"),
        trickles(b" ")(c),
    ),
    "a body without end": lambda c: (
        c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        trickles(b"1\r\n \r\n", pause=0.001)(c),
    ),
    "a refusal byte by byte": lambda c: (
        c.sendall(b"HTTP/1.1 500 X\r\nContent-Length: 99999\r\n\r\n"),
        trickles(b" ")(c),
    ),
}


@pytest.mark.parametrize("behave", TRICKLES.values(), ids=TRICKLES.keys())
def test_a_registry_that_trickles_is_given_up_at_the_deadline(behave: Behaviour):
    with server(behave) as running, pytest.raises(UnreachableError) as caught:
        asks(running, seconds=0.5).list_trials()

    url = f"http://127.0.0.1:{running.port}/trial/"
    assert str(caught.value) == f"Failed to connect to Trial registry at: {url}: no reply within 0.5 s"


def test_a_handshake_that_hangs_is_given_up_at_the_deadline():
    with server(hangs) as running, pytest.raises(UnreachableError, match=r"no reply within 0\.5 s"):
        asks(running, seconds=0.5, scheme="https").list_trials()


def test_many_addresses_that_take_no_connection_have_one_deadline(mocker: MockerFixture):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        waiting.enter_context(socket.create_connection(full.getsockname()))  # the queue holds no more
        addresses = socket.getaddrinfo(*full.getsockname(), type=socket.SOCK_STREAM) * 100
        mocker.patch.object(socket, "getaddrinfo", return_value=addresses)
        client = RegistryClient(Connection("http://registry.example"), 0.5)
        begun = time.monotonic()
        with pytest.raises(UnreachableError, match=r"no reply within 0\.5 s"):
            client.list_trials()

    assert time.monotonic() - begun < 25  # one after the other would take 50 s


def test_a_host_is_tried_at_each_address(mocker: MockerFixture):
    with nobody() as down, server(says(b"[]")) as running:
        places = (down.getsockname(), ("127.0.0.1", running.port))
        found = [socket.getaddrinfo(*place, type=socket.SOCK_STREAM)[0] for place in places]
        mocker.patch.object(socket, "getaddrinfo", return_value=found)
        listing = RegistryClient(Connection("http://registry.example")).list_trials()

    assert listing.total == 0


def test_a_registry_that_is_down():
    with nobody() as down:
        url = "http://{}:{}".format(*down.getsockname())
        with pytest.raises(UnreachableError) as caught:
            RegistryClient(Connection(url)).list_trials()

    assert str(caught.value) == f"Failed to connect to Trial registry at: {url}/trial/: Connection refused"


def test_https_is_verified_by_the_bundle_alone():
    ours, foreign = trustme.CA(), trustme.CA()
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.issue_cert("127.0.0.1").configure_cert(trust)
    bundles = {"ours": ours.cert_pem.bytes().decode(), "foreign": foreign.cert_pem.bytes().decode()}
    with server(says(b"[]"), trust) as running:
        assert asks(running, scheme="https", authorities=bundles["ours"]).list_trials().total == 0
        for authorities in (bundles["foreign"], None):
            with pytest.raises(UnreachableError, match="certificate verify failed"):
                asks(running, scheme="https", authorities=authorities).list_trials()


def test_a_bundle_may_have_comments_in_any_language():
    authorities = "# Főtanúsítvány\n" + trustme.CA().cert_pem.bytes().decode()
    with nobody() as down:
        url = "https://{}:{}".format(*down.getsockname())
        with pytest.raises(UnreachableError, match=r"Connection refused$"):
            RegistryClient(Connection(url, authorities=authorities)).list_trials()


@pytest.mark.parametrize("authorities", ["", "nonsense", "ü"])
def test_a_bundle_that_is_none_is_reported(authorities: str):
    with pytest.raises(BadConnectionError, match="caBundle"):
        RegistryClient(Connection("https://127.0.0.1:1", authorities=authorities)).list_trials()


def test_every_error_has_a_reason_for_a_condition():
    reasons = {kind.reason for kind in RegistryError.__subclasses__()}

    assert len(reasons) == len(RegistryError.__subclasses__())


def test_a_registry_at_an_ipv6_address_is_reached():
    with server(says(b"[]"), host="::1") as running:
        assert RegistryClient(Connection(f"http://[::1]:{running.port}"), 20).list_trials().total == 0
    assert f"Host: [::1]:{running.port}\r\n".encode() in running.heads[0]


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_interim_replies_are_skipped(interim: str):
    early = f"HTTP/1.1 {interim}\r\nLink: </style.css>\r\n\r\n".encode()

    def behave(connection: socket.socket) -> None:
        connection.sendall(2 * early)
        says(b"[]")(connection)

    with server(behave) as running:
        assert asks(running).list_trials().total == 0


def test_endless_interim_replies_are_an_error():
    with (
        server(lambda connection: connection.sendall(1000 * b"HTTP/1.1 103 Early\r\n\r\n")) as running,
        pytest.raises(UnreachableError, match="interim replies"),
    ):
        asks(running).list_trials()


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ((), r"Trial registry responded with status 301 and no body\.$"),
        (
            ("Location: https://user:hunter2@new.example/api?key=hunter2",),
            r"status 301 and no body \(status 301, to https://new\.example/api; redirects are not followed",
        ),
        (("Location: http://[::1",), r"status 301 and no body \(status 301, to a Location that is no URL"),
    ],
)
def test_a_redirect_without_a_body_says_where_to(headers: tuple[str, ...], why: str):
    with server(says(b"", "301 Moved Permanently", *headers)) as running:
        with pytest.raises(BadStatusError, match=why) as raised:
            asks(running).list_trials()
        assert "hunter2" not in str(raised.value)


def test_the_body_of_a_redirect_is_shown_and_not_read_to_its_end():
    moved = says(b"moved" + b"x" * 5000, "301 Moved Permanently", "Location: /b", length=10**9)

    def waits(connection: socket.socket) -> None:
        moved(connection)
        hangs(connection)

    with server(waits) as running, pytest.raises(BadStatusError, match=r"b'movedx+'") as raised:
        asks(running, seconds=5).list_trials()
    assert "to http://127.0.0.1" in str(raised.value)


def test_a_reply_of_another_protocol_is_named():
    with (
        server(lambda connection: connection.sendall(b"SSH-2.0-x\r\n\r\n")) as running,
        pytest.raises(UnreachableError, match=r"the reply is not HTTP/1\.1$"),
    ):
        asks(running).list_trials()


def test_an_empty_content_encoding_is_none():
    with server(says(b"[]", "200 OK", "Content-Encoding:")) as running:
        assert asks(running).list_trials().total == 0
