"""The legacy contract, first half: the wire format, and scheduling by time, at both levels."""

import time
import urllib.parse
from typing import Any

import pytest
from tests.cluster.operator_harness import in_seconds
from tests.cluster.rest_harness import FAR, KEY, TRIGGER, Caller

from devcluster.waiting import wait_until
from lcm_operator.api.storage import rfc3339
from lcm_operator.cli.legacy_page import parse_page
from lcm_operator.cli.legacy_times import start_of


def quoted(trial_id: str) -> str:
    """Return an ID as one segment of a path; dots too, which clients would resolve."""
    return urllib.parse.quote(trial_id, safe="").replace(".", "%2E")


def test_the_status_has_its_keys_in_their_order(caller: Caller):
    reply = caller.rest.call("GET", "/status")

    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert "Access-Control-Allow-Origin" not in reply.headers
    automatic = ["Automatic_scheduling"] if caller.level == "1.0.2" else []
    assert list(reply.json) == [
        "message",
        "Scheduler_status",
        *automatic,
        "scheduled_trials",
        "Executor_Engine_instances",
        "Heartbeat_instances",
    ]
    assert reply.json["message"] == f"This is Lifecycle Manager {caller.level}!"
    assert reply.text.startswith('{"message":"This is')
    assert reply.json["Heartbeat_instances"] == "[]"


def test_a_trial_is_scheduled_shown_and_removed(caller: Caller):
    name = caller.fresh_id()

    assert caller.rest.schedule(name, FAR).said == (
        200,
        f"Trial scheduling added with trial ID: {name}",
    )
    assert f"{{'id': {name!r}, 'trigger': {TRIGGER!r}}}" in caller.scheduled()
    assert caller.rest.status()["Scheduler_status"] == "Scheduled job(s) initiated"
    assert caller.rest.schedule(name, FAR).said == (400, f"Trial scheduling with ID: {name} already exists.")
    removed = caller.rest.call("DELETE", f"/debug/trial/{name}/schedule")
    assert removed.said == (200, f"Trial scheduling removed with trial ID: {name}")
    assert repr(name) not in caller.scheduled()
    again = caller.rest.call("DELETE", f"/debug/trial/{name}/schedule")
    assert again.said == (400, f"Trial scheduling with ID: {name} does not exist.")
    assert caller.rest.schedule(name, FAR).status == 200  # at once: the ID is free
    assert repr(name) in caller.scheduled()


def test_lcm_import_reads_the_status_like_that_of_the_old_service(caller: Caller):
    name = caller.fresh_id("it's ümlaut")
    caller.rest.schedule(name, FAR)

    page = parse_page(caller.rest.status())

    assert page.version == caller.level
    (waiting,) = (one for one in page.waiting if one.trial_id == name)
    assert rfc3339(start_of(waiting.trigger, None)) == "2031-07-01T08:00:00.000000Z"
    assert page.unreadable == ()


IDS = {
    "a space": "Trial 1",
    "a slash": "eurecom/trial",
    "capitals": "TRIAL-caps",
    "the same in small letters": "trial-caps",
    "an umlaut": "ümlaut",
    "253 characters": "x" * 253,
    "two dots": "..",
    "a dot": ".",
    "a quote": "it's",
    "a percent sign": "50%2Fmore",
    "a plus sign": "a+b",
    "a question mark": "what?",
    "an emoji": "drone 🚁",
}


@pytest.mark.parametrize("trial_id", IDS.values(), ids=IDS.keys())
def test_any_id_is_scheduled_shown_and_removed(caller: Caller, trial_id: str):
    assert caller.rest.schedule(trial_id, FAR).status == 200
    assert f"{{'id': {trial_id!r}, " in caller.scheduled()

    removed = caller.rest.call("DELETE", f"/debug/trial/{quoted(trial_id)}/schedule")

    assert removed.said == (200, f"Trial scheduling removed with trial ID: {trial_id}")
    assert f"{{'id': {trial_id!r}, " not in caller.scheduled()


def test_ids_that_differ_only_in_case_live_side_by_side(caller: Caller):
    first, second = "Case Of Letters", "case of letters"

    assert [caller.rest.schedule(name, FAR).status for name in (first, second)] == [200, 200]

    shown = caller.scheduled()
    assert shown.index(repr(first)) < shown.index(repr(second))
    assert {trial.obj["spec"]["trialID"] for trial in caller.trials()} >= {first, second}


