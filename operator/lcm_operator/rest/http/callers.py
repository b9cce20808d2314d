"""The credentials that a route requires and that a request carries.

A key or token is sent in the header `Authorization`, bare or as `Bearer`, or in a cookie of that name. Either
suffices, even if the other is wrong. Credentials must not be logged.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from aiohttp import web

_NAME = "Authorization"


class Requirement(Enum):
    """The credential that a route requires."""

    NOTHING = "nothing"
    KEY = "an API key"
    TOKEN = "a callback token"  # noqa: S105 - not one


@dataclass(frozen=True)
class Caller:
    """An authenticated caller: its name in the log, and its callback token."""

    name: str
    token: str = ""
    engine: dict[str, Any] | None = None
    """The TrialEngine that was read to check a token; saves the handler a second read."""


Authenticate = Callable[[Requirement, str, str | None, tuple[str, ...]], Awaitable[Caller]]
"""Returns the caller, by method, trial ID of the path and credentials. Raises HttpRefusalError."""


def credentials(request: web.BaseRequest) -> tuple[str, ...]:
    """Return every value in a request that may be a key or a token."""
    candidates: list[str] = []
    for value in (request.headers.get(_NAME, ""), request.cookies.get(_NAME, "")):
        bare = value.strip()
        kind, _, rest = bare.partition(" ")
        candidates += [bare, rest.strip()] if kind.lower() == "bearer" else [bare]
    return tuple(dict.fromkeys(candidate for candidate in candidates if candidate))
