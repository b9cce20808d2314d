"""A real `kube.client` on the API server in memory, with troubles in between."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from tests.harness.api_server import ApiServer, Json
from tests.harness.patches import selects

from lcm_operator.kube.access import Access
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import ApiError, GoneError, UnavailableError
from lcm_operator.kube.transport import Answer

AWAY = UnavailableError(0, "Unreachable", "connection refused")
_METADATA = "PartialObjectMetadataList"
_LIST_FIELDS = {"labelSelector": "label_selector", "fieldSelector": "field_selector"}


class Request(msgspec.Struct, frozen=True):
    """What somebody asks. `verb`: get, list, watch, create, merge, json or delete."""

    verb: str
    plural: str
    namespace: str | None
    name: str
    subresource: str
    body: Any
    query: dict[str, str]
    metadata_only: bool

    @property
    def writes(self) -> bool:
        return self.verb in ("create", "merge", "json", "delete")


Point = Callable[[Request], None]


def _pass(_: Request) -> None:
    """Do nothing."""


class Connection:
    """A Transport. `before` and `after` are called at each request: they interfere, or raise an ApiError.

    What `after` raises is the answer to a request that was carried out.
    """

    def __init__(self, server: ApiServer, before: Point = _pass, after: Point = _pass) -> None:
        self.server = server
        self.before = before
        self.after = after
        self.requests: list[Request] = []
        self.immediate = False
        """Whether requests are answered without a turn of the event loop, or without an event loop."""
        self.seconds_of_a_watch = 1.0
        """How long one second of a watch's time-out takes."""
        self.show: Callable[[Json], Json] = lambda raw: raw
        """What a list shows of an object."""
        self.logs: defaultdict[str, str] = defaultdict(str)
        """What pods have logged, by name."""
        self.reviews: dict[str, Json] = {}
        """What TokenReviews find, by token."""

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.writes]

    def client(self) -> Client:
        """Return a client of which all requests come here."""
        return Client(Access("http://in-memory", self.server.namespace), self)

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def request(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        content: bytes | None,
        most: int | None = None,  # noqa: ARG002 - no object here is large
    ) -> Answer:
        request = _parse(method, target, headers, content)
        self.requests.append(request)
        if not self.immediate:
            await asyncio.sleep(0)
        try:
            self.before(request)
            found = self._do(request)
            self.after(request)
        except ApiError as error:
            return _refused(error)
        if request.subresource == "log":
            return Answer(200, None, self.logs[request.name].encode())
        return Answer(200, None, msgspec.json.encode(found))

    def _do(self, request: Request) -> Json:
        server, place = self.server, (request.plural, request.name)
        match request.verb:
            case "get":
                return server.get(*place, request.namespace)
            case "list":
                return self._page(request)
            case "create" if request.plural == "tokenreviews":
                found = self.reviews.get(request.body["spec"]["token"], {"authenticated": False})
                return request.body | {"status": found}
            case "create":
                dry_run = request.query.get("dryRun") == "All"
                return server.create(request.plural, request.body, request.namespace, dry_run=dry_run)
            case "merge":
                return server.merge_patch(
                    *place, request.body, request.namespace, subresource=request.subresource
                )
            case "json":
                return server.json_patch(
                    *place, request.body, request.namespace, subresource=request.subresource
                )
            case _:
                return self._delete(request)

    def _delete(self, request: Request) -> Json:
        options = request.body or {}
        guards = options.get("preconditions", {})
        deleted = self.server.delete(
            request.plural,
            request.name,
            request.namespace,
            uid=guards.get("uid"),
            resource_version=guards.get("resourceVersion"),
            grace_period_seconds=options.get("gracePeriodSeconds"),
            propagation=options.get("propagationPolicy", "Background"),
        )
        if request.plural == "pods" or self.server.find(request.plural, request.name, request.namespace):
            return deleted | ({"kind": "Pod"} if request.plural == "pods" else {})
        return {"kind": "Status", "status": "Success", "details": {"uid": deleted["metadata"]["uid"]}}

    def _page(self, request: Request) -> Json:
        """Return a page; the token names the version of the first one and how many objects were shown."""
        version, _, shown = request.query.get("continue", f"{self.server.version}-0").partition("-")
        if int(version) < self.server.compacted:
            raise GoneError(410, "Expired", "the continue token is too old")
        selected = selects(**_selectors(request))
        found = [
            raw for raw in self.server.at(int(version), request.plural, request.namespace) if selected(raw)
        ]
        end = int(shown) + int(request.query.get("limit", len(found) or 1))
        more = {"continue": f"{version}-{end}"} if end < len(found) else {}
        items = [self.show(raw) for raw in found[int(shown) : end]]
        if request.metadata_only:
            items = [{"metadata": raw["metadata"]} for raw in items]
        return {"metadata": {"resourceVersion": version} | more, "items": items}

    @asynccontextmanager
    async def stream(self, target: str, headers: dict[str, str]) -> AsyncGenerator["_Watch", None]:
        request = _parse("GET", target, headers, None)
        self.requests.append(request)
        yield _Watch(self, request)


