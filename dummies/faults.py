"""Failures on demand, for the dummies: the next requests that fit fail in the way that was asked for.

Used by the dummy registry and the dummy partner services; never by anything that acts for real.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from dummies.bodies import json_object

CONTROL = "/_"
_LONGEST_SECONDS = 3600
_CHUNK = b" " * 1024


class NoFaultError(ValueError):
    """The requested fault is invalid; the text names the field and the allowed values."""


@dataclass
class Fault:
    """One failure. `count`: for how many more requests; None: until it is removed.

    `skip`: how many that fit are let pass first.
    """

    kind: str
    path: str | None = None
    method: str | None = None
    count: int | None = None
    skip: int = 0
    status: int = 500
    seconds: float = 60

    def fits(self, request: web.Request) -> bool:
        """Return whether this request is to fail."""
        return (
            self.count != 0
            and self.path in (None, request.path)
            and self.method in (None, request.method)
            and not request.path.startswith(CONTROL)
        )


class Faults:
    """All failures that were asked for; of several that fit a request the oldest is used up first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def set(self, wanted: dict[str, Any]) -> None:
        """Take up a failure: the members of `Fault`. Raises NoFaultError."""
        self._faults.append(_fault(wanted))

    def clear(self) -> None:
        """Fail no more."""
        self._faults.clear()

    @property
    def routes(self) -> web.RouteTableDef:
        """Return the routes by which failures are asked for."""
        routes = web.RouteTableDef()

        @routes.put("/_faults")
        async def set_fault(request: web.Request) -> web.Response:
            try:
                self.set(await json_object(request))
            except NoFaultError as error:
                return web.json_response({"detail": str(error)}, status=400)
            return web.Response(status=204)

        @routes.delete("/_faults")
        async def clear_faults(_: web.Request) -> web.Response:
            self.clear()
            return web.Response(status=204)

        return routes

    @property
    def middleware(self) -> Middleware:
        """Return the middleware in front of the handlers."""

        @web.middleware
        async def fail(request: web.Request, handler: Handler) -> web.StreamResponse:
            fault = self._next(request)
            if fault is None:
                return await handler(request)
            if fault.count is not None:
                fault.count -= 1
            return await _KINDS[fault.kind](fault, request, handler)

        return fail

    def _next(self, request: web.Request) -> Fault | None:
        for fault in self._faults:
            if fault.fits(request):
                if fault.skip == 0:
                    return fault
                fault.skip -= 1
        return None


async def _status(fault: Fault, _: web.Request, __: Handler) -> web.StreamResponse:
    return web.json_response({"detail": "failure requested"}, status=fault.status)


async def _slow(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    await asyncio.sleep(fault.seconds)
    return await handler(request)


async def _html(_: Fault, __: web.Request, ___: Handler) -> web.StreamResponse:
    return web.Response(text="<html><body>It works!</body></html>", content_type="text/html")


async def _truncated(_: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    whole = await handler(request)
    body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b"[]"
    half = web.StreamResponse(headers={"Content-Length": str(len(body))})
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    return _dropped(request, half)


async def _endless(_: Fault, request: web.Request, __: Handler) -> web.StreamResponse:
    reply = web.StreamResponse()
    await reply.prepare(request)
    while True:
        await reply.write(_CHUNK)


async def _redirect(_: Fault, request: web.Request, __: Handler) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": request.path})


async def _drop(_: Fault, request: web.Request, __: Handler) -> web.StreamResponse:
    return _dropped(request, web.StreamResponse())


def _dropped(request: web.Request, reply: web.StreamResponse) -> web.StreamResponse:
    """Close the connection, whatever is still to come."""
    if request.transport is not None:
        request.transport.close()
    return reply


_KINDS = {
    "status": _status,
    "slow": _slow,
    "html": _html,
    "truncated": _truncated,
    "endless": _endless,
    "redirect": _redirect,
    "drop": _drop,
}


def _fault(wanted: dict[str, Any]) -> Fault:
    """Return the failure. Raises NoFaultError."""
    unknown = sorted(set(wanted) - set(Fault.__dataclass_fields__))
    if unknown:
        raise NoFaultError(f"{unknown[0]} is not a field of a fault")
    fault = Fault(**({"kind": ""} | wanted))
    if fault.kind not in _KINDS:
        raise NoFaultError(f"kind must be one of {', '.join(_KINDS)}")
    for name in ("path", "method"):
        if not isinstance(getattr(fault, name), str | None):
            raise NoFaultError(f"{name} must be a string")
    if not _is_number(fault.status, int) or not 200 <= fault.status <= 599:  # noqa: PLR2004 - HTTP's
        raise NoFaultError("status must be an integer from 200 to 599")
    if not _is_number(fault.seconds, int | float) or not 0 <= fault.seconds <= _LONGEST_SECONDS:
        raise NoFaultError(f"seconds must be a number from 0 to {_LONGEST_SECONDS}")
    if fault.count is not None and (not _is_number(fault.count, int) or fault.count < 1):
        raise NoFaultError("count must be an integer of at least 1, or null")
    if not _is_number(fault.skip, int) or fault.skip < 0:
        raise NoFaultError("skip must be an integer of at least 0")
    return fault


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
