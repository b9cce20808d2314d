"""What happens to a request on its way to a service and back."""

import json
import logging

import pytest
from tests.unit.rest.harness import ENGINE, KEY, READ_KEY, TIME, TOKEN, Sidecar, asked, run

from lcm_operator.api.storage import MalformedError
from lcm_operator.kube.errors import ConflictError, UnavailableError
from lcm_operator.plan.signals import CALLBACKS
from lcm_operator.rest.http.replies import HttpRefusalError
from lcm_operator.rest.services.signals import LARGEST
from lcm_operator.rest.wording import ScheduleAllResult

BODY = json.dumps({"trial_id": "a", "start_time": TIME}).encode()
MISSING = {"msg": "field required", "type": "value_error.missing"}


@pytest.fixture
def sidecar(tmp_path):
    return Sidecar(tmp_path)


@pytest.mark.parametrize(
    ("method", "path", "call", "message"),
    [
        (
            "POST",
            "/debug/trial/a/schedule",
            ("schedule_from_registry", "a"),
            "Trial scheduled with trial ID: a",
        ),
        (
            "DELETE",
            "/debug/trial/a/schedule",
            ("unschedule", "a"),
            "Trial scheduling removed with trial ID: a",
        ),
        ("POST", "/debug/engine/a/restore", ("restore", "a"), "Engine instance restored for trial ID: a"),
        ("POST", "/debud/engine/a/restore", ("restore", "a"), "Engine instance restored for trial ID: a"),
        ("DELETE", "/debug/engine/a", ("remove", "a"), "Engine instance removed with trial ID: a"),
        ("POST", "/trial/a/active", ("active", "a", None), "State change registered"),
        ("POST", "/trial/a/finish", ("finish", "a", None), "State change registered"),
        ("POST", "/debug/add-heartbeat?trial_id=a", ("add", "a"), "Heartbeat added with trial ID: a"),
        ("DELETE", "/debug/heartbeat/a", ("remove", "a"), "Heartbeat instance removed with trial ID: a"),
    ],
)
def test_a_route_calls_its_service_and_words_the_success(sidecar, method, path, call, message):
    answer = asked(sidecar, method, path)

    assert answer.said == (200, message)
    assert sidecar.calls == [call]


@pytest.mark.parametrize("path", ["/debug/schedule-trial", "/debug/trial/schedule"])
def test_scheduling_reads_id_and_time_from_a_body_of_any_content_type(sidecar, path):
    answer = asked(sidecar, "POST", path, BODY, **{"Content-Type": "application/x-www-form-urlencoded"})

    assert answer.said == (200, "Trial scheduling added with trial ID: a")
    assert sidecar.calls == [("schedule", "a", TIME)]


def test_schedule_all_is_worded_by_the_level(sidecar):
    sidecar.service.answers["schedule_all"] = ScheduleAllResult(added=("a", "it's"))

    assert asked(sidecar, "POST", "/debug/trial/schedule-all").said == (
        200,
        """Scheduled trials with ids: ['a', "it's"]""",
    )


@pytest.mark.parametrize("state", [True, False])
def test_automatic_scheduling_is_reported_as_it_is_now(sidecar, state):
    sidecar.service.answers["toggle_automatic"] = state

    assert asked(sidecar, "POST", "/trial/scheduling").said == (200, f"Automatic scheduling: {state}")


def test_the_status_of_a_trial_is_one_line(sidecar):
    sidecar.service.answers["trial_status"] = ("Running", "SendKpiIdle")

    answer = asked(sidecar, "GET", "/trial/a/status", Authorization=READ_KEY)

    assert answer.said == (200, "Status: Running State: SendKpiIdle")


@pytest.mark.parametrize("name", [*CALLBACKS, "airspace-7"])
def test_a_callback_takes_the_token_of_its_trial_and_nothing_else(sidecar, name):
    path = f"/trial/a/callback/{name}"

    assert asked(sidecar, "POST", path).said == (401, "Unauthorized")
    assert asked(sidecar, "POST", path, Authorization="head.body.sign").said == (401, "Unauthorized")
    assert asked(sidecar, "POST", f"/trial/b/callback/{name}", Authorization=TOKEN).status == 401
    assert sidecar.calls == []
    assert asked(sidecar, "POST", path, Authorization=TOKEN).said == (200, "State change registered")
    assert sidecar.calls == [("callback", "a", name, ENGINE)]


CHUNK = b"%x\r\n%s\r\n0\r\n\r\n"