START_TIMES = {
    "an offset": "2031-01-01T10:00:00+02:00",
    "an offset without colon": "2031-01-01T10:00:00+0200",
    "Z": "2031-01-01T08:00:00Z",
    "a negative offset": "2031-01-01T03:00:00-05:00",
    "the largest offset in use": "2031-01-01T22:00:00+14:00",
    "the smallest offset in use": "2030-12-31T20:00:00-12:00",
    "a fraction, of which the page shows none": "2031-01-01T10:00:00.5+02:00",
}


@pytest.mark.parametrize("start", START_TIMES.values(), ids=START_TIMES.keys())
def test_an_offset_is_honoured(caller: Caller, start: str):
    name = caller.fresh_id("offset")

    assert caller.rest.schedule(name, start).status == 200

    assert f"{{'id': {name!r}, 'trigger': 'date[2031-01-01 10:00:00 EET]'}}" in caller.scheduled()


BAD_TIMES = {
    "no offset": "2031-01-01T10:00:00",
    "an offset of hours only": "2031-01-01T10:00:00+02",
    "a comma": "2031-01-01T10:00:00,5+02:00",
    "a blank for T": "2031-01-01 10:00:00+02:00",
    "lower case": "2031-01-01t10:00:00z",
    "a date that is none": "2031-02-30T10:00:00Z",
    "an hour that is none": "2031-01-01T24:00:00Z",
    "an offset that is none": "2031-01-01T10:00:00+02:60",
    "a year that no Trial can have": "9999-12-31T23:59:59Z",
    "words": "tomorrow",
    "nothing": "",
    "a year only": "2031",
}


@pytest.mark.parametrize("start", BAD_TIMES.values(), ids=BAD_TIMES.keys())
def test_a_start_time_in_another_form_is_refused(caller: Caller, start: str):
    assert caller.rest.schedule(caller.fresh_id(), start).said == (
        400,
        (
            f"Invalid start time: {start}. Start time must be provided in UTC format: "
            "yyyy-mm-ddThh:mm:ss+zz:00. Example: 2021-02-09T15:12:20+02:00"
        ),
    )


def test_a_start_time_in_the_past_is_refused(caller: Caller):
    refused = caller.rest.schedule(caller.fresh_id(), "2021-02-09T15:12:20+02:00")

    assert refused.said == (400, "Trial start time in the past. Skipping scheduling.")


def test_a_start_time_of_the_second_before_is_taken(caller: Caller):
    # 1.2 to 1.4 s ago, of which cutting the present time to seconds takes away what is over one second
    assert wait_until(lambda: 0.2 <= time.time() % 1 <= 0.4, seconds=10)

    assert caller.rest.schedule(caller.fresh_id("just"), in_seconds(-1)).status == 200


MISSING = {"msg": "field required", "type": "value_error.missing"}
NO_TEXT = {"msg": "str type expected", "type": "type_error.str"}
NULL = {"msg": "none is not an allowed value", "type": "type_error.none.not_allowed"}
NO_DICT = {"msg": "value is not a valid dict", "type": "type_error.dict"}
BODIES: dict[str, tuple[bytes | None, list[tuple[list[Any], dict[str, str]]]]] = {
    "no body": (None, [(["body"], MISSING)]),
    "an empty body": (b"", [(["body"], MISSING)]),
    "null": (b"null", [(["body"], MISSING)]),
    "an empty object": (b"{}", [(["body", "trial_id"], MISSING), (["body", "start_time"], MISSING)]),
    "one field": (b'{"start_time":"x"}', [(["body", "trial_id"], MISSING)]),
    "nulls": (
        b'{"start_time":null,"trial_id":null}',
        [(["body", "trial_id"], NULL), (["body", "start_time"], NULL)],
    ),
    "a list and an object": (
        b'{"trial_id":[],"start_time":{}}',
        [(["body", "trial_id"], NO_TEXT), (["body", "start_time"], NO_TEXT)],
    ),
    "a string for a body": (b'"text"', [(["body"], NO_DICT)]),
    "a number for a body": (b"5", [(["body"], NO_DICT)]),
    "true for a body": (b"true", [(["body"], NO_DICT)]),
}


@pytest.mark.parametrize(("body", "faults"), BODIES.values(), ids=BODIES.keys())
def test_every_fault_of_a_body_is_reported_at_once(
    caller: Caller, body: bytes | None, faults: list[tuple[list[Any], dict[str, str]]]
):
    reply = caller.rest.call("POST", "/debug/schedule-trial", body)

    assert (reply.status, reply.json["detail"]) == (422, [{"loc": loc, **fault} for loc, fault in faults])
    assert list(reply.json["detail"][0]) == ["loc", "msg", "type"]


