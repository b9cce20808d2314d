"""The journal of a dummy: the requests in the order of their arrival, and the answers."""

import json
from collections import deque
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from dummies.faults import CONTROL

_LONGEST = 10_000


class Journal:
    """The last requests but those to the dummy's own controls."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=_LONGEST)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Return them as JSON, the oldest first. `status` is null as long as, or if, there was no answer."""
        return list(self._entries)

    @property
    def routes(self) -> web.RouteTableDef:
        """Return the routes to the journal itself."""
        routes = web.RouteTableDef()

        @routes.get("/_journal")
        async def show(_: web.Request) -> web.Response:
            return web.json_response(self.entries)

        @routes.delete("/_journal")
        async def clear(_: web.Request) -> web.Response:
            self._entries.clear()
            return web.Response(status=204)

        return routes

    @property
    def middleware(self) -> Middleware:
        """Return the outermost middleware."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith(CONTROL):
                return await handler(request)
            entry = await _entry(request)
            self._entries.append(entry)
            try:
                answer = await handler(request)
            except web.HTTPException as refusal:
                entry["status"] = refusal.status
                raise
            if request.transport is not None and not request.transport.is_closing():
                entry["status"] = answer.status
            return answer

        return note


async def _entry(request: web.Request) -> dict[str, Any]:
    text = (await request.read()).decode(errors="replace")
    try:
        body = json.loads(text) if text else None
    except ValueError:
        body = text
    return {
        "time": datetime.now(UTC).isoformat(),
        "method": request.method,
        "path": request.path,
        "query": dict(request.query),
        "headers": dict(request.headers),
        "body": body,
        "status": None,
    }
