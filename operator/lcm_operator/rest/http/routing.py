"""Routes, and how a path is matched.

A path is split into segments before it is percent-decoded, so that an ID may contain `%2F`, `.` or `..`. A
trailing slash is ignored.
"""

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp import web
from pydantic import BaseModel

from lcm_operator.rest.http.callers import Caller, Requirement

ID = "{id}"
NAME = "{name}"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Call:
    """A validated request: the trial ID and the name of the path (or ''), body, query and caller."""

    trial_id: str
    name: str
    body: Any
    query: Any
    caller: Caller


@dataclass(frozen=True)
class Route:
    """One row of the table. `path` may contain one `{id}` and, for a DNS label, one `{name}`."""

    method: str
    path: str
    handle: Callable[[Call], Awaitable[web.StreamResponse]]
    requires: Requirement = Requirement.KEY
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    largest_ignored: int | None = None  # A body is ignored, but must not be larger.
    # For the OpenAPI document, which omits routes without a summary.
    summary: str | None = None
    answer: str = "Message"
    refusals: tuple[int, ...] = ()
    deprecated: bool = False

    @property
    def has_id(self) -> bool:
        """Whether a trial ID is part of the path."""
        return ID in self.path.split("/")


@dataclass(frozen=True)
class RouteMatch:
    """The routes of one path by method, its trial ID (None if it has none or is not UTF-8) and its name."""

    methods: dict[str, Route]
    trial_id: str | None
    name: str

    def route(self, method: str) -> Route | None:
        """Return the route of a method; HEAD has that of GET, and the server leaves out the body."""
        return self.methods.get("GET" if method == "HEAD" else method)

    @property
    def allowed(self) -> str:
        """The value of `Allow`."""
        return ", ".join(sorted(self.methods.keys() | ({"HEAD"} if "GET" in self.methods else set())))


class RouteTable:
    """All routes."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._paths: defaultdict[tuple[str, ...], dict[str, Route]] = defaultdict(dict)
        for route in self.routes:
            methods = self._paths[tuple(route.path.split("/"))]
            if route.method in methods:
                raise ValueError(f"{route.method} {route.path} is in the table twice")
            methods[route.method] = route

    def find(self, raw_path: str) -> RouteMatch | None:
        """Return the routes of a path as sent, without its query; None if there are none."""
        path = raw_path.removesuffix("/") or "/"
        given = [_decoded(segment) for segment in path.split("/")]
        for pattern, methods in self._paths.items():
            if len(pattern) == len(given) and all(map(_fits, pattern, given)):
                found = dict(zip(pattern, given, strict=True))
                return RouteMatch(methods, found.get(ID), found.get(NAME) or "")
        return None


def _fits(wanted: str, segment: str | None) -> bool:
    if wanted == NAME:
        return segment is not None and _LABEL.fullmatch(segment) is not None
    return wanted in (ID, segment)


def _decoded(segment: str) -> str | None:
    """Return a decoded segment, None if it is not UTF-8."""
    try:
        return unquote_to_bytes(segment.encode(errors="surrogateescape")).decode()
    except UnicodeDecodeError:
        return None
