"""Every row of the legacy contract, through HTTP and at both levels, with a real operator and node."""

import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_stage import Stage, Trial, TrialEngine, TrialPlan, condition, in_seconds, nap
from tests.cluster.rest_stage import KEY, Registry, Sidecar, TrialRegistry, sidecar

from lcm_operator.local.cluster import Cluster
from lcm_operator.local.waiting import wait_until

LEVELS = ("0.1.1", "1.0.2")
FAR = "2031-07-01T10:00:00+02:00"
TRIGGER = "date[2031-07-01 11:00:00 EEST]"


class Caller(Stage):
    """One namespace with operator, node, a registry and a sidecar, and the words of its level."""

    def __init__(self, cluster: Cluster, namespace: str, rest: Sidecar, registry: Registry, level: str):
        super().__init__(cluster, namespace)
        self.rest, self.registry, self.level = rest, registry, level
        self._given = 0

    def fresh_id(self, prefix: str = "trial") -> str:
        """Return an ID that no other test has."""
        self._given += 1
        return f"{prefix}-{self._given}"

    def scheduled(self) -> str:
        return str(self.rest.status()["scheduled_trials"])

    def engines_shown(self) -> str:
        return str(self.rest.status()["Executor_Engine_instances"])

    def word(self, status: str) -> str:
        return status.capitalize() if self.level == "1.0.2" else status

    def until_engine(self, trial_id: str, status: str) -> None:
        entry = f"{{'ID': {trial_id!r}, 'status': {self.word(status)!r}}}"
        self.wait(lambda: entry in self.engines_shown())


@pytest.fixture(scope="module", params=LEVELS, ids=[f"level {level}" for level in LEVELS])
def caller(
    request: pytest.FixtureRequest, staffed: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Caller]:
    """A namespace with everything in it; tests of a module share it, each with IDs of its own."""
    level, registry = request.param, Registry()
    folder = tmp_path_factory.mktemp("rest")
    with fresh_namespace(staffed) as namespace:
        stage = Stage(staffed, namespace)
        stage.create(TrialPlan, "default", {"activities": [nap()]})
        stage.create(TrialRegistry, "default", {"url": registry.url, "intervalSeconds": 3600})
        settings = {"LCM_API_LEVEL": level, "LCM_TIMEZONE": "Europe/Helsinki"}
        with sidecar(staffed, namespace, folder, **settings) as rest:
            yield Caller(staffed, namespace, rest, registry, level)
    registry.close()


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
}


@pytest.mark.parametrize("start", START_TIMES.values(), ids=START_TIMES.keys())
def test_an_offset_is_honoured(caller: Caller, start: str):
    name = caller.fresh_id("offset")

    assert caller.rest.schedule(name, start).status == 200

    assert f"{{'id': {name!r}, 'trigger': 'date[2031-01-01 10:00:00 EET]'}}" in caller.scheduled()


BAD_TIMES = {
    "no offset": "2031-01-01T10:00:00",
    "an offset of hours only": "2031-01-01T10:00:00+02",
    "fractions": "2031-01-01T10:00:00.5+02:00",
    "a blank for T": "2031-01-01 10:00:00+02:00",
    "lower case": "2031-01-01t10:00:00z",
    "a date that is none": "2031-02-30T10:00:00Z",
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
    "a list for a body": (b"[]", None),
    "a string for a body": (b'"text"', [(["body"], NO_DICT)]),
    "a number for a body": (b"5", [(["body"], NO_DICT)]),
    "true for a body": (b"true", [(["body"], NO_DICT)]),
}


