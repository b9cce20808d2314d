"""The dummy registry, asked by the client: what it keeps, how it fails on request, how it ends."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from aiohttp.test_utils import TestServer
from tests.unit.dummies.processes import begun

from dummies.registry.dummy import application
from lcm_operator.registry.client import RegistryClient
from lcm_operator.registry.connection import Connection
from lcm_operator.registry.errors import BadReplyError, BadStatusError, RegistryError, UnreachableError

NINE = "2031-01-01T09:00:00Z"


class Asked:
    """The dummy registry as callers see it; everything in threads, beside its loop."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def __call__(self, method: str, path: str, body: Any = None) -> requests.Response:
        request = requests.Request(method, self.url, json=body).prepare()
        request.url = self.url + path  # as it stands, dots and all
        with requests.Session() as session:
            return await asyncio.to_thread(session.send, request, timeout=20)

    async def list(self, seconds: float = 20, **connection: str) -> list[str]:
        client = RegistryClient(Connection(self.url, **connection), seconds)
        return [entry.id for entry in (await asyncio.to_thread(client.list_trials)).entries]

    async def time(self, trial_id: str) -> datetime:
        client = RegistryClient(Connection(self.url), 20)
        return (await asyncio.to_thread(client.trial, trial_id)).start_time


@asynccontextmanager
async def serving(*arguments: Any) -> AsyncIterator[Asked]:
    async with TestServer(application(*arguments), shutdown_timeout=0.1) as running:
        yield Asked(str(running.make_url("/")).rstrip("/"))


def played(scenario: Callable[[Asked], Awaitable[None]], *arguments: Any) -> None:
    async def play() -> None:
        async with serving(*arguments) as asked:
            await scenario(asked)

    asyncio.run(play())


def test_a_trial_is_added_changed_and_removed():
    async def scenario(asked: Asked) -> None:
        added = await asked("PUT", "/trial/survey/", {"start_time": NINE, "facility": "EUR"})
        assert (added.status_code, added.content) == (204, b"")
        assert (await asked("PUT", "/trial/survey", {"status": "ACTIVE", "id": "other"})).status_code == 204

        found = {"id": "survey", "start_time": NINE, "facility": "EUR", "status": "ACTIVE"}
        assert (await asked("GET", "/trial/survey/")).json() == found
        assert (await asked("GET", "/trial")).json() == [found]

        assert (await asked("DELETE", "/trial/survey/")).status_code == 204
        assert (await asked("DELETE", "/trial/survey/")).status_code == 404
        assert (await asked("GET", "/trial/survey")).status_code == 404

    played(scenario)


@pytest.mark.parametrize(
    ("trial_id", "segment"),
    [("..", "%2E%2E"), (".", "%2E"), ("a/b {c}?", "a%2Fb%20%7Bc%7D%3F"), ("Ü", "%C3%9C")],
)
def test_any_id_is_a_trial_of_its_own(trial_id: str, segment: str):
    async def scenario(asked: Asked) -> None:
        assert (await asked("PUT", f"/trial/{segment}/", {"start_time": NINE})).status_code == 204
        assert await asked.list() == [trial_id]
        assert await asked.time(trial_id) == datetime(2031, 1, 1, 9, tzinfo=UTC)

    played(scenario)


def test_it_begins_with_its_seed():
    seed = [{"id": number, "start_time": NINE} for number in range(10_000)]

    async def scenario(asked: Asked) -> None:
        assert await asked.list() == [str(number) for number in range(10_000)]
        await asked("PUT", "/trial/7/", {"status": "ACTIVE"})
        assert (await asked("GET", "/trial/7/")).json() == {"id": 7, "start_time": NINE, "status": "ACTIVE"}

    played(scenario, seed)


@pytest.mark.parametrize("body", [None, [], "text"])
def test_a_body_that_is_no_object_changes_nothing(body: Any):
    async def scenario(asked: Asked) -> None:
        for path in ("/trial/a/", "/_faults"):
            assert (await asked("PUT", path, body)).status_code == 400
        assert await asked.list() == []

    played(scenario)