@pytest.mark.parametrize("path", ["/trial/a/active", "/trial/a/finish", "/trial/a/callback/slice"])
@pytest.mark.parametrize(
    ("size", "status"),
    [
        pytest.param(LARGEST, 200, id="of 4 KiB is ignored"),
        pytest.param(LARGEST + 1, 413, id="of more is refused"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["sent at once", "in chunks"])
def test_what_comes_with_a_signal(sidecar, path, size, status, chunked):
    key, body = TOKEN if "callback" in path else KEY, b"x" * size
    headers = {"Transfer-Encoding": "chunked", "Content-Length": ""} if chunked else {}
    sent = CHUNK % (size, body) if chunked else body

    assert asked(sidecar, "POST", path, sent, Authorization=key, **headers).status == status
    assert len(sidecar.calls) == (status == 200)


def test_an_answer_is_compact_json_in_utf_8_and_not_escaped(sidecar):
    answer = asked(sidecar, "DELETE", "/debug/engine/%C3%BCml%20%22%F0%9F%98%80")

    assert answer.body == '{"message":"Engine instance removed with trial ID: üml \\"😀"}'.encode()
    assert answer.headers["Content-Type"] == "application/json"
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("trial_id", ["..", ".", "a/b", "A B", "ü" * 253])
def test_any_id_reaches_the_service_as_it_was_meant(sidecar, trial_id):
    encoded = "".join(f"%{byte:02X}" for byte in trial_id.encode())
    asked(sidecar, "DELETE", f"/debug/engine/{encoded}")

    assert sidecar.calls == [("remove", trial_id)]


def test_a_proxy_may_send_the_whole_address(sidecar):
    assert asked(sidecar, "DELETE", "http://127.0.0.1:5000/debug/engine/a?x=1#y").said[0] == 200
    assert sidecar.calls == [("remove", "a")]


# What comes first


@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}], ids=["with a key", "without a key"])
@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nowhere", (404, "Not Found")),
        ("POST", "/trial/a/callback/No_Label", (404, "Not Found")),
        ("POST", "/status", (405, "Method Not Allowed")),
        ("HEAD", "/debug/engine/a", (405, None)),
        ("OPTIONS", "/debug/engine/a", (405, "Method Not Allowed")),
        ("OPTIONS", "*", (404, "Not Found")),
        ("TRACE", "/status", (405, "Method Not Allowed")),
        ("PUT", "/debug/schedule-trial", (405, "Method Not Allowed")),
    ],
)
def test_path_and_method_are_looked_at_before_anything_else(sidecar, method, path, expected, headers):
    answer = asked(sidecar, method, path, **headers)

    assert answer.status == expected[0]
    assert expected[1] is None or answer.said == expected


def test_a_wrong_method_is_answered_with_the_right_ones(sidecar):
    assert asked(sidecar, "PUT", "/debug/trial/a/schedule").headers["Allow"] == "DELETE, POST"
    assert asked(sidecar, "PUT", "/status").headers["Allow"] == "GET, HEAD"


def test_head_answers_every_get_route_as_get_does_without_a_body(sidecar):
    sidecar.service.answers["trial_status"] = "Running", "Idle"

    async def scenario():
        async with sidecar.listening():
            for route in sidecar.table.routes:
                if route.method != "GET":
                    continue
                path = route.path.replace("{id}", "a")
                credential = {"Authorization": TOKEN if path.startswith("/token/") else KEY}
                got = await sidecar.ask("GET", path, **credential)
                head = await sidecar.ask("HEAD", path, **credential)
                found = (head.status, head.headers["Content-Length"], head.headers["Content-Type"])
                assert found == (got.status, got.headers["Content-Length"], got.headers["Content-Type"]), path
                assert got.status == 200, path

    run(scenario())


def test_head_needs_what_get_needs(sidecar):
    assert asked(sidecar, "HEAD", "/status", Authorization="wrong").status == 401
    assert asked(sidecar, "HEAD", "/status", Authorization=READ_KEY).status == 200
    assert asked(sidecar, "HEAD", "/debug/schedule-trial").status == 405


def test_the_key_is_looked_at_before_the_body(sidecar):
    assert asked(sidecar, "POST", "/debug/schedule-trial", b"{", Authorization="wrong").said == (
        401,
        "Unauthorized",
    )


def test_the_body_is_looked_at_before_its_meaning(sidecar):
    sidecar.service.answers["schedule"] = HttpRefusalError(400, "no")

    assert asked(sidecar, "POST", "/debug/schedule-trial", b"{}").said == (
        422,
        [{"loc": ["body", field]} | MISSING for field in ("trial_id", "start_time")],
    )
    assert asked(sidecar, "POST", "/debug/schedule-trial", BODY).said == (400, "no")


def test_a_refusal_is_answered_as_the_service_words_it(sidecar):
    sidecar.service.answers["restore"] = HttpRefusalError(
        404, "Engine instance with trial ID: a does not exist."
    )

    assert asked(sidecar, "POST", "/debug/engine/a/restore").said == (
        404,
        "Engine instance with trial ID: a does not exist.",
    )


