"""The dummy partner services, asked as a trial asks them: what they answer, note, report and repeat."""

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import requests
from aiohttp import ClientSession, ServerDisconnectedError, web
from aiohttp.test_utils import TestServer
from tests.unit.dummies.processes import begun

from dummies.partners.dummy import application

TOKEN = "token-of-the-trial"
SLICE = {"trialID": "a", "NST": {"nst": {}}, "facility": "eurecom", "Authorization": TOKEN}
MARK = {"TrialID": "a", "MarkingID": "a", "Timestamp": "2026-11-23T22:25:45", "Marking": "Idle"}
JOB = {"trialID": "a", "facility": "eurecom"}
Reply = tuple[int, Any]


class Lcm:
    """Where partners call back: it answers with `answers`, then with 200, and keeps who has shown what."""

    def __init__(self, *answers: int) -> None:
        self._answers = list(answers)
        self.reports: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        self.reports.append((request.path, request.headers.get("Authorization", "")))
        self._changed.set()
        return web.Response(status=self._answers.pop(0) if self._answers else 200)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.reports) < count:
                self._changed.clear()
                await self._changed.wait()


class Asked:
    """The dummy as callers see it, and an LCM beside it."""

    def __init__(self, session: ClientSession, url: str, lcm: Lcm, lcm_url: str) -> None:
        self._session, self._url = session, url
        self.lcm, self.callback = lcm, f"{lcm_url}/callback/slice"

    async def __call__(
        self, method: str, path: str, body: Any = None, key: str = "", form: dict[str, str] | None = None
    ) -> Reply:
        path = path.replace("CALLBACK", self.callback)
        headers = {"Idempotency-Key": key} if key else {}
        content = {"data": form} if form is not None else {} if body is None else {"json": body}
        async with self._session.request(method, self._url + path, headers=headers, **content) as reply:
            is_json = reply.content_type == "application/json"
            return reply.status, await reply.json() if is_json else None


def played(scenario: Callable[[Asked], Awaitable[None]], *answers: int, **settings: Any) -> None:
    async def play() -> None:
        lcm, app = Lcm(*answers), web.Application()
        app.router.add_post("/callback/slice", lcm.take)
        partners = application(**({"callback_seconds": 0} | settings))
        async with (
            TestServer(app, shutdown_timeout=0.1) as theirs,
            TestServer(partners, shutdown_timeout=0.1) as ours,
            ClientSession() as session,
        ):
            urls = [str(server.make_url("/")).rstrip("/") for server in (ours, theirs)]
            await scenario(Asked(session, urls[0], lcm, urls[1]))

    asyncio.run(play())


def test_slice_is_made_and_closed_and_both_are_reported_with_its_token():
    async def scenario(asked: Asked) -> None:
        made = await asked("POST", "/sliceDeployment?callback_url=CALLBACK", SLICE)
        assert (made[0], made[1]["Slice"]["id"]) == (201, "slice-a")
        await asked.lcm.until(1)
        closed = await asked("DELETE", "/sliceDeployment/a?callback_url=CALLBACK", {"Authorization": "new"})
        assert closed[0] == 200
        await asked.lcm.until(2)
        assert asked.lcm.reports == [("/callback/slice", TOKEN), ("/callback/slice", "new")]
        again = await asked("DELETE", "/sliceDeployment/a?callback_url=CALLBACK", {"Authorization": "new"})
        assert again == (404, {"detail": "a has no slice"})

    played(scenario)


@pytest.mark.parametrize("path", ["cloud/boarding", "cloud/deployment", "edge/boarding", "edge/deployment"])
def test_network_functions_are_reported_as_well(path: str):
    async def scenario(asked: Asked) -> None:
        url = f"/vnf/{path}?trialID=a&callback_url=CALLBACK"
        assert (await asked("POST", url, {"Authorization": TOKEN}))[0] == 201
        await asked.lcm.until(1)
        assert asked.lcm.reports == [("/callback/slice", TOKEN)]

    played(scenario)


def test_report_without_an_answer_is_repeated_and_a_refused_one_is_not():
    async def scenario(asked: Asked) -> None:
        await asked("POST", "/sliceDeployment?callback_url=CALLBACK", SLICE)
        await asked.lcm.until(2)
        await asked("DELETE", "/sliceDeployment/a?callback_url=CALLBACK", {"Authorization": "new"})
        await asked.lcm.until(3)
        assert [token for _, token in asked.lcm.reports] == [TOKEN, TOKEN, "new"]

    played(scenario, 503, 401)


ROWS = {
    "resources are tested": ("POST", "/tap", JOB | {"name": "Survey", "target": "dummy"}, 200),
    "a flight plan": ("POST", "/flightplan", {"trialID": "a", "flight_plan": {"flights": []}}, 201),
    "a measurement job": ("POST", "/measurementjobs", JOB | {"measurement_job": {}}, 201),
    "a mark": ("POST", "/markKPIData", MARK, 200),
    "a status": ("PUT", "/trial/a/", {"status": "IDLE"}, 204),
}


@pytest.mark.parametrize(("method", "path", "body", "status"), ROWS.values(), ids=ROWS.keys())
def test_what_a_trial_asks_for_is_answered(method: str, path: str, body: Any, status: int):
    async def scenario(asked: Asked) -> None:
        assert (await asked(method, path, body))[0] == status

    played(scenario)