def test_a_body_that_is_no_json_says_where_it_breaks(caller: Caller):
    reply = caller.rest.call("POST", "/debug/schedule-trial", b'{"trial_id": nonsense}')

    assert reply.status == 422
    (fault,) = reply.json["detail"]
    assert (fault["loc"], fault["type"]) == (["body", 13], "value_error.jsondecode")


def test_a_body_that_is_not_utf_8_is_refused(caller: Caller):
    reply = caller.rest.call("POST", "/debug/schedule-trial", b'{"trial_id": "\xff", "start_time": "x"}')

    assert reply.said == (400, "There was an error parsing the body")


def test_numbers_are_taken_as_their_text(caller: Caller):
    assert caller.rest.schedule(5, FAR).said == (200, "Trial scheduling added with trial ID: 5")
    assert caller.rest.schedule(True, FAR).said == (200, "Trial scheduling added with trial ID: True")


BAD_IDS = {"empty": "", "254 characters": "x" * 254, "a control character": "a\nb"}


@pytest.mark.parametrize("trial_id", BAD_IDS.values(), ids=BAD_IDS.keys())
def test_an_id_that_can_be_none_is_refused_in_body_and_path(caller: Caller, trial_id: str):
    in_body = caller.rest.schedule(trial_id, FAR)
    assert (in_body.status, in_body.json["detail"][0]["loc"]) == (422, ["body", "trial_id"])
    if trial_id:
        in_path = caller.rest.call("DELETE", f"/debug/trial/{quoted(trial_id)}/schedule")
        assert (in_path.status, in_path.json["detail"][0]["loc"]) == (422, ["path", "id"])


def test_routes_that_there_are_not_and_wrong_methods(caller: Caller):
    call = caller.rest.call

    assert call("GET", "/nowhere").said == (404, "Not Found")
    assert call("GET", "/nowhere", key=None).said == (404, "Not Found")
    assert call("GET", "/Status").said == (404, "Not Found")
    assert call("POST", "/status", key="wrong").said == (405, "Method Not Allowed")
    assert call("GET", "/debug/schedule-trial").said == (405, "Method Not Allowed")
    assert call("GET", "/status/").status == 200
    assert call("GET", "/status?what=ever").status == 200


def test_the_key_is_looked_at_before_the_body(caller: Caller):
    reply = caller.rest.call("POST", "/debug/schedule-trial", b"nonsense", key="wrong")

    assert reply.said == (401, "Unauthorized")


KEYS: dict[str, tuple[dict[str, str], int]] = {
    "bare": ({"Authorization": KEY}, 200),
    "as a bearer": ({"Authorization": f"Bearer {KEY}"}, 200),
    "as a cookie": ({"Cookie": f"Authorization={KEY}"}, 200),
    "as a cookie, beside a wrong header": ({"Authorization": "wrong", "Cookie": f"Authorization={KEY}"}, 200),
    "in the header, beside a wrong cookie": ({"Authorization": KEY, "Cookie": "Authorization=wrong"}, 200),
    "wrong": ({"Authorization": "wrong"}, 401),
    "not at all": ({}, 401),
    "empty": ({"Authorization": ""}, 401),
    "not in ASCII": ({"Authorization": "schlüssel"}, 401),
}


@pytest.mark.parametrize(("headers", "status"), KEYS.values(), ids=KEYS.keys())
def test_a_key_is_taken(caller: Caller, headers: dict[str, str], status: int):
    assert caller.rest.call("GET", "/status", key=None, headers=headers).status == status


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/healthz", "/readyz"])
def test_the_description_and_the_probes_need_no_key(caller: Caller, path: str):
    assert caller.rest.call("GET", path, key=None).status == 200


def test_a_foreign_page_changes_nothing(caller: Caller):
    name = caller.fresh_id()
    body = {"trial_id": name, "start_time": FAR}

    foreign = caller.rest.call(
        "POST", "/debug/schedule-trial", body, headers={"Origin": "http://elsewhere.example"}
    )

    assert foreign.status == 403
    assert "Access-Control-Allow-Origin" not in foreign.headers
    assert repr(name) not in caller.scheduled()


def test_both_names_of_scheduling_by_time_are_served(caller: Caller):
    name = caller.fresh_id("both")

    reply = caller.rest.call("POST", "/debug/trial/schedule", {"trial_id": name, "start_time": FAR})

    assert reply.said == (200, f"Trial scheduling added with trial ID: {name}")