@pytest.mark.parametrize(
    ("path", "loc"),
    [
        pytest.param("/debug/trial//schedule", ["path", "id"], id="an empty ID"),
        pytest.param(f"/debug/trial/{'x' * 254}/schedule", ["path", "id"], id="an ID too long"),
        pytest.param("/debug/trial/a%0A/schedule", ["path", "id"], id="an ID with a control character"),
        pytest.param("/debug/trial/%FF/schedule", ["path", "id"], id="an ID that is not UTF-8"),
        pytest.param("/debug/add-heartbeat", ["query", "trial_id"], id="a query without the ID"),
    ],
)
def test_an_id_that_is_none_is_refused_with_its_place(sidecar, path, loc):
    answer = asked(sidecar, "POST", path)

    assert (answer.said[0], answer.said[1][0]["loc"]) == (422, loc)
    assert sidecar.calls == []


def test_a_body_where_none_is_asked_for_is_ignored_and_so_is_a_query(sidecar):
    async def scenario():
        async with sidecar.listening():
            reader, writer = await sidecar.connect()
            one = f"DELETE /debug/engine/a?x=%FF HTTP/1.1\r\nHost: localhost\r\nAuthorization: {KEY}\r\n"
            writer.write(f"{one}Content-Length: 3\r\n\r\nxyz{one}Connection: close\r\n\r\n".encode())
            answers = await reader.read()
            writer.close()
            return answers.count(b"HTTP/1.1 200 OK")

    assert run(scenario()) == 2


def test_before_everything_has_been_read_nothing_is_answered_but_probes(sidecar):
    sidecar.health.ready = False

    assert asked(sidecar, "GET", "/readyz").status == 503
    assert asked(sidecar, "GET", "/healthz").status == 200
    assert asked(sidecar, "GET", "/status").status == 503
    assert asked(sidecar, "DELETE", "/debug/engine/a").status == 503
    assert asked(sidecar, "GET", "/status", Authorization="wrong").status == 401
    assert sidecar.calls == []


def test_health_names_what_is_wrong(sidecar):
    sidecar.health.faults = ["watch: silent", "loop: late"]

    assert asked(sidecar, "GET", "/healthz").said == (503, "watch: silent; loop: late")


# Faults


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(UnavailableError(0, "Unreachable", "Connection refused"), id="the API server is away"),
        pytest.param(MalformedError("ConfigMap lcm-rest: nonsense"), id="what was read is nonsense"),
    ],
)
def test_trouble_with_kubernetes_is_no_fault_of_the_caller(sidecar, error):
    sidecar.service.answers["remove"] = error

    assert asked(sidecar, "DELETE", "/debug/engine/a").said == (503, f"Kubernetes: {error}")


def test_object_that_others_keep_changing_is_no_fault_of_the_caller(sidecar):
    text = "TrialEngine a is being changed too often. Try again."
    sidecar.service.answers["remove"] = ConflictError(409, "Conflict", text)

    assert asked(sidecar, "DELETE", "/debug/engine/a").said == (503, text)


def test_what_nobody_thought_of_is_reported_without_details_and_logged(sidecar, caplog):
    sidecar.service.answers["remove"] = ZeroDivisionError("secret")

    assert asked(sidecar, "DELETE", "/debug/engine/a").said == (500, "Internal Server Error")
    assert "ZeroDivisionError" in caplog.text


def test_texts_of_others_are_cut_and_escaped(sidecar):
    sidecar.service.answers["remove"] = UnavailableError(0, "Odd", "\x1b[31m\n" + "x" * 1000)

    status, text = asked(sidecar, "DELETE", "/debug/engine/a").said
    assert (status, text[:30]) == (503, "Kubernetes: 0 Odd: \\x1b[31m\\nx")
    assert len(text) < 540


def test_the_log_shows_who_did_what_but_neither_keys_nor_queries(sidecar, caplog):
    caplog.set_level(logging.DEBUG)
    asked(sidecar, "DELETE", f"/debug/engine/a%0a?{KEY}", Cookie=f"Authorization={KEY}")
    asked(sidecar, "DELETE", "/debug/engine/a", Authorization="wrong-key")
    asked(sidecar, "GET", "/token/a", Authorization=TOKEN)

    lines = [record.message for record in caplog.records if record.name == "lcm_operator.rest.http.dispatch"]
    assert "method=DELETE path=/debug/engine/a%0a status=422" in lines[0]
    assert 'caller="key ops"' in lines[0]
    assert "method=DELETE path=/debug/engine/a status=401" in lines[1]
    assert "method=GET path=/token/a status=200" in lines[2]
    assert not [secret for secret in (KEY, "wrong-key", TOKEN) if secret in caplog.text]


def test_every_answer_is_counted_by_the_path_of_the_table(sidecar):
    asked(sidecar, "DELETE", "/debug/engine/a")
    asked(sidecar, "PATCH", "/debug/engine/a")
    asked(sidecar, "GET", "/nowhere")

    assert [seen[:3] for seen in sidecar.observed] == [
        ("/debug/engine/{id}", "DELETE", 200),
        ("", "PATCH", 405),
        ("", "", 404),
    ]
