"""The plan `5gdrones` with real engines, a real sidecar and the dummy partners.

TABLE is the reference's list of activities; the rest is checked against what a good flight has asked for.
"""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_stage import condition
from tests.cluster.partners_stage import Airfield, Entry, Flight, airfield, record, shape
from tests.cluster.rest_stage import KEY, sidecar

from lcm_operator.local.cluster import Cluster
from lcm_operator.local.waiting import wait_until

TRIAL, TOKEN, SLICE = "/trial/ID/", {"Authorization": "TOKEN"}, "/sliceDeployment"
READ = ("GET", TRIAL, {}, None)


def put(status: str) -> tuple[Any, ...]:
    return ("PUT", TRIAL, {}, {"status": status})


def callback(name: str) -> dict[str, str]:
    return {"callback_url": f"URL/lcm/trial/ID/callback/{name}"}


def vnf(path: str, name: str) -> tuple[Any, ...]:
    return ("POST", f"/vnf/{path}", {"trialID": "ID"} | callback(name), TOKEN)


def mark(what: str, marking: str) -> tuple[Any, ...]:
    body = {"TrialID": what, "MarkingID": what, "Timestamp": "NOW", "Marking": marking}
    return ("POST", "/markKPIData", {}, body)


JOB = {
    "auth": {"host": "meter", "port": "8086", "username": "me", "password": "sesame"},
    "interval": "7",
    "kpis": [{"name": "latency"}],
    "ns": "slice-ID",
}
NST = {"qos": [1, 2.5], "shared": False, "owner": None}
FLIGHTS = record("any")["flights"]
# State, request, and the status that is expected, row by row.
TABLE = [
    ("GetCallbackToken", ("POST", "/lcm/token/ID", {}, None), 200),
    ("GetTrialInfo", READ, 200),
    ("SliceDeployment", READ, 200),
    (
        "SliceDeployment",
        (
            "POST",
            SLICE,
            callback("slice"),
            {"trialID": "ID", "NST": {"nst": NST}, "facility": "eurecom"} | TOKEN,
        ),
        201,
    ),
    ("UpdateDeploymentSlice", put("ACTIVATING_1"), 204),
    ("CloudVnfOnboarding", vnf("cloud/boarding", "cloudvnfboarding"), 201),
    ("CloudVnfDeployment", vnf("cloud/deployment", "cloudvnfdeployment"), 201),
    ("EdgeVnfOnboarding", vnf("edge/boarding", "edgevnfonboarding"), 201),
    ("EdgeVnfDeployment", vnf("edge/deployment", "edgevnfdeployment"), 201),
    (
        "Start5GresourceTesting",
        ("POST", "/tap", {}, {"trialID": "ID", "name": "Survey", "facility": "eurecom", "target": "dummy"}),
        200,
    ),
    ("EnforceUavPlan", READ, 200),
    (
        "EnforceUavPlan",
        ("POST", "/flightplan", {}, {"trialID": "ID", "flight_plan": {"flights": FLIGHTS}}),
        201,
    ),
    ("UpdateUavPlanStatus", put("ACTIVATING_2"), 204),
    ("CreateMeasurementJob", READ, 200),
    (
        "CreateMeasurementJob",
        ("POST", "/measurementjobs", {}, {"trialID": "ID", "facility": "eurecom", "measurement_job": JOB}),
        201,
    ),
    ("SendKpiIdle", mark("ID", "Idle"), 200),
    ("SendKpiIdle", mark("slice-ID", "Idle"), 200),
    ("UpdateStatusIdle", put("IDLE"), 204),
    ("SendKpiActive", mark("ID", "Active"), 200),
    ("SendKpiActive", mark("slice-ID", "Active"), 200),
    ("UpdateStatusActive", put("ACTIVE"), 204),
    ("UpdateStatusStopping", put("STOPPING"), 204),
    ("SendKpiFinish", mark("ID", "Finished"), 200),
    ("SendKpiFinish", mark("slice-ID", "Finished"), 200),
    (
        "DeleteMeasurementJob",
        ("DELETE", "/measurementjobs/job-ID", {}, {"trialID": "ID", "facility": "eurecom"}),
        204,
    ),
    ("CloseService", ("DELETE", f"{SLICE}/ID", callback("slice"), TOKEN), 200),
    ("UpdateStatusFinish", put("FINISHED"), 204),
    ("RemoveCallbackToken", ("DELETE", "/lcm/token/ID", {}, None), 200),
]
MEASUREMENT = {
    "measurementHost": "meter",
    "measurementPort": "8086",
    "measurementUsername": "me",
    "measurementPassword": "sesame",
    "measurementInterval": "7",
}
FULL = {"vnf": "true", **MEASUREMENT}
SHORT = [row for row in TABLE if not row[1][1].startswith(("/vnf/", "/tap"))]


