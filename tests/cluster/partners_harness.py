"""Harness of the plan `5gdrones`: dummy partners for each trial, and a person at the REST interface.

`Partners` serves the real dummy in a thread of the tests. Below `/lcm` it passes on to the sidecar, so that
its journal has all that a trial asks for, in order. `Flight` is one trial of the plan.
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import requests
import yaml
from aiohttp import web
from tests.cluster.operator_harness import OperatorHarness, Trial, TrialPlan, in_seconds
from tests.cluster.rest_harness import Sidecar

from devcluster.cluster.cluster import Cluster
from devcluster.cluster.layout import REPOSITORY
from devcluster.waiting import wait_until
from dummies.partners.dummy import application

PLAN = REPOSITORY / "deploy/plans/5gdrones.yaml"
LONG = 480
# A look reads all journals: more often, the looks would take most of the processor.
LOOK_SECONDS = 0.25
STOPPED = "Status: Stopped State: "
Entry = dict[str, Any]


def record(trial_id: str) -> dict[str, Any]:
    """Return what a registry has of a trial."""
    return {
        "id": trial_id,
        "status": "APPROVED",
        "facility": "EUR",
        "name": "Survey",
        "kpis": [{"name": "latency"}],
        "nst": "{'qos': [1, 2.5], 'shared': False, 'owner': None}",
        "flights": [{"drone": "D-17", "waypoints": [[60.1, 24.8, 30]]}],
    }


class Partners:
    """The dummy partners on a port of their own. `lcm` is the sidecar's address."""

    def __init__(self, lcm: str, trials: Iterable[dict[str, Any]]) -> None:
        self._app = application(trials, callback_seconds=0)
        self._app.router.add_route("*", "/lcm/{path:.*}", self._pass_on)
        self._app.router.add_post("/tokens/{service}", self._give_token)
        self._lcm = lcm
        self._given = 0
        self.url = ""

    async def start(self) -> web.AppRunner:
        runner = web.AppRunner(self._app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def journal(self) -> list[Entry]:
        entries: list[Entry] = requests.get(f"{self.url}/_journal", timeout=20).json()
        return entries

    def fail(self, **fault: Any) -> None:
        assert requests.put(f"{self.url}/_faults", json=fault, timeout=20).status_code == 204

    def fail_no_more(self) -> None:
        requests.delete(f"{self.url}/_faults", timeout=20)

    async def _pass_on(self, request: web.Request) -> web.Response:
        url = self._lcm + request.rel_url.raw_path.removeprefix("/lcm")
        sent = {name: request.headers[name] for name in ("Authorization",) if name in request.headers}
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, url, headers=sent) as got,
        ):
            return web.Response(status=got.status, body=await got.read(), content_type=got.content_type)

    async def _give_token(self, request: web.Request) -> web.Response:
        self._given += 1
        return web.json_response({"access_token": f"{request.match_info['service']}-access-{self._given}"})


class Flight:
    """One trial of the plan. What is read of the journal has `the-id` and `URL` for what differs by trial.

    `stops`: the states in which it has failed.
    """

    def __init__(self, trial: Trial, partners: Partners, lcm: Sidecar) -> None:
        self.trial, self.partners, self._lcm = trial, partners, lcm
        self.id = trial.name
        self.stops: list[str] = []
        self._sent: set[str] = set()

    def requests(self) -> list[Entry]:
        """Return what the trial has asked for so far; what partners have reported is not among it."""
        text = json.dumps([one for one in self.partners.journal() if "/callback/" not in one["path"]])
        entries: list[Entry] = json.loads(text.replace(self.id, "the-id").replace(self.partners.url, "URL"))
        return entries

    def reported(self) -> list[str]:
        """Return the statuses that the registry received."""
        puts = [one for one in self.requests() if one["method"] == "PUT" and one["status"] == 204]
        return [one["body"]["status"] for one in puts]

    def send(self, signal: str) -> None:
        self._sent.add(signal)
        assert self._lcm.call("POST", f"/trial/{self.id}/{signal}").status == 200

    def status(self) -> str:
        reply = self._lcm.call("GET", f"/trial/{self.id}/status")
        return str(reply.json["message"]) if reply.status == 200 else ""

    def push(self) -> None:
        """Do what a person does: say `active` and `finish` as soon as the trial waits for it.

        Nobody says `active` after `finish`: both at once would be a race.
        """
        reported = self.reported()
        for status, signal in (("IDLE", "active"), ("ACTIVE", "finish")):
            if status in reported and not {signal, "finish"} & self._sent:
                self.send(signal)

    def has_stopped(self) -> bool:
        """Return whether it has failed once more, and note where."""
        status = self.status()
        again = status.startswith(STOPPED) and self.reported().count("FAILED") > len(self.stops)
        if again:
            self.stops.append(status.removeprefix(STOPPED))
        return again

    def fail_at(self, good: list[Entry], place: int, *, since: int = 0, **fault: Any) -> None:
        """Fail once at the request of a good flight at this place; the next to come is the one at `since`."""
        wanted = good[place]
        same = [one for one in good[since:place] if shape(one)[:2] == shape(wanted)[:2]]
        path = wanted["path"].replace("the-id", self.id)
        at = {"method": wanted["method"], "path": path, "skip": len(same), "count": 1}
        self.partners.fail(**({"kind": "status", "status": 500} | fault | at))


