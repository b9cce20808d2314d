"""What a request is, and what becomes of its reply: against a service on loopback."""

import asyncio
import json
from uuid import UUID, uuid5

import pytest
from aiohttp import web
from tests.harness.waiting import until
from tests.unit.engine.performing import RUN, UID, ask, perform, service

from lcm_operator.engine.activities.http import idempotency_key
from lcm_operator.engine.outcome import ActivityFailedError, Performed

KEY = str(uuid5(UUID(UID), f"ask/{RUN}"))


def test_nothing_is_done_before_it_may_be():
    order = []

    async def may_act():
        order.append("may act")

    async def scenario():
        async with service(lambda _: order.append("asked") or web.Response()) as (base, _):
            await perform({"name": "ask", "http": {"url": base}}, may_act=may_act)

    asyncio.run(scenario())
    assert order == ["may act", "asked"]


def test_the_key_of_a_run_is_that_of_the_documentation():
    assert idempotency_key(UID, "ask", 3) == KEY
    assert idempotency_key(UID, "ask", 4) != KEY


def test_a_request_is_sent_as_the_plan_says():
    _, [(request, body)] = ask(
        method="PUT",
        url="{{ parameters.base }}/trial/{{ trial.id }}",
        query={"callback": "http://lcm/{{ trial.id }}", "left-out": "{{ none }}", "empty": ""},
        headers={"X-Name": "{{ trial.id }}", "X-None": "{{ none }}"},
        json={"trialID": "{{ trial.id }}", "n": "{{ 5 }}", "list": [None, True]},
        scope={"trial": {"id": "a b/ü"}},
    )

    assert request.method == "PUT"
    assert request.raw_path == "/trial/a%20b%2F%C3%BC?callback=http%3A%2F%2Flcm%2Fa%20b%2F%C3%BC"
    assert request.query == {"callback": "http://lcm/a b/ü"}
    assert request.headers["X-Name"] == "a b/ü"
    assert "X-None" not in request.headers
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Idempotency-Key"] == KEY
    assert json.loads(body) == {"trialID": "a b/ü", "n": 5, "list": [None, True]}


def test_without_a_body_none_is_sent():
    _, [(request, body)] = ask()

    assert (request.method, body, "Content-Type" in request.headers) == ("GET", b"", False)


def test_a_body_is_text_of_the_type_that_the_plan_gives():
    _, [(request, body)] = ask(
        method="POST", body="<id>{{ 5 }}</id>\n", headers={"content-type": "application/xml"}
    )

    assert request.headers.getall("Content-Type") == ["application/xml"]
    assert body == b"<id>5</id>\n"


def test_what_capture_says_becomes_the_output_with_its_type():
    def answer(_):
        return web.json_response({"Slice": {"id": 5}, "none": None}, status=201, headers={"X-Token": "abc"})

    result, _ = ask(
        answer,
        capture={
            "slice": "{{ response.json.Slice }}",
            "none": "{{ response.json.none }}",
            "status": "{{ response.status }}",
            "token": "{{ response.headers['x-token'] }}",
            "same": "{{ response.headers['X-Token'] }}",
            "text": "got {{ response.text }}",
        },
    )

    assert result.output == {
        "slice": {"id": 5},
        "none": None,
        "status": 201,
        "token": "abc",
        "same": "abc",
        "text": 'got {"Slice": {"id": 5}, "none": null}',
    }
    assert result.seen["response"]["status"] == 201


@pytest.mark.parametrize(
    ("http", "status", "message"),
    [
        pytest.param({}, 204, None, id="any 2xx by default"),
        pytest.param({"expect": {"status": [404]}}, 404, None, id="the one that is expected"),
        pytest.param({}, 500, "GET BASE/x: expected status 2xx, got 500: 500: Internal", id="another"),
        pytest.param(
            {"expect": {"status": [201, 204]}},
            200,
            "GET BASE/x: expected status 201 or 204, got 200: 200: OK",
            id="another 2xx than expected",
        ),
        pytest.param({}, 302, "GET BASE/x: expected status 2xx, got 302: 302: Found", id="a redirect"),
    ],
)
def test_the_status_decides(http, status, message):
    def answer(_):
        text = "" if status == 204 else f"{status}: {'Internal' if status == 500 else ''}"
        text = {200: "200: OK", 302: "302: Found"}.get(status, text)
        return web.Response(status=status, text=text, headers={"Location": "/elsewhere"})

    result, seen = ask(answer, **http)

    assert isinstance(result, Performed) if message is None else result == message
    assert len(seen) == 1


def test_message_shows_512_characters_of_the_reply_and_no_secret():
    result, _ = ask(
        lambda _: web.Response(status=500, text="x" * 9999),
        query={"key": "secret"},
        headers={"Authorization": "secret"},
        body="secret",
    )

    assert result.startswith("GET BASE/x: expected status 2xx, got 500: xxx")
    assert len(result) < 512 + 60
    assert "secret" not in result