@pytest.fixture(scope="module")
def field(staffed: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airfield]:
    folder = tmp_path_factory.mktemp("rest")
    with (
        fresh_namespace(staffed) as namespace,
        sidecar(staffed, namespace, folder) as lcm,
        airfield(staffed, namespace, lcm) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def good(field: Airfield) -> list[Entry]:
    """What a flight asks for to which nothing happens."""
    flight = field.flight("good", **FULL)
    field.land(flight)
    return flight.requests()


def rows(entries: list[Entry]) -> list[tuple[Any, int]]:
    return [(shape(entry), entry["status"]) for entry in entries]


def test_it_does_what_the_table_says_in_its_order(good: list[Entry]):
    assert rows(good) == [(request, status) for _, request, status in TABLE]


def test_every_request_has_a_key_of_its_own(good: list[Entry]):
    keys = [entry["headers"]["Idempotency-Key"] for entry in good]

    assert len(set(keys)) == len(TABLE)


def test_without_credentials_only_the_lcm_is_shown_any(good: list[Entry]):
    shown = {entry["path"]: entry["headers"].get("Authorization") for entry in good}
    token = next(entry["body"]["Authorization"] for entry in good if entry["path"] == SLICE)

    assert good[0]["headers"]["Authorization"].startswith("Bearer ey")
    assert good[-1]["headers"]["Authorization"] == token
    assert {value for path, value in shown.items() if not path.startswith("/lcm/")} == {None}
    bodies = [entry for entry in good if entry["body"] is not None]
    assert {entry["headers"]["Content-Type"] for entry in bodies} == {"application/json"}


def test_without_vnf_it_leaves_their_rows_out(field: Airfield):
    flight = field.flight("short", **MEASUREMENT)
    field.land(flight)

    assert rows(flight.requests()) == [(request, status) for _, request, status in SHORT]


SERVICES = ("registry", "enforcement", "kpi")


def service(entry: Entry) -> str:
    path = entry["path"]
    return "registry" if path == TRIAL else "kpi" if path == "/markKPIData" else "enforcement"


def asked_of_services(flight: Flight) -> list[Entry]:
    return [entry for entry in flight.requests() if not entry["path"].startswith(("/lcm/", "/tokens/"))]


def for_each_service(**values: str) -> dict[str, str]:
    return {f"{name}{key}": value.format(name) for name in SERVICES for key, value in values.items()}


USER = for_each_service(Username="{}-user", Password="pass word")
CLIENT = for_each_service(AuthUrl="URL/tokens/{}", ClientId="{}-id", ClientSecret="s&c=ret/")


def test_a_key_goes_before_all_other_credentials(field: Airfield):
    keys = for_each_service(ApiKey="{}-key") | {"lcmApiKey": KEY}
    flight = field.flight("with-keys", **FULL, **keys, **USER, **CLIENT)
    field.land(flight)

    asked = asked_of_services(flight)
    assert [entry["headers"]["Authorization"] for entry in asked] == [f"{service(e)}-key" for e in asked]
    assert flight.requests()[0]["headers"]["Authorization"] == KEY
    assert len(flight.requests()) == len(TABLE)


def test_user_and_password_go_before_access_tokens(field: Airfield):
    flight = field.flight("with-users", **FULL, **USER, **CLIENT)
    field.land(flight)

    def basic(name: str) -> str:
        return "Basic " + base64.b64encode(f"{name}-user:pass word".encode()).decode()

    asked = asked_of_services(flight)
    assert [entry["headers"]["Authorization"] for entry in asked] == [basic(service(e)) for e in asked]
    assert len(flight.requests()) == len(TABLE)


def test_clients_ask_for_an_access_token_before_each_request(field: Airfield):
    flight = field.flight("with-clients", **FULL, **CLIENT)
    field.land(flight)

    given = 0
    before: Entry | None = None
    for entry in flight.requests():
        if entry["path"].startswith("/tokens/"):
            given += 1
            name = entry["path"].removeprefix("/tokens/")
            assert entry["body"] == (
                f"grant_type=client_credentials&client_id={name}-id&client_secret=s%26c%3Dret%2F"
            )
            assert entry["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
        elif not entry["path"].startswith("/lcm/"):
            assert before is not None
            assert before["path"] == f"/tokens/{service(entry)}"
            assert entry["headers"]["Authorization"] == f"bearer {service(entry)}-access-{given}"
        before = entry
    assert [row for row in rows(flight.requests()) if "/tokens/" not in row[0][1]] == [
        (request, status) for _, request, status in TABLE
    ]


def test_whatever_fails_a_restored_flight_goes_on_there_and_repeats_nothing(
    field: Airfield, good: list[Entry]
):
    places = range(len(good) - 1)  # the last one is only logged
    flights = {place: field.flight(f"fails-at-{place}", start=5, **FULL) for place in places}
    for place, flight in flights.items():
        flight.fail_at(good, place)
    stopped = {}

    def all_failed() -> bool:
        for place, flight in flights.items():
            flight.trial.reload()
            if condition(flight.trial, "Succeeded")[0] == "False":
                stopped.setdefault(place, flight.status())
            elif condition(flight.trial, "Succeeded")[0] == "Unknown":
                flight.push()
        return len(stopped) == len(flights)

    assert wait_until(all_failed, seconds=100), stopped
    assert stopped == {place: f"Status: Stopped State: {TABLE[place][0]}" for place in places}
    field.land(*flights.values())

    expected = [row for row in rows(good) if row[0] != TABLE[0][1]]
    for place, flight in flights.items():
        requests = flight.requests()
        done = [entry for entry in requests if entry["status"] < 500]
        failed = next(entry for entry in requests if entry["status"] == 500)
        keys = [entry["headers"]["Idempotency-Key"] for entry in done]
        assert [row for row in rows(done) if row[0] not in (TABLE[0][1], put("FAILED"))] == expected, place
        assert requests.index(failed) + 1 == rows(requests).index((put("FAILED"), 204)), place
        assert keys.count(failed["headers"]["Idempotency-Key"]) == 1, place
        assert len(set(keys)) == len(keys), place
        assert flight.status() == "Status: Stopped State: Finish"


def test_a_callback_token_that_is_not_removed_is_only_logged(field: Airfield, good: list[Entry]):
    flight = field.flight("keeps-token", **FULL)
    flight.fail_at(good, len(good) - 1)
    field.land(flight)

    assert flight.trial.name == "keeps-token"
    assert [row[1] for row in rows(flight.requests())[-2:]] == [500, 200]
    assert put("FAILED") not in [shape(entry) for entry in flight.requests()]
