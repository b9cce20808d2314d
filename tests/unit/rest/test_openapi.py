"""The description is OpenAPI 3.1, covers every route, and is observed; its page needs nothing else."""

import asyncio
import json
import re
import sys

import pytest
from openapi_spec_validator import validate
from tests.unit.rest.harness import KEY, Sidecar, run

from lcm_operator.rest.auth.authenticator import Requirement
from lcm_operator.rest.http import openapi
from lcm_operator.rest.wording import ScheduleAllResult

HIDDEN = {
    "/",
    "/docs",
    "/docs/start.js",
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/openapi.json",
}


@pytest.fixture
def sidecar(tmp_path):
    return Sidecar(tmp_path)


def fetched(sidecar, path):
    async def scenario():
        async with sidecar.listening():
            return await sidecar.ask("GET", path, Authorization="")

    return run(scenario())


@pytest.mark.parametrize("authenticated", [True, False], ids=["with keys", "without keys"])
def test_it_is_valid_openapi(tmp_path, authenticated):
    document = json.loads(fetched(Sidecar(tmp_path, authenticated=authenticated), "/openapi.json").body)

    validate(document)
    assert document["openapi"].startswith("3.1")


def test_it_lists_every_route_but_its_own(sidecar):
    document = json.loads(fetched(sidecar, "/openapi.json").body)
    reported = {(method.upper(), path) for path, item in document["paths"].items() for method in item}

    assert reported == {
        (route.method, route.path) for route in sidecar.table.routes if route.path not in HIDDEN
    }


def test_it_shows_which_routes_ask_for_a_key_or_token(sidecar):
    document = json.loads(fetched(sidecar, "/openapi.json").body)
    asking = {
        (route.method, route.path)
        for route in sidecar.table.routes
        if route.requires is not Requirement.NOTHING
    }

    assert asking == {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if operation.get("security")
    }


def test_every_route_stays_within_it(sidecar, tmp_path):
    """A short run of what the tests of the whole sidecar do at length."""
    sidecar.service.answers |= {
        "schedule_all": ScheduleAllResult(),
        "toggle_automatic": True,
        "trial_status": ("Waiting", "Waiting"),
    }

    async def scenario():
        async with sidecar.listening():
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "schemathesis.cli", "run"),
                *(f"http://127.0.0.1:{sidecar.port}/openapi.json", "--header", f"Authorization: {KEY}"),
                *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
                *("--max-examples", "10", "--generation-deterministic", "--no-color"),
                cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await process.communicate()
            return process.returncode, said.decode()

    code, said = run(scenario())
    assert code == 0, said
    assert len(sidecar.observed) > 300, said


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_page_loads_only_what_is_served_here(sidecar, path):
    page = fetched(sidecar, path)
    links = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())

    assert page.headers["Content-Type"] == "text/html"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert len(links) == 4
    assert [link for link in links if link != "data:," and sidecar.table.find(link) is None] == []
    assert "http" not in page.body.decode()


def test_swagger_ui_comes_with_the_sidecar_and_can_show_openapi_3_1(sidecar):
    style, program = openapi.assets()

    assert fetched(sidecar, "/docs/swagger-ui.css").body == style.read_bytes()
    script = fetched(sidecar, "/docs/swagger-ui-bundle.js")
    assert script.body == program.read_bytes()
    assert script.headers["Content-Type"] == "text/javascript"
    assert re.search(rb'PACKAGE_VERSION:"5\.\d+', script.body)


def test_the_page_s_own_script_asks_no_validator(sidecar):
    assert "validatorUrl: null" in fetched(sidecar, "/docs/start.js").body.decode()
