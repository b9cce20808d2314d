"""A proxy before the API server, for an operator or engines: it sees all requests; it stops writes.

Used by the tests in which a write has to be lost, or has to come before or after another one, not by luck.
It speaks plain HTTP on loopback to the operator, TLS to engines and the API server, and passes tokens on.
It knows nothing of trials: what is to be held is told by a function of the request.

    operator ──request──> before ──> API server ──> taken ──answer──> operator
                          held, cut or refused      held, cut or answered otherwise
"""

import asyncio
import contextlib
import json
import re
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web

DEADLINE = 60
_PLACE = re.compile(r"/namespaces/([^/]+)/([^/]+)(?:/([^/]+))?(?:/([^/]+))?$")
_HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass
class Request:
    """One request of the operator; `status` is what the API server answered, None as long as it has not."""

    method: str
    path: str
    query: str
    body: Any
    status: int | None = None
    namespace: str = field(init=False, default="")
    resource: str = field(init=False, default="")
    name: str = field(init=False, default="")
    subresource: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if place := _PLACE.search(self.path):
            self.namespace, self.resource, name, subresource = place.groups(default="")
            named = self.body.get("metadata", {}).get("name", "") if isinstance(self.body, dict) else ""
            self.name, self.subresource = name or named, subresource

    @property
    def new_status(self) -> dict[str, Any]:
        """What it writes into the status, by a merge patch or a JSON patch; None: what it takes out."""
        if isinstance(self.body, list):
            changes = {each["path"].removeprefix("/status/"): each.get("value") for each in self.body}
            return {field: value for field, value in changes.items() if not field.startswith("/")}
        status: dict[str, Any] = (self.body or {}).get("status", {})
        return status

    @property
    def is_write(self) -> bool:
        """Whether it is to leave a trace that decisions depend on."""
        changes = self.method in {"POST", "PUT", "PATCH", "DELETE"}
        return changes and self.resource not in {"", "events"} and "dryRun" not in self.query

    def about(self, prefix: str = "") -> str:
        """Return method and object, its name without a prefix."""
        return f"{self.method} {self.resource}/{self.name.removeprefix(prefix)}/{self.subresource}"

    def __str__(self) -> str:
        return f"{self.about()} -> {self.status}"


Matches = Callable[[Request], object]


class Held:
    """One write that waits in the proxy; `taken`: the API server took it, but the operator gets no answer."""

    def __init__(self, matches: Matches, nth: int, *, taken: bool) -> None:
        self.taken = taken
        self.reached = threading.Event()
        self.goes_on: Future[bool] = Future()
        self._matches = matches
        self._left = nth

    def takes(self, request: Request) -> bool:
        """Return whether this is the one to be held."""
        if self._left and self._matches(request):
            self._left -= 1
            return self._left == 0
        return False

    def wait(self) -> None:
        """Wait until the operator has come to that write."""
        assert self.reached.wait(DEADLINE), "the write never came"

    def go(self) -> None:
        """Let it pass."""
        self.goes_on.set_result(True)

    def cut(self) -> None:
        """Drop its connection instead."""
        self.goes_on.set_result(False)


@dataclass
class Refusing:
    """What matching writes are answered with, until it ends; `taken`: although the API server took them."""

    matches: Matches
    status: int
    message: str
    taken: bool
    retry_after: int | None
    seen: int = 0
    active: bool = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.active = False

    def takes(self, request: Request) -> bool:
        """Return whether it is to be answered so."""
        if not (self.active and self.matches(request)):
            return False
        self.seen += 1
        return True

    def answer(self) -> web.Response:
        """Return the answer, as an API server words it."""
        status = {"kind": "Status", "status": "Failure", "code": self.status, "message": self.message}
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else {}
        return web.json_response(status, status=self.status, headers=headers)


class Proxy:
    """Listens while its context is open. The writes are in `writes`, oldest first.

    `identity`: the certificate for clients that insist on TLS, as engines do.
    """

    def __init__(self, server: str, trust: ssl.SSLContext, identity: ssl.SSLContext | None = None) -> None:
        self.writes: list[Request] = []
        self.url = ""
        self._server = server
        self._trust = trust
        self._identity = identity
        self._held: list[Held] = []
        self._refusing: list[Refusing] = []
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def hold(self, matches: Matches, *, nth: int = 1, taken: bool = False) -> Held:
        """Hold the n-th write from now on that matches, before or after the API server has taken it."""
        held = Held(matches, nth, taken=taken)
        self._held.append(held)
        return held

    def refuse(
        self,
        matches: Matches,
        status: int,
        *,
        message: str = "refused by the test",
        taken: bool = False,
        retry_after: int | None = None,
    ) -> Refusing:
        """Answer writes that match with an error, while the context is open."""
        refusing = Refusing(matches, status, message, taken, retry_after)
        self._refusing.append(refusing)
        return refusing

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(DEADLINE)
        return self

    def release(self) -> None:
        """Cut what is still held, and hold and refuse nothing any more."""
        held, self._held, self._refusing = self._held, [], []
        for one in held:
            if not one.goes_on.done():
                one.cut()

    def __exit__(self, *_: object) -> None:
        self.release()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connector = aiohttp.TCPConnector(limit=0, ssl=self._trust)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as self._session:
            runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._identity).start()
            self.url = "{}://{}:{}".format("https" if self._identity else "http", *runner.addresses[0])
            self._listening.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        raw = await incoming.read()
        body = json.loads(raw) if raw else None
        request = Request(incoming.method, incoming.path, incoming.query_string, body)
        if not request.is_write:
            return await self._stream(incoming, raw)
        self.writes.append(request)
        held = next((held for held in self._held if held.takes(request)), None)
        refusing = next((refusing for refusing in self._refusing if refusing.takes(request)), None)
        if held and not held.taken and not await self._goes_on(held):
            return _cut(incoming)
        if refusing and not refusing.taken:
            return refusing.answer()
        async with self._ask(incoming, raw) as upstream:
            answer = web.Response(
                status=upstream.status, headers=_passed_on(upstream.headers), body=await upstream.read()
            )
            request.status = upstream.status
        if held and held.taken and not await self._goes_on(held):
            return _cut(incoming)
        return refusing.answer() if refusing else answer

    async def _goes_on(self, held: Held) -> bool:
        held.reached.set()
        return await asyncio.wrap_future(held.goes_on)

    async def _stream(self, incoming: web.BaseRequest, raw: bytes) -> web.StreamResponse:
        """Pass an answer on as it comes: watches never end by themselves."""
        async with self._ask(incoming, raw) as upstream:
            answer = web.StreamResponse(status=upstream.status, headers=_passed_on(upstream.headers))
            with contextlib.suppress(ConnectionResetError):  # the operator was killed meanwhile
                await answer.prepare(incoming)
                async for chunk in upstream.content.iter_any():
                    await answer.write(chunk)
                await answer.write_eof()
        return answer

    def _ask(self, incoming: web.BaseRequest, raw: bytes) -> Any:
        return self._session.request(
            incoming.method,
            self._server + incoming.path_qs,
            headers=_passed_on(incoming.headers),
            data=raw or None,
        )


def _passed_on(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}


def _cut(incoming: web.BaseRequest) -> web.Response:
    if incoming.transport is not None:
        incoming.transport.abort()
    return web.Response()