@pytest.mark.parametrize("missing", SLICE)
def test_a_body_that_lacks_a_member_is_refused_by_its_name(missing: str):
    async def scenario(asked: Asked) -> None:
        body = {name: value for name, value in SLICE.items() if name != missing}
        refused = await asked("POST", "/sliceDeployment?callback_url=CALLBACK", body)
        assert refused == (422, {"detail": f"{missing} is missing"})

    played(scenario)


def test_without_an_address_to_call_back_nothing_is_made():
    async def scenario(asked: Asked) -> None:
        assert await asked("POST", "/sliceDeployment", SLICE) == (
            422,
            {"detail": "callback_url must be a URL"},
        )
        assert (await asked("POST", "/sliceDeployment?callback_url=CALLBACK", SLICE))[0] == 201

    played(scenario)


def test_a_measurement_job_ends_once():
    async def scenario(asked: Asked) -> None:
        _, made = await asked("POST", "/measurementjobs", JOB | {"measurement_job": {}})
        url = f"/measurementjobs/{made['MeasurementID']}"
        assert await asked("DELETE", url, JOB) == (204, None)
        assert (await asked("DELETE", url, JOB))[0] == 404

    played(scenario)


def test_clients_get_access_tokens_each_its_own():
    async def scenario(asked: Asked) -> None:
        form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
        given = [await asked("POST", "/oauth/token", form=form) for _ in range(2)]
        assert [status for status, _ in given] == [200, 200]
        assert given[0][1]["access_token"] != given[1][1]["access_token"]
        assert (await asked("POST", "/oauth/token", form=form | {"grant_type": "password"}))[0] == 422

    played(scenario)


def test_the_repository_begins_with_its_trials():
    async def scenario(asked: Asked) -> None:
        assert (await asked("GET", "/trial/a/"))[1] == {"id": "a", "name": "Survey"}

    played(scenario, seed=[{"id": "a", "name": "Survey"}])


def test_a_request_that_comes_again_is_answered_alike_and_acts_once():
    async def scenario(asked: Asked) -> None:
        url = "/sliceDeployment?callback_url=CALLBACK"
        first = await asked("POST", url, SLICE, key="one")
        assert await asked("POST", url, SLICE, key="one") == first
        assert (await asked("POST", url, SLICE, key="other"))[0] == 409
        assert (await asked("POST", url, SLICE, key="other"))[0] == 409
        assert (await asked("DELETE", "/sliceDeployment/a?callback_url=CALLBACK", SLICE))[0] == 200
        await asked.lcm.until(2)
        assert len(asked.lcm.reports) == 2

    played(scenario)


def test_journal_has_each_request_and_answer_in_order_but_its_own():
    async def scenario(asked: Asked) -> None:
        await asked("PUT", "/_faults", {"kind": "status", "status": 503, "path": "/markKPIData", "count": 1})
        await asked("PUT", "/trial/a/", {"status": "IDLE"}, key="one")
        await asked("POST", "/markKPIData", MARK)
        await asked("POST", "/oauth/token", form={"grant_type": "guess"})
        await asked("GET", "/nowhere?what=this")

        _, journal = await asked("GET", "/_journal")

        reported = [(e["method"], e["path"], e["query"], e["body"], e["status"]) for e in journal]
        assert reported == [
            ("PUT", "/trial/a/", {}, {"status": "IDLE"}, 204),
            ("POST", "/markKPIData", {}, MARK, 503),
            ("POST", "/oauth/token", {}, "grant_type=guess", 422),
            ("GET", "/nowhere", {"what": "this"}, None, 404),
        ]
        assert journal[0]["headers"]["Idempotency-Key"] == "one"
        assert (await asked("DELETE", "/_journal"))[0] == 204
        assert await asked("GET", "/_journal") == (200, [])

    played(scenario)


def test_a_request_that_was_never_answered_has_no_status():
    async def scenario(asked: Asked) -> None:
        await asked("PUT", "/_faults", {"kind": "drop", "count": 1})
        with pytest.raises(ServerDisconnectedError):
            await asked("POST", "/markKPIData", MARK)  # a GET would be repeated by the client itself
        assert [entry["status"] for entry in (await asked("GET", "/_journal"))[1]] == [None]

    played(scenario)


def test_it_fails_at_a_later_request_if_that_is_asked_for():
    async def scenario(asked: Asked) -> None:
        fault = {"kind": "status", "path": "/markKPIData", "skip": 2, "count": 1}
        await asked("PUT", "/_faults", fault)
        assert [(await asked("POST", "/markKPIData", MARK))[0] for _ in range(4)] == [200, 200, 500, 200]
        assert await asked("PUT", "/_faults", fault | {"skip": -1}) == (
            400,
            {"detail": "skip must be an integer of at least 0"},
        )

    played(scenario)


def test_the_process_serves_until_sigterm_whatever_is_still_to_be_reported():
    with begun("partners", LCM_PARTNERS_CALLBACK_SECONDS="600") as process:
        try:
            serving = re.search(r"serving port=(\d+)$", process.stdout.readline())
            url = f"http://127.0.0.1:{serving[1]}"
            made = requests.post(
                f"{url}/sliceDeployment", params={"callback_url": url}, json=SLICE, timeout=20
            )
            assert made.status_code == 201
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan"])
def test_a_time_that_is_none_is_reported(seconds: str):
    with begun("partners", LCM_PARTNERS_CALLBACK_SECONDS=seconds) as process:
        _, told = process.communicate(timeout=60)

    assert process.returncode == 2
    expected = "expected a number of seconds, at least 0"
    assert told == f"lcm-partners: LCM_PARTNERS_CALLBACK_SECONDS: {expected}, got {seconds!r}\n"