class Airfield(OperatorHarness):
    """A namespace with the plan and a sidecar, from which flights start."""

    def __init__(self, cluster: Cluster, namespace: str, lcm: Sidecar) -> None:
        super().__init__(cluster, namespace)
        self.lcm = lcm
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runners: list[web.AppRunner] = []
        self.create(TrialPlan, "5gdrones", yaml.safe_load(PLAN.read_text())["spec"])

    def flight(
        self, name: str, *, start: float = 0, known: dict[str, Any] | None = None, **given: str
    ) -> Flight:
        """Schedule one; `known`: what is other than usual in the registry."""
        partners = Partners(f"http://127.0.0.1:{self.lcm.port}", [record(name) | (known or {})])
        self._runners.append(self._run(partners.start()))
        parameters = {f"{service}Url": partners.url for service in ("registry", "enforcement", "kpi")}
        parameters |= {"lcmUrl": f"{partners.url}/lcm"}
        parameters |= {key: value.replace("URL", partners.url) for key, value in given.items()}
        trial = self.trial(name, start=in_seconds(start), planRef={"name": "5gdrones"}, parameters=parameters)
        return Flight(trial, partners, self.lcm)

    def land(self, *flights: Flight, stopped: Callable[[Flight], None] | None = None) -> None:
        """Push them all until each has finished; `stopped` is called for those that fail."""
        up = set(flights)

        def landed() -> bool:
            time.sleep(LOOK_SECONDS)
            for flight in list(up):
                if stopped and flight.has_stopped():
                    stopped(flight)
                    self.annotate(flight.trial, restore=f"again-{len(flight.stops)}")
                elif flight.status() == f"{STOPPED}Finish":
                    up.discard(flight)
                else:
                    flight.push()
            return not up

        assert wait_until(landed, seconds=LONG), [(flight.id, flight.status()) for flight in up]

    def close(self) -> None:
        for runner in self._runners:
            self._run(runner.cleanup())
        self._run(_end_the_slow())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)


async def _end_the_slow() -> None:
    """End the requests that were made slow: their answers are no longer awaited."""
    slow = asyncio.all_tasks() - {asyncio.current_task()}
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


@contextmanager
def airfield(cluster: Cluster, namespace: str, lcm: Sidecar) -> Iterator[Airfield]:
    field = Airfield(cluster, namespace, lcm)
    try:
        yield field
    finally:
        field.close()


def shape(entry: Entry) -> tuple[str, str, Any, Any]:
    """Return what is the same each time that a request is sent: method, path, query, body."""
    text = json.dumps([entry["query"], entry["body"]])
    text = re.sub(r'"Timestamp": "\d{4}(-\d\d){2}T\d\d:\d\d:\d\d"', '"Timestamp": "NOW"', text)
    text = re.sub(r'"Authorization": "[\w-]{43}"', '"Authorization": "TOKEN"', text)
    query, body = json.loads(text)
    return entry["method"], entry["path"], query, body


def is_token(entry: Entry) -> bool:
    """Return whether a request is for a token, which a restored attempt asks for again."""
    return entry["method"] == "POST" and entry["path"].startswith(("/lcm/token/", "/tokens/"))