def test_with_credentials_it_lets_nobody_else_at_its_trials():
    async def scenario(asked: Asked) -> None:
        with pytest.raises(BadStatusError):
            await asked.list()
        with pytest.raises(BadStatusError):
            await asked.list(user="apikey", password="guess")
        assert await asked.list(user="apikey", password="sesame") == []
        assert (await asked("DELETE", "/_faults")).status_code == 204

    played(scenario, [], "apikey:sesame")


FAILURES = {
    "status": ({"kind": "status", "status": 503}, BadStatusError),
    "html": ({"kind": "html"}, BadReplyError),
    "truncated": ({"kind": "truncated"}, BadReplyError),
    "endless": ({"kind": "endless"}, RegistryError),
    "redirect": ({"kind": "redirect"}, BadStatusError),
    "drop": ({"kind": "drop"}, UnreachableError),
}


@pytest.mark.parametrize(("fault", "error"), FAILURES.values(), ids=FAILURES.keys())
def test_it_fails_as_requested_and_then_no_more(fault: dict[str, Any], error: type[RegistryError]):
    async def scenario(asked: Asked) -> None:
        assert (await asked("PUT", "/_faults", fault | {"count": 1})).status_code == 204
        with pytest.raises(error):
            await asked.list()
        assert await asked.list() == ["a"]

    played(scenario, [{"id": "a", "start_time": NINE}])


def test_it_is_as_slow_as_requested():
    async def scenario(asked: Asked) -> None:
        await asked("PUT", "/_faults", {"kind": "slow", "seconds": 600})
        with pytest.raises(UnreachableError):
            await asked.list(seconds=0.5)

    played(scenario)


def test_it_fails_until_the_fault_is_removed_and_only_where_it_applies():
    async def scenario(asked: Asked) -> None:
        await asked("PUT", "/_faults", {"kind": "status", "path": "/trial/", "method": "GET"})
        for _ in range(3):
            assert (await asked("GET", "/trial/")).status_code == 500
        assert (await asked("PUT", "/trial/a/", {"start_time": NINE})).status_code == 204

        assert (await asked("DELETE", "/_faults")).status_code == 204
        assert await asked.list() == ["a"]

    played(scenario)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({}, "kind must be one of status, slow, html, truncated, endless, redirect, drop"),
        ({"kind": "html", "often": 1}, "often is not a field of a fault"),
        ({"kind": "html", "count": 0}, "count must be an integer of at least 1, or null"),
        ({"kind": "html", "path": 5}, "path must be a string"),
        ({"kind": "status", "status": 99}, "status must be an integer from 200 to 599"),
        ({"kind": "slow", "seconds": -1}, "seconds must be a number from 0 to 3600"),
    ],
)
def test_a_failure_that_is_none_is_refused(wanted: dict[str, Any], why: str):
    async def scenario(asked: Asked) -> None:
        refused = await asked("PUT", "/_faults", wanted)
        assert (refused.status_code, refused.json()) == (400, {"detail": why})
        assert await asked.list() == []

    played(scenario)


def test_the_process_serves_its_seed_until_sigterm(tmp_path):
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps([{"id": "a", "start_time": NINE}]))
    with begun("registry", LCM_REGISTRY_SEED=str(seed)) as process:
        try:
            serving = re.search(r"serving port=(\d+)$", process.stdout.readline())
            url = f"http://127.0.0.1:{serving[1]}"
            assert RegistryClient(Connection(url)).list_trials().total == 1
            requests.put(f"{url}/_faults", json={"kind": "endless"}, timeout=20)
            with requests.get(f"{url}/trial/", stream=True, timeout=20):
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        pytest.param(
            {"LCM_REGISTRY_ADDRESS": "5001"},
            "lcm-registry: LCM_REGISTRY_ADDRESS: expected host:port",
            id="no host",
        ),
        pytest.param(
            {"LCM_REGISTRY_SEED": "nowhere.json"}, "lcm-registry: LCM_REGISTRY_SEED: ", id="no file"
        ),
    ],
)
def test_settings_that_do_not_fit_are_reported(environment: dict[str, str], why: str):
    with begun("registry", **environment) as process:
        _, told = process.communicate(timeout=60)

    assert process.returncode == 2
    assert told.startswith(why)