class _Watch:
    """A Stream: what has happened, a bookmark after that, then further events until the time is over."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection, self._server, self._request = connection, connection.server, request
        self._seen = int(request.query["resourceVersion"])
        self._marked = -1
        self._ends = asyncio.get_running_loop().time() + (
            int(request.query["timeoutSeconds"]) * connection.seconds_of_a_watch
        )
        self.retry_after = None
        self.status, self._refusal = 200, b""
        try:
            connection.before(request)
        except ApiError as error:
            answer = _refused(error)
            self.status, self._refusal = answer.status, answer.content

    async def read(self) -> bytes:
        if self._refusal or self.status != 200:
            content, self._refusal = self._refusal, b""
            return content
        if self._seen < self._server.compacted:
            self._seen = self._server.version
            error = GoneError(410, "Expired", "too old resource version")
            self._ends = 0.0
            return _line("ERROR", _status(error))
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._ends):
                return await self._next()
        return b""

    async def _next(self) -> bytes:
        await asyncio.sleep(0)
        while True:
            seen, self._seen = self._seen, self._server.version
            lines = [
                _line(kind, raw)
                for kind, raw in self._server.since(
                    seen, self._request.plural, self._request.namespace, **_selectors(self._request)
                )
            ]
            if lines:
                return b"".join(lines)
            if self._marked != self._seen:
                self._marked = self._seen
                return _line("BOOKMARK", {"metadata": {"resourceVersion": str(self._seen)}})
            await self._server.newer(self._seen)
            self._break_off()

    def _break_off(self) -> None:
        """Raise what cuts a connection; a watch that was granted is not refused later."""
        try:
            self._connection.before(self._request)
        except ApiError as error:
            if error.status == 0:
                raise


def _line(kind: str, raw: Json) -> bytes:
    return msgspec.json.encode({"type": kind, "object": raw}) + b"\n"


def _status(error: ApiError) -> Json:
    return {"kind": "Status", "code": error.status, "reason": error.reason, "message": error.message}


def _refused(error: ApiError) -> Answer:
    """Return an error as the API server answers it. Raises what was no answer."""
    if error.status == 0:
        raise error
    seconds = error.retry_after if isinstance(error, UnavailableError) else None
    retry_after = None if seconds is None else str(int(seconds))
    return Answer(error.status, retry_after, msgspec.json.encode(_status(error)))


def _selectors(request: Request) -> dict[str, str]:
    return {ours: request.query.get(theirs, "") for theirs, ours in _LIST_FIELDS.items()}


def _parse(method: str, target: str, headers: dict[str, str], content: bytes | None) -> Request:
    url = urlsplit(target)
    query = dict(parse_qsl(url.query))
    parts = unquote(url.path).strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = parts[1] if parts[0] == "namespaces" and len(parts) > 2 else None
    plural, name, subresource, *_ = [*(parts[2:] if namespace is not None else parts), "", "", ""]
    merges = "merge-patch" in headers.get("Content-Type", "")
    verbs = {"POST": "create", "DELETE": "delete", "PATCH": "merge" if merges else "json"}
    reading = "get" if name else "watch" if "watch" in query else "list"
    return Request(
        verbs.get(method, reading),
        plural,
        namespace,
        name,
        subresource,
        msgspec.json.decode(content) if content else None,
        query,
        _METADATA in headers.get("Accept", ""),
    )
