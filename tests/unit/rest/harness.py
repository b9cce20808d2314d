"""The sidecar on a free port, with services that only record their calls."""

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

from aiohttp import web
from aiohttp.test_utils import BaseTestServer

from lcm_operator.addresses import Address
from lcm_operator.rest import probes
from lcm_operator.rest.auth.authenticator import Authenticator
from lcm_operator.rest.auth.keys import ApiKeys, KeyScope, line_of
from lcm_operator.rest.http import openapi
from lcm_operator.rest.http.callers import Caller
from lcm_operator.rest.http.dispatch import Dispatcher
from lcm_operator.rest.http.origin import OriginCheck
from lcm_operator.rest.http.routing import RouteTable
from lcm_operator.rest.http.server import Limits, Server
from lcm_operator.rest.routes import Services, rows
from lcm_operator.rest.wording import LEVELS

KEY, READ_KEY = "key-that-operates", "key-that-reads"
TOKEN = "t" * 43
ENGINE = {"metadata": {"name": "a"}}
TIME = "2031-07-01T10:00:00+02:00"


class Recorder:
    """Any service: each call is remembered, and answered or refused as the test wants."""

    def __init__(self, calls):
        self._calls = calls
        self.answers = {}

    known = ()

    def __getattr__(self, name):
        async def call(*arguments):
            self._calls.append((name, *arguments))
            answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return await answer() if callable(answer) else answer

        return call


class Tokens:
    """Callback tokens: one is good for the trial `a`."""

    def __init__(self):
        self.good = {("a", TOKEN)}

    async def partner(self, trial_id, credentials):
        shown = [token for token in credentials if (trial_id, token) in self.good]
        return Caller("partner", shown[0], ENGINE) if shown else None

    async def issue(self, _trial_id):
        return TOKEN

    async def revoke(self, trial_id, token):
        self.good.discard((trial_id, token))


class Pods:
    """Tokens of engines' pods: one is good for the trial `a`."""

    async def engine(self, trial_id, credentials):
        shown = trial_id == "a" and "head.body.sign" in credentials
        return Caller("engine", engine=ENGINE) if shown else None


class Answer:
    """What came back."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def said(self):
        """The status and the text of `message` or `detail`."""
        value = json.loads(self.body)
        return self.status, value.get("message", value.get("detail", value))


class Sidecar:
    """The sidecar and what its services were called with."""

    def __init__(self, folder, *, authenticated=True, limits=None, level="0.1.1", body_seconds=10.0):
        self.calls = []
        self.service = Recorder(self.calls)
        self.tokens = Tokens()
        self.health = SimpleNamespace(ready=True, faults=[])
        self.observed = []
        keys = None
        if authenticated:
            file = folder / "keys"
            file.write_text(
                f"{line_of(KEY, KeyScope.OPERATE, 'ops')}\n{line_of(READ_KEY, KeyScope.READ, 'grafana')}\n"
            )
            keys = ApiKeys(file)
        self.padding = ""
        services = Services(
            level=LEVELS[level],
            page=SimpleNamespace(body=self.page),
            scheduler=self.service,
            registry=self.service,
            engines=self.service,
            signals=self.service,
            heartbeats=self.service,
            tokens=self.tokens,
        )
        described = (*rows(services), *probes.rows(lambda: self.health.ready, lambda: self.health.faults))
        shown = openapi.routes(described, version=level, authenticated=authenticated)
        self.table = RouteTable((*described, *shown))
        self.dispatcher = Dispatcher(
            self.table,
            Authenticator(keys, self.tokens, Pods()).authenticate,
            OriginCheck(Address("127.0.0.1", 5000), set(), authenticated=authenticated),
            lambda: self.health.ready,
            lambda *seen: self.observed.append(seen),
            body_seconds=body_seconds,
        )
        self._limits = limits or Limits()

    def page(self, heartbeats):
        self.calls.append(("status",))
        keys = ("Scheduler_status", "scheduled_trials", "Executor_Engine_instances")
        page = {"message": "fine"} | dict.fromkeys(keys, "Idle")
        return page | {"Heartbeat_instances": str(heartbeats) + self.padding}

    @asynccontextmanager
    async def listening(self):
        """Answer on self.port."""
        self.server = Server(self.dispatcher, self._limits)
        server = _Server(self.server)
        await server.start_server()
        self.port = server.port
        try:
            yield self
        finally:
            await server.close()

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, method, path, body=b"", **headers):
        """Send one request unchanged, by default with the key."""
        given = {"Host": f"127.0.0.1:{self.port}", "Authorization": KEY} | headers
        if body:
            given.setdefault("Content-Length", str(len(body)))
        head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items() if value)]
        raw = "\r\n".join([*head, "Connection: close", "", ""]).encode() + body
        return await self.send(raw, bodiless=method == "HEAD")

    async def send(self, raw, *, bodiless=False):
        """Send these bytes and read one answer."""
        reader, writer = await self.connect()
        try:
            writer.write(raw)
            return await read(reader, bodiless=bodiless)
        finally:
            writer.close()


class _Server(BaseTestServer):
    def __init__(self, server):
        super().__init__()
        self._ours = server

    async def _make_runner(self, **_):
        return web.ServerRunner(self._ours, shutdown_timeout=5)


async def read(reader, *, bodiless=False):
    """Return one answer; a connection that ends before it raises IncompleteReadError."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    body = b"" if bodiless else await reader.readexactly(int(headers.get("Content-Length", 0)))
    return Answer(int(head[0].split()[1]), headers, body)


def run(scenario):
    return asyncio.run(scenario)


def asked(sidecar, *arguments, **headers):
    """Return the answer of a sidecar that is started for this one request."""

    async def scenario():
        async with sidecar.listening():
            return await sidecar.ask(*arguments, **headers)

    return run(scenario())
