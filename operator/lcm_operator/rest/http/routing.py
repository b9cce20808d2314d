"""What a route is, and how a path finds its route.

Paths are matched as they came, segment by segment, and only then percent-decoded: `%2F` is part of an ID, and
so are `..` and `.`. A trailing slash is ignored. Requests are answered and the OpenAPI document is made from
the same table, so they can't differ.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp import web
from pydantic import BaseModel

from lcm_operator.rest.http.callers import Caller, Requirement

ID = "{id}"


@dataclass(frozen=True)
class Call:
    """What a handler gets: the ID of the path (or ''), body, query, and who calls."""

    trial_id: str
    body: Any
    query: Any
    caller: Caller


@dataclass(frozen=True)
class Route:
    """One row of the table. `path` may hold one `{id}`."""

    method: str
    path: str
    handle: Callable[[Call], Awaitable[web.StreamResponse]]
    requires: Requirement = Requirement.KEY
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    largest_ignored: int | None = None  # A body means nothing, but may be no larger than this.
    # What the OpenAPI document says about it; None: it is not part of it.
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
    """The routes of one path by method, and its ID: None if it is not UTF-8, or if there is none."""

    methods: dict[str, Route]
    trial_id: str | None


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
        """Return the routes of a path as it is in the request line, without query; None if there are none."""
        path = raw_path.removesuffix("/") or "/"
        given = [_decoded(segment) for segment in path.split("/")]
        for pattern, methods in self._paths.items():
            if len(pattern) == len(given) and all(
                wanted in (ID, found) for wanted, found in zip(pattern, given, strict=True)
            ):
                return RouteMatch(methods, given[pattern.index(ID)] if ID in pattern else None)
        return None


def _decoded(segment: str) -> str | None:
    """Return a segment of a path as text, None if that is not UTF-8."""
    try:
        return unquote_to_bytes(segment.encode(errors="surrogateescape")).decode()
    except UnicodeDecodeError:
        return None
