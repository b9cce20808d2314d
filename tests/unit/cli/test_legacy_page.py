"""The page of a Lifecycle Manager, and the times on it."""

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lcm_operator.cli.legacy_page import PageError, parse_page
from lcm_operator.cli.legacy_server import LegacyServer, NoAnswerError, ServerError
from lcm_operator.cli.legacy_times import TriggerError, start_of

EIGHT = datetime(2031, 7, 1, 8, tzinfo=UTC)
PAGE = {
    "message": "This is Lifecycle Manager 0.1.1!",
    "Scheduler_status": "Idle",
    "scheduled_trials": "[]",
    "Executor_Engine_instances": "[]",
    "Heartbeat_instances": "[]",
}


@pytest.mark.parametrize(
    "trigger",
    [
        "date[2031-07-01 08:00:00 UTC]",
        "date[2031-07-01 11:00:00 EEST]",
        "date[2031-07-01 10:00:00 CEST]",
        "date[2031-07-01 11:00:00 +03]",
        "date[2031-07-01 13:30:00 +0530]",
        "date[2031-07-01 10:00:00 UTC+02:00]",
        "2031-07-01T08:00:00Z",
        "2031-07-01T10:00:00+02:00",
        "2031-07-01 10:00:00.000+02:00",
    ],
)
def test_a_start_time_with_a_known_zone_is_read(trigger: str):
    assert start_of(trigger, None) == EIGHT


@pytest.mark.parametrize(
    ("trigger", "zone", "start"),
    [
        ("date[2031-07-01 09:00:00 IST]", "Europe/Dublin", EIGHT),
        ("date[2031-07-01 13:30:00 IST]", "Asia/Kolkata", EIGHT),
        ("date[2031-07-01 11:00:00]", "Europe/Helsinki", EIGHT),
        ("date[2031-10-26 03:30:00 EEST]", "Europe/Helsinki", datetime(2031, 10, 26, 0, 30, tzinfo=UTC)),
        ("date[2031-10-26 03:30:00 EET]", "Europe/Helsinki", datetime(2031, 10, 26, 1, 30, tzinfo=UTC)),
    ],
)
def test_the_zone_of_the_server_decides_where_the_page_leaves_it_open(
    trigger: str, zone: str, start: datetime
):
    assert start_of(trigger, ZoneInfo(zone)) == start


@pytest.mark.parametrize(
    ("trigger", "zone", "said"),
    [
        ("date[2031-07-01 09:00:00 IST]", None, "IST is not one known offset; name the server's zone"),
        ("date[2031-07-01 09:00:00]", None, "it has no time zone; name the server's zone"),
        ("date[2031-07-01 11:00:00 EET]", "Europe/Helsinki", "is not EET in Europe/Helsinki"),
        ("date[2031-10-26 03:30:00]", "Europe/Helsinki", "occurs twice in Europe/Helsinki"),
        ("date[2031-03-30 03:30:00]", "Europe/Helsinki", "does not occur in Europe/Helsinki"),
        ("date[2031-02-30 09:00:00 UTC]", None, "has no start time"),
        ("date[2031-07-01 09:00:00 +99]", None, "no offset of a time zone"),
        ("date[0001-01-01 00:00:00 +02]", None, "out of range"),
        ("interval[0:01:00]", None, "has no start time"),
    ],
)
def test_a_start_time_is_never_guessed(trigger: str, zone: str | None, said: str):
    with pytest.raises(TriggerError, match=said.replace("(", r"\(")):
        start_of(trigger, ZoneInfo(zone) if zone else None)


def test_an_entry_that_cannot_be_read_is_not_lost():
    listed = str([{"id": "a", "trigger": "date[x]"}, {"id": ["b"]}, {"id": 7, "trigger": "date[y]"}])
    page = parse_page(PAGE | {"scheduled_trials": listed, "Automatic_scheduling": True})

    assert [one.trial_id for one in page.waiting] == ["a", "7"]
    assert page.unreadable == ("{'id': ['b']}",)
    assert page.automatic


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ([], "no page of a Lifecycle Manager"),
        ({"message": "hello"}, "no page of a Lifecycle Manager"),
        (
            {"message": "This is Lifecycle Manager 0.1.0!", "scheduled_jobs": "[]"},
            "it lacks scheduled_trials",
        ),
        (PAGE | {"scheduled_trials": "[["}, "scheduled_trials is no list in Python's notation"),
        (PAGE | {"scheduled_trials": "[" * 5000}, "scheduled_trials is no list in Python's notation"),
        (PAGE | {"scheduled_trials": "__import__('os')"}, "scheduled_trials is no list in Python's notation"),
        (PAGE | {"scheduled_trials": "{}"}, "scheduled_trials must be a list"),
    ],
)
def test_another_answer_is_no_page(page: Any, said: str):
    with pytest.raises(PageError, match=said):
        parse_page(page)


@pytest.fixture
def replies() -> Iterator[tuple[str, dict[str, Any]]]:
    reply: dict[str, Any] = {"status": 200, "body": b"", "asked": [], "headers": {}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply["asked"].append((self.path, self.headers.get("Authorization")))
            self.send_response(reply["status"])
            for name, value in (reply["headers"] | {"Content-Length": str(len(reply["body"]))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply["body"])

        do_DELETE = do_GET  # noqa: N815 - names of the library

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", reply
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_key_goes_to_the_old_service_bare_and_no_further(replies):
    url, reply = replies
    reply |= {"status": 302, "headers": {"Location": f"{url}/elsewhere"}}

    with pytest.raises(ServerError, match="expected status 200, got 302"):
        LegacyServer(url, "secret").page()

    assert reply["asked"] == [("/status", "secret")]


def test_a_trial_is_removed_by_its_quoted_id(replies):
    url, reply = replies
    reply |= {"body": json.dumps({"message": "removed"}).encode()}
    server = LegacyServer(url + "/")

    assert server.remove("a/b ü") == ""
    assert "by hand" in server.remove("..")
    reply |= {"status": 400, "body": b'{"detail": "does not exist"}'}
    assert server.remove("a") == "the old service answers 400: does not exist"
    assert [path for path, _ in reply["asked"]] == [
        "/debug/trial/a%2Fb%20%C3%BC/schedule",
        "/debug/trial/a/schedule",
    ]


@pytest.mark.parametrize("body", [b"<html>", b"", b"[" * 100_000, b"\xff"])
def test_what_is_not_json_is_shown(replies, body: bytes):
    url, reply = replies
    reply["body"] = body

    with pytest.raises(ServerError, match="expected JSON, got 200"):
        LegacyServer(url).page()


def test_a_service_that_answers_is_not_stopped(replies):
    url, reply = replies
    reply |= {"status": 401, "body": b'{"detail": "Unauthorized"}'}

    with pytest.raises(ServerError, match="is not stopped: it answers 401: Unauthorized"):
        LegacyServer(url).must_be_stopped()
    LegacyServer("http://127.0.0.1:1").must_be_stopped()
    with pytest.raises(NoAnswerError, match="no connection"):
        LegacyServer("http://127.0.0.1:1").page()


def test_https_is_verified_by_the_products_own_rules():
    adapter = LegacyServer("https://lcm")._session.get_adapter("https://lcm")
    context = adapter.poolmanager.connection_pool_kw["ssl_context"]

    assert context.verify_mode == ssl.CERT_REQUIRED
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