def test_a_reply_that_is_no_json_says_so_where_json_is_asked_for():
    result, _ = ask(lambda _: web.Response(text="<html>"), capture={"id": "{{ response.json.id }}"})

    assert result.startswith("the response is not JSON: JSON is malformed: ")
    assert result.endswith(" in `{{ response.json.id }}`")


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        pytest.param(b'"\xe4"', "application/json", '"\ufffd"', id="is not UTF-8"),
        pytest.param(b"[" * 5000, "application/json", "[" * 5000, id="is nested without end"),
        pytest.param(b"a", "text/plain; charset=no-such", "a", id="has a charset that there is not"),
        pytest.param(b"a", "text/plain; charset=hex", "a", id="has a charset that is none"),
        pytest.param(b"\xe4", "text/plain; charset=latin-1", "ä", id="has a charset of its own"),
    ],
)
def test_a_reply_can_be_looked_at_as_text_that(content, kind, text):
    result, _ = ask(
        lambda _: web.Response(body=content, headers={"Content-Type": kind}),
        capture={"text": "{{ response.text }}"},
    )

    assert result.output == {"text": text}


def test_a_reply_nested_deeper_than_64_cannot_be_kept():
    nested = b"[" * 70 + b"]" * 70

    result, _ = ask(lambda _: web.Response(body=nested), capture={"all": "{{ response.json }}"})

    assert result == "the value nests too deeply: `{{ response.json }}`"


def test_a_reply_over_1_mib_counts_as_answered_but_cannot_be_looked_at():
    def answer(_):
        return web.Response(body=b"x" * (1024 * 1024 + 1))

    assert isinstance(ask(answer)[0], Performed)
    assert "over 1048576 bytes" in ask(answer, capture={"all": "{{ response.text }}"})[0]


def test_no_answer_in_time_is_a_failure():
    async def late(_):
        await asyncio.sleep(60)

    result, _ = ask(late, timeoutSeconds=0.2)

    assert result == "GET BASE/x: no answer within 0.2 s"


def test_a_service_that_is_not_there_is_a_failure():
    activity = {"name": "ask", "http": {"url": "http://user:secret@127.0.0.1:9/x?key=secret"}}

    with pytest.raises(ActivityFailedError, match=r"GET http://127.0.0.1:9/x: no connection") as error:
        asyncio.run(perform(activity))
    assert "secret" not in str(error.value)


def test_a_header_that_cannot_be_sent_is_a_failure_that_does_not_show_it():
    result, seen = ask(
        headers={"X-Name": "{{ parameters.bad }}"}, scope={"parameters": {"bad": "secret\r\nX: y"}}
    )

    assert result == "GET BASE/x: the value of header X-Name contains a control character"
    assert seen == []


def test_no_cookie_of_one_request_comes_with_another():
    async def scenario():
        async with service(lambda _: web.Response(headers={"Set-Cookie": "a=b"})) as (base, seen):
            for _ in range(2):
                await perform({"name": "ask", "http": {"url": base}})
            return [request.headers.get("Cookie") for request, _ in seen]

    assert asyncio.run(scenario()) == [None, None]


@pytest.mark.parametrize(
    ("limit", "requests"),
    [pytest.param("{{ 30 }}", 2, id="unknown to others"), pytest.param(30, 1, id="fixed")],
)
def test_request_ends_when_contact_is_lost_unless_others_wait_for_it(limit, requests):
    came, losses = [], []

    async def answer(_):
        came.append(1)
        if len(came) == 1:
            await asyncio.sleep(1.0 if limit == 30 else 60)
        return web.Response()

    async def lost():
        losses.append(1)
        if len(losses) > 1:
            await asyncio.Event().wait()
        await until(lambda: came)

    result, seen = ask(answer, means={"lost": lost}, timeoutSeconds=limit)

    assert isinstance(result, Performed)
    assert len(seen) == requests
    assert len({request.headers["Idempotency-Key"] for request, _ in seen}) == 1


def test_line_ends_of_secrets_are_not_sent():
    scope = {"parameters": {"key": "sesame\n", "user": "ali\r\n"}}
    auth = {"username": "{{ parameters.user }}", "password": "{{ parameters.key }}"}
    _, [(request, _)] = ask(basicAuth=auth, headers={"X-Key": "{{ parameters.key }}"}, scope=scope)

    assert request.headers["Authorization"] == "Basic YWxpOnNlc2FtZQ=="
    assert request.headers["X-Key"] == "sesame"


@pytest.mark.parametrize("field", ["username", "password"])
def test_a_credential_with_a_line_end_within_it_is_not_sent(field):
    auth = {"username": "ali", "password": "sesame"} | {field: "{{ parameters.key }}"}
    result, seen = ask(basicAuth=auth, scope={"parameters": {"key": "ses\name"}})

    assert result.startswith(f"basicAuth.{field} contains a control character")
    assert seen == []
