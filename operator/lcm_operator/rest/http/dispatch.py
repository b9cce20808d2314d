"""The steps of every request, in this order.

1. path and method: 404, 405
2. host and origin: 421, 403 (`origin`)
3. key or token: 401, 403 (`callers`)
4. ID, query and body: 408, 413, 422, 400 (`bodies`)
5. the route's handler

This module must not know any route by name.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from lcm_operator import logs
from lcm_operator.api.storage import MalformedError
from lcm_operator.kube.clock import elapsed
from lcm_operator.kube.errors import ApiError, ConflictError
from lcm_operator.rest.http import bodies, replies, server
from lcm_operator.rest.http.callers import Authenticate, Caller, Requirement, credentials
from lcm_operator.rest.http.origin import OriginCheck
from lcm_operator.rest.http.replies import HttpRefusalError
from lcm_operator.rest.http.routing import Call, Route, RouteMatch, RouteTable

LARGEST_BODY = 64 * 1024
_LONGEST_PATH = 512
BODY_SECONDS = 10.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
log = logs.get(__name__)


class Dispatcher:
    """The handler of a `server.Server`.

    Handlers are called only while `ready()`. `observe` is called with each answer: the route's path (empty if
    there is none), method, status and seconds.
    """

    def __init__(
        self,
        table: RouteTable,
        authenticate: Authenticate,
        origin: OriginCheck,
        ready: Callable[[], bool],
        observe: Callable[[str, str, int, float], None],
        *,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._table = table
        self._authenticate = authenticate
        self._origin = origin
        self._ready = ready
        self._observe = observe
        self._body_seconds = body_seconds

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; raises nothing."""
        server.begin(request)
        began = elapsed()
        path, _, query = request.raw_path.partition("#")[0].partition("?")
        if not path.startswith("/"):  # absolute form, as proxies send it, or `*`
            path = request.rel_url.raw_path
        match = self._table.find(path)
        route = match.route(request.method) if match else None
        visit = _Visit(request, query)
        answer = await self._answer(visit, match, route)
        seconds = elapsed() - began
        self._observe(route.path if route else "", request.method if match else "", answer.status, seconds)
        log.info(
            "request",
            client=request.remote,
            method=request.method,
            path=path[:_LONGEST_PATH],
            status=answer.status,
            seconds=round(seconds, 3),
            caller=visit.caller.name,
        )
        return answer

    async def _answer(
        self, visit: "_Visit", match: RouteMatch | None, route: Route | None
    ) -> web.StreamResponse:
        try:
            if match is None:
                return replies.detail(404, "Not Found")
            if route is None:
                return replies.detail(405, "Method Not Allowed", {"Allow": match.allowed})
            return await route.handle(await self._admit(visit, route, match))
        except bodies.InvalidFieldsError as invalid:
            return replies.detail(422, invalid.faults)
        except HttpRefusalError as refusal:
            return self._refusal(refusal)
        except ConflictError as error:
            return replies.detail(503, replies.cut(error.message))
        except (ApiError, MalformedError) as error:
            log.warning("request failed at the API server", error=error)
            return replies.detail(503, replies.cut(f"Kubernetes: {error}"))
        except Exception:
            log.exception("unexpected error in a request", route=route.path if route else None)
            return replies.detail(500, "Internal Server Error")

    async def _admit(self, visit: "_Visit", route: Route, match: RouteMatch) -> Call:
        """Authenticate and validate a request; return the call."""
        request = visit.request
        if route.requires is not Requirement.NOTHING:
            self._origin.check(request.method, request.headers.get("Host"), request.headers.get("Origin"))
        visit.caller = await self._authenticate(
            route.requires, route.method, match.trial_id, credentials(request)
        )
        if route.requires is not Requirement.NOTHING and not self._ready():
            raise HttpRefusalError(503, "Not ready: the first lists are not complete.")
        found_id = bodies.from_path(match.trial_id) if route.has_id else ""
        query = bodies.from_query(route.query, visit.query) if route.query else None
        body = None
        if route.body:
            raw = await self._body(request, LARGEST_BODY)
            body = bodies.from_body(route.body, raw, request.headers.get("Content-Type"))
        if route.largest_ignored is not None:
            await self._body(request, route.largest_ignored)
        return Call(found_id, match.name, body, query, visit.caller)

    async def _body(self, request: web.BaseRequest, largest: int) -> bytes:
        """Return the body. Raises HttpRefusalError if it is too large, too slow or incomplete."""
        if (request.content_length or 0) > largest:
            raise HttpRefusalError(413, "Request Entity Too Large")
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(_CONTINUE)
            request.writer.output_size = 0
        read = bytearray()
        try:
            async with asyncio.timeout(self._body_seconds):
                while chunk := await request.content.readany():
                    read += chunk
                    if len(read) > largest:
                        raise HttpRefusalError(413, "Request Entity Too Large")
        except TimeoutError as error:
            raise HttpRefusalError(408, "Request Timeout") from error
        except (web.RequestPayloadError, ConnectionError) as error:
            raise HttpRefusalError(400, "There was an error parsing the body") from error
        return bytes(read)

    @staticmethod
    def _refusal(refusal: HttpRefusalError) -> web.StreamResponse:
        headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None  # noqa: PLR2004
        answer = replies.detail(refusal.status, refusal.detail, headers)
        if refusal.status in (408, 413):
            answer.force_close()  # the rest of the body was not read
        return answer


class _Visit:
    """A request with its query, and its caller once that is known."""

    def __init__(self, request: web.BaseRequest, query: str) -> None:
        self.request: Any = request
        self.query = query
        self.caller = Caller("-")