@pytest.mark.parametrize(
    ("body", "faults"),
    [both for both in BODIES.values() if both[1]],
    ids=[k for k, v in BODIES.items() if v[1]],
)
def test_every_fault_of_a_body_is_told_at_once(
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


@pytest.mark.parametrize("route", ["debug", "debud"])
def test_the_whole_life_of_an_engine(caller: Caller, route: str):
    name = caller.fresh_id("life")
    unknown = caller.rest.call("POST", f"/{route}/engine/{name}/restore")
    assert unknown.said == (404, f"Engine instance with trial ID: {name} does not exist.")

    assert caller.rest.schedule(name, in_seconds(0)).status == 200
    caller.until_engine(name, "finished")
    assert f"'id': {name!r}" not in caller.scheduled()
    assert caller.rest.schedule(name, FAR).said == (400, f"Executor Engine with ID: {name} already exists.")
    scheduling = caller.rest.call("DELETE", f"/debug/trial/{name}/schedule")
    assert scheduling.said == (400, f"Trial scheduling with ID: {name} does not exist.")

    restored = caller.rest.call("POST", f"/{route}/engine/{name}/restore")
    assert restored.said == (200, f"Engine instance restored for trial ID: {name}")
    caller.until_engine(name, "finished")
    removed = caller.rest.call("DELETE", f"/debug/engine/{name}")
    assert removed.said == (200, f"Engine instance removed with trial ID: {name}")
    assert repr(name) not in caller.engines_shown()
    assert all(engine.name != name for engine in caller.engines())
    again = caller.rest.call("DELETE", f"/debug/engine/{name}")
    assert again.said == (400, f"Engine instance with trial ID: {name} does not exist.")
    assert caller.rest.schedule(name, FAR).status == 200  # an ID whose engine was removed is free
    assert f"'id': {name!r}" in caller.scheduled()


def test_a_failed_engine_is_shown_and_restored_from_its_checkpoint(caller: Caller):
    name = caller.fresh_id("fails")
    failing = {
        "name": "two",
        "exec": {"command": ["sh", "-c", 'test "$ATTEMPT" = 2'], "env": {"ATTEMPT": "{{ trial.attempt }}"}},
    }
    caller.trial(name, start=in_seconds(0), activities=[nap("one"), failing])
    caller.until_engine(name, "failed")

    restored = caller.rest.call("POST", f"/debug/engine/{name}/restore")

    assert restored.status == 200
    caller.until_engine(name, "finished")
    activities = caller.engine(name).obj["status"]["activities"]
    assert {activity["name"]: activity["run"] for activity in activities} == {"one": 1, "two": 1}


def at_level(caller: Caller, old: str, new: str) -> str:
    return new if caller.level == "1.0.2" else old


def test_a_trial_is_scheduled_by_the_registrys_time(caller: Caller):
    name = caller.fresh_id("registry")
    caller.registry.trials = [{"id": name, "start_time": FAR, "facility": "EUR"}]

    reply = caller.rest.call("POST", f"/debug/trial/{name}/schedule")

    assert reply.said == (200, f"Trial scheduled with trial ID: {name}")
    assert f"{{'id': {name!r}, 'trigger': {TRIGGER!r}}}" in caller.scheduled()
    again = caller.rest.call("POST", f"/debug/trial/{name}/schedule")
    failed = "Failed to retrieve trial start time: "
    assert again.said == (400, f"{failed}Trial scheduling with ID: {name} already exists.")


REGISTRY_FAULTS: dict[str, tuple[tuple[int, bytes], str]] = {
    "it answers 404": (
        (404, b'{"detail":"Not found."}'),
        'Trial registry responded with: b\'{"detail":"Not found."}\'.',
    ),
    "it answers 500": ((500, b"oops"), "Trial registry responded with: b'oops'."),
    "it answers HTML": ((200, b"<html>"), "Failed to parse reply from Trial registry: "),
    "the time lies in the past": (
        (200, b'{"id":"x","start_time":"2021-01-01T00:00:00Z"}'),
        "Trial start time in the past. Skipping scheduling.",
    ),
    "there is no time": ((200, b'{"id":"x"}'), "Failed to parse reply from Trial registry: "),
}


@pytest.mark.parametrize(("answer", "why"), REGISTRY_FAULTS.values(), ids=REGISTRY_FAULTS.keys())
def test_a_registry_that_does_not_tell_the_time(caller: Caller, answer: tuple[int, bytes], why: str):
    name = caller.fresh_id("fault")
    caller.registry.answer[f"/trial/{name}/"] = answer

    status, detail = caller.rest.call("POST", f"/debug/trial/{name}/schedule").said

    assert status == 400
    assert detail.startswith(f"Failed to retrieve trial start time: {why}")


def test_all_trials_of_the_registry_are_scheduled_once(caller: Caller):
    executing, known, first, second, past = (caller.fresh_id("all") for _ in range(5))
    caller.rest.schedule(executing, in_seconds(0))
    caller.until_engine(executing, "finished")
    caller.rest.schedule(known, FAR)
    later = "2031-07-02T10:00:00+02:00"
    caller.registry.trials = [
        {"id": second, "start_time": FAR},
        {"id": first, "start_time": FAR},
        {"id": known, "start_time": later},
        {"id": executing, "start_time": FAR},
        {"id": past, "start_time": "2021-01-01T00:00:00Z"},
        {"id": "bad", "start_time": "soon"},
        "no object",
    ]

    reply = caller.rest.call("POST", "/debug/trial/schedule-all")

    added = [second, first]
    assert reply.said == (
        200,
        at_level(
            caller,
            f"Scheduled trials with ids: {added}",
            f"Trials added to scheduling: {added}. Trials already scheduled: [{known!r}]. "
            f"Trials already executing: [{executing!r}].",
        ),
    )
    shown = caller.scheduled()
    assert shown.index(repr(first)) < shown.index(repr(second))  # by ID, the time being the same
    assert f"{{'id': {known!r}, 'trigger': {TRIGGER!r}}}" in shown  # one scheduled by hand is not moved
    assert past not in shown
    again = caller.rest.call("POST", "/debug/trial/schedule-all").said
    assert again == (
        200,
        at_level(
            caller,
            "Scheduled trials with ids: []",
            f"Trials added to scheduling: []. Trials already scheduled: {[second, first, known]}. "
            f"Trials already executing: [{executing!r}].",
        ),
    )


def test_a_registry_that_can_not_be_read_schedules_nothing(caller: Caller):
    caller.registry.answer["/trial/"] = (500, b"oops")
    try:
        reply = caller.rest.call("POST", "/debug/trial/schedule-all")
    finally:
        del caller.registry.answer["/trial/"]

    failed = "Failed to retrieve trials: Trial registry responded with: b'oops'."
    assert reply.said == (400, failed)


def test_a_registry_with_nothing_ahead(caller: Caller):
    caller.registry.trials = [{"id": "old", "start_time": "2021-01-01T00:00:00Z"}]

    said = caller.rest.call("POST", "/debug/trial/schedule-all").said

    assert said == at_level_pair(
        caller,
        (200, "Scheduled trials with ids: []"),
        (400, "Failed to retrieve trials: No future trials defined in repository. No need to schedule."),
    )


def at_level_pair(caller: Caller, old: tuple[int, str], new: tuple[int, str]) -> tuple[int, str]:
    return new if caller.level == "1.0.2" else old


def test_a_time_that_changed_in_the_registry_moves_the_trial(caller: Caller):
    name = caller.fresh_id("moved")
    caller.registry.trials = [{"id": name, "start_time": FAR}]
    caller.rest.call("POST", f"/debug/trial/{name}/schedule")
    caller.registry.trials = [{"id": name, "start_time": "2031-08-01T10:00:00+02:00"}]

    caller.rest.call("POST", "/debug/trial/schedule-all")

    if caller.level == "1.0.2":
        caller.wait(
            lambda: f"{{'id': {name!r}, 'trigger': 'date[2031-08-01 11:00:00 EEST]'}}" in caller.scheduled()
        )


def test_automatic_scheduling_is_toggled(caller: Caller):
    caller.registry.trials = []
    switch: Callable[[], tuple[int, Any]] = lambda: caller.rest.call("POST", "/trial/scheduling").said  # noqa: E731

    assert switch() == (200, "Automatic scheduling: True")
    if caller.level == "1.0.2":
        assert caller.rest.status()["Automatic_scheduling"] is True
    assert switch() == (200, "Automatic scheduling: False")
    if caller.level == "1.0.2":
        assert caller.rest.status()["Automatic_scheduling"] is False


def test_tokens_are_issued_checked_and_revoked(caller: Caller):
    name, other = caller.fresh_id("token"), caller.fresh_id("token")
    call = caller.rest.call
    token = call("POST", f"/token/{name}").json["Authorization"]

    assert call("GET", f"/token/{name}", key=token).said == (200, "Success")
    assert call("GET", f"/token/{other}", key=token).said == (401, "Unauthorized")
    assert call("GET", f"/token/{name}").said == (401, "Unauthorized")  # the key is no token
    assert call("GET", "/status", key=token).said == (401, "Unauthorized")  # and a token is no key
    assert call("DELETE", f"/token/{name}", key=token).said == (200, "Success")
    assert call("GET", f"/token/{name}", key=token).said == (401, "Unauthorized")


def test_a_token_outlives_the_sidecar(caller: Caller):
    scheduled, unknown = caller.fresh_id("token"), caller.fresh_id("token")
    caller.rest.schedule(scheduled, in_seconds(0))
    caller.until_engine(scheduled, "finished")
    tokens = {
        name: caller.rest.call("POST", f"/token/{name}").json["Authorization"]
        for name in (scheduled, unknown)
    }

    caller.rest.kill()
    caller.rest.start()

    for name, token in tokens.items():
        assert caller.rest.call("GET", f"/token/{name}", key=token).said == (200, "Success")
        assert token not in caller.rest.log


def test_heartbeats_are_counted(caller: Caller):
    name = caller.fresh_id("beat")
    add, call = f"/debug/add-heartbeat?trial_id={name}", caller.rest.call
    gone = (400, f"Heartbeat instance with trial ID: {name} does not exist.")

    assert call("POST", "/debug/add-heartbeat").json["detail"][0]["loc"] == ["query", "trial_id"]
    assert call("DELETE", f"/debug/heartbeat/{name}").said == gone
    assert call("POST", add).said == (200, f"Heartbeat added with trial ID: {name}")
    assert call("POST", add).status == 200
    assert caller.rest.status()["Heartbeat_instances"].count(name) == 2
    for _ in range(2):
        removed = call("DELETE", f"/debug/heartbeat/{name}").said
        assert removed == (200, f"Heartbeat instance removed with trial ID: {name}")
    assert call("DELETE", f"/debug/heartbeat/{name}").said == gone


def test_both_names_of_scheduling_by_time_are_served(caller: Caller):
    name = caller.fresh_id("both")

    reply = caller.rest.call("POST", "/debug/trial/schedule", {"trial_id": name, "start_time": FAR})

    assert reply.said == (200, f"Trial scheduling added with trial ID: {name}")


def test_a_trial_that_is_due_goes_from_one_list_to_the_other_with_nothing_between(caller: Caller):
    name = caller.fresh_id("passes")
    caller.trial(name, start=in_seconds(2), activities=[nap("long", 5)])
    caller.wait(lambda: repr(name) in caller.scheduled())
    seen: list[tuple[bool, bool]] = []

    def passed() -> bool:
        body = caller.rest.status()
        lists = (body["scheduled_trials"], body["Executor_Engine_instances"])
        seen.append((repr(name) in lists[0], repr(name) in lists[1]))
        return seen[-1][1]

    assert wait_until(passed, seconds=60)
    assert set(seen) == {(True, False), (False, True)}


def test_an_engine_that_runs_is_removed(caller: Caller):
    name = caller.fresh_id("long")
    caller.trial(name, start=in_seconds(0), activities=[nap("long", 600)])
    caller.until_engine(name, "active")

    removed = caller.rest.call("DELETE", f"/debug/engine/{name}")

    assert removed.status == 200
    assert not TrialEngine.objects(caller.api, namespace=caller.namespace).get_or_none(name=name)
    assert condition(
        Trial.objects(caller.api, namespace=caller.namespace).get_by_name(name), "Succeeded"
    ) == (
        "False",
        "Cancelled",
    )
