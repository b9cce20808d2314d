"""The plan `5gdrones` with real engines, a real sidecar and the dummy partners.

TABLE is the reference's list of activities; the rest is checked against what a good flight has asked for.
"""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from tests.cluster.conftest import fresh_namespace
from tests.cluster.partners_harness import Airfield, Entry, Flight, airfield, record, shape
from tests.cluster.rest_harness import KEY, sidecar

from devcluster.cluster.cluster import Cluster

TRIAL, TOKEN, SLICE = "/trial/the-id/", {"Authorization": "TOKEN"}, "/sliceDeployment"
READ = ("GET", TRIAL, {}, None)


def put(status: str) -> tuple[Any, ...]:
    return ("PUT", TRIAL, {}, {"status": status})


def callback(name: str) -> dict[str, str]:
    return {"callback_url": f"URL/lcm/trial/the-id/callback/{name}"}


def vnf(path: str, name: str) -> tuple[Any, ...]:
    return ("POST", f"/vnf/{path}", {"trialID": "the-id"} | callback(name), TOKEN)


def mark(what: str, marking: str) -> tuple[Any, ...]:
    body = {"TrialID": what, "MarkingID": what, "Timestamp": "NOW", "Marking": marking}
    return ("POST", "/markKPIData", {}, body)


JOB = {
    "auth": {"host": "meter", "port": "8086", "username": "me", "password": "sesame"},
    "interval": "7",
    "kpis": [{"name": "latency"}],
    "ns": "slice-the-id",
}
NST = {"qos": [1, 2.5], "shared": False, "owner": None}
FLIGHTS = record("any")["flights"]
# State, request, and the status that is expected, row by row.
TABLE = [
    ("GetCallbackToken", ("POST", "/lcm/token/the-id", {}, None), 200),
    ("GetTrialInfo", READ, 200),
    ("SliceDeployment", READ, 200),
    (
        "SliceDeployment",
        (
            "POST",
            SLICE,
            callback("slice"),
            {"trialID": "the-id", "NST": {"nst": NST}, "facility": "eurecom"} | TOKEN,
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
        (
            "POST",
            "/tap",
            {},
            {"trialID": "the-id", "name": "Survey", "facility": "eurecom", "target": "dummy"},
        ),
        200,
    ),
    ("EnforceUavPlan", READ, 200),
    (
        "EnforceUavPlan",
        ("POST", "/flightplan", {}, {"trialID": "the-id", "flight_plan": {"flights": FLIGHTS}}),
        201,
    ),
    ("UpdateUavPlanStatus", put("ACTIVATING_2"), 204),
    ("CreateMeasurementJob", READ, 200),
    (
        "CreateMeasurementJob",
        (
            "POST",
            "/measurementjobs",
            {},
            {"trialID": "the-id", "facility": "eurecom", "measurement_job": JOB},
        ),
        201,
    ),
    ("SendKpiIdle", mark("the-id", "Idle"), 200),
    ("SendKpiIdle", mark("slice-the-id", "Idle"), 200),
    ("UpdateStatusIdle", put("IDLE"), 204),
    ("SendKpiActive", mark("the-id", "Active"), 200),
    ("SendKpiActive", mark("slice-the-id", "Active"), 200),
    ("UpdateStatusActive", put("ACTIVE"), 204),
    ("UpdateStatusStopping", put("STOPPING"), 204),
    ("SendKpiFinish", mark("the-id", "Finished"), 200),
    ("SendKpiFinish", mark("slice-the-id", "Finished"), 200),
    (
        "DeleteMeasurementJob",
        ("DELETE", "/measurementjobs/job-the-id", {}, {"trialID": "the-id", "facility": "eurecom"}),
        204,
    ),
    ("CloseService", ("DELETE", f"{SLICE}/the-id", callback("slice"), TOKEN), 200),
    ("UpdateStatusFinish", put("FINISHED"), 204),
    ("RemoveCallbackToken", ("DELETE", "/lcm/token/the-id", {}, None), 200),
]
MEASUREMENT = {
    "measurementHost": "meter",
    "measurementPort": "8086",
    "measurementUsername": "me",
    "measurementPassword": "sesame",
    "measurementInterval": "7",
}
FULL = {"vnf": "true", **MEASUREMENT}
FLIGHTS_AT_ONCE = 6
MARKS_AT_THE_END = [mark("the-id", "Finished"), mark("slice-the-id", "Finished")]
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


def test_a_key_precedes_all_other_credentials(field: Airfield):
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


@pytest.mark.timeout(600)
def test_whatever_fails_a_restored_flight_resumes_and_repeats_nothing(field: Airfield, good: list[Entry]):
    """Each request of a good flight fails in one of some flights, and the next of that flight later on."""
    last = len(good) - 1  # its failure is only logged
    flights = [field.flight(f"fails-{number}", **FULL) for number in range(FLIGHTS_AT_ONCE)]
    places = {flight.id: list(range(n, last, FLIGHTS_AT_ONCE)) for n, flight in enumerate(flights)}
    for flight in flights:
        flight.fail_at(good, places[flight.id][0])

    def stopped(flight: Flight) -> None:
        done = len(flight.stops)
        if done < len(places[flight.id]):
            before, place = places[flight.id][done - 1 : done + 1]
            flight.fail_at(good, place, since=before)

    field.land(*flights, stopped=stopped)

    expected = [row for row in rows(good) if row[0] != TABLE[0][1]]
    for flight in flights:
        assert flight.stops == [TABLE[place][0] for place in places[flight.id]]
        asked = flight.requests()
        done = [entry for entry in asked if entry["status"] < 500]
        assert [row for row in rows(done) if row[0] not in (TABLE[0][1], put("FAILED"))] == expected
        keys = [entry["headers"]["Idempotency-Key"] for entry in done]
        assert len(set(keys)) == len(keys)
        failed = [number for number, entry in enumerate(asked) if entry["status"] == 500]
        assert [shape(asked[number]) for number in failed] == [shape(good[n]) for n in places[flight.id]]
        for number in failed:
            assert asked[number]["headers"]["Idempotency-Key"] in keys
            assert rows(asked)[number + 1] == (put("FAILED"), 204)


def test_a_callback_token_that_is_not_removed_is_only_logged(field: Airfield, good: list[Entry]):
    flight = field.flight("keeps-token", **FULL)
    flight.fail_at(good, len(good) - 1)
    field.land(flight)

    assert [status for _, status in rows(flight.requests())[-2:]] == [500, 200]
    assert "FAILED" not in flight.reported()


def test_finish_before_there_is_a_slice_leaves_out_what_has_nothing_to_undo(
    field: Airfield, good: list[Entry]
):
    flight = field.flight("finishes-at-once", **FULL)
    flight.fail_at(good, 1, kind="slow", seconds=600)
    field.wait(lambda: len(flight.requests()) == 2)
    flight.send("finish")
    field.land(flight)

    assert [shape(entry) for entry in flight.requests()[2:]] == [
        put("STOPPING"),
        put("FINISHED"),
        TABLE[-1][1],
    ]


def test_finish_while_the_slice_is_asked_for_closes_what_may_have_come_of_it(
    field: Airfield, good: list[Entry]
):
    flight = field.flight("finishes-early", **FULL)
    flight.fail_at(good, 3, kind="slow", seconds=600)
    field.wait(lambda: len(flight.requests()) == 4)
    flight.send("finish")
    field.land(flight)

    assert rows(flight.requests()[4:]) == [
        (put("STOPPING"), 204),
        (TABLE[-3][1], 404),
        (put("FINISHED"), 204),
        (TABLE[-1][1], 200),
    ]


def test_finish_while_the_slice_is_made_closes_it(field: Airfield):
    flight = field.flight("finishes-in-a-wait", **FULL)
    back = f"/lcm/trial/{flight.id}/callback/slice"
    flight.partners.fail(kind="status", status=503, path=back)
    field.wait(lambda: flight.status() == "Status: Waiting State: Waiting" and len(flight.requests()) == 4)
    flight.send("finish")
    field.wait(lambda: shape(flight.requests()[-1]) == TABLE[-3][1])
    flight.partners.fail_no_more()
    field.land(flight)

    asked = [shape(entry) for entry in flight.requests()]
    assert asked[4:] == [put("STOPPING"), *MARKS_AT_THE_END, *(row[1] for row in TABLE[-3:])]


def test_finish_before_the_measurement_job_deletes_none(field: Airfield, good: list[Entry]):
    flight = field.flight("finishes-unmeasured", **MEASUREMENT)
    flight.fail_at(good, 13, kind="slow", seconds=600)
    field.wait(lambda: flight.reported()[-1:] == ["ACTIVATING_2"] and shape(flight.requests()[-1]) == READ)
    flight.send("finish")
    field.land(flight)

    asked = [shape(entry) for entry in flight.requests()]
    assert asked[-6:] == [put("STOPPING"), *MARKS_AT_THE_END, *(row[1] for row in TABLE[-3:])]


def test_finish_before_active_undoes_all(field: Airfield):
    flight = field.flight("finishes-idle", **MEASUREMENT)
    field.wait(lambda: flight.reported()[-1:] == ["IDLE"] and "Waiting" in flight.status())
    flight.send("finish")
    field.land(flight)

    asked = [shape(entry) for entry in flight.requests()]
    assert asked == [row[1] for row in SHORT if "Active" not in row[0]]


def test_a_flight_that_is_removed_halfway_gives_back_all_that_it_holds(field: Airfield):
    flight = field.flight("removed", **MEASUREMENT)
    field.wait(lambda: flight.reported()[-1:] == ["IDLE"] and "Waiting" in flight.status())

    assert field.lcm.call("DELETE", f"/debug/engine/{flight.id}").status == 200

    asked = [shape(entry) for entry in flight.requests()]
    assert asked[-3:] == [TABLE[-4][1], TABLE[-3][1], TABLE[-1][1]]
    assert {entry["status"] for entry in flight.requests()} <= {200, 201, 204}


@pytest.mark.parametrize(
    ("name", "known", "state"),
    [
        pytest.param("draft", {"status": "DRAFT"}, "SliceDeployment", id="a trial that is not approved"),
        pytest.param("old", {"status": "FAILED"}, "SliceDeployment", id="a trial that has failed before"),
        pytest.param("lost", {"facility": "MARS"}, "GetTrialInfo", id="an unknown facility"),
        pytest.param("odd", {"nst": "not a literal"}, "SliceDeployment", id="no Python literal"),
    ],
)
def test_what_may_not_fly_does_not_fly_after_a_restore_either(
    field: Airfield, name: str, known: dict[str, Any], state: str
):
    flight = field.flight(name, known=known)
    field.wait(flight.has_stopped)
    field.annotate(flight.trial, restore="again")
    field.wait(flight.has_stopped)

    assert flight.stops == [state, state]
    assert SLICE not in [entry["path"] for entry in flight.requests()]
    assert flight.reported() == ["FAILED", "FAILED"]
