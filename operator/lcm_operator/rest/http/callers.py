"""What a route requires of its caller, and what a request shows for it.

A key or token is sent in the header `Authorization`, bare or as `Bearer`, or in a cookie of that name; either
suffices, even if the other is wrong. What was sent must not be logged.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from aiohttp import web

_NAME = "Authorization"


class Requirement(Enum):
    """What a route requires of its caller."""

    NOTHING = "nothing"
    KEY = "an API key"
    TOKEN = "a callback token"  # noqa: S105 - not one


@dataclass(frozen=True)
class Caller:
    """Who calls: a name for the log, and the callback token that was shown."""

    name: str
    token: str = ""
    engine: dict[str, Any] | None = None
    """The TrialEngine that was read to check a token, so that the handler need not read it once more."""


Authenticate = Callable[[Requirement, str, str | None, tuple[str, ...]], Awaitable[Caller]]
"""Returns who calls, by the method, the trial ID of the path and the credentials. Raises HttpRefusalError."""


def credentials(request: web.BaseRequest) -> tuple[str, ...]:
    """Return everything in a request that may be a key or a token."""
    candidates: list[str] = []
    for value in (request.headers.get(_NAME, ""), request.cookies.get(_NAME, "")):
        bare = value.strip()
        kind, _, rest = bare.partition(" ")
        candidates += [bare, rest.strip()] if kind.lower() == "bearer" else [bare]
    return tuple(dict.fromkeys(candidate for candidate in candidates if candidate))
