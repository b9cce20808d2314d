"""Who calls, and whether this one may: API keys, callback tokens, and the tokens of engines' pods.

A key travels in the header `Authorization`, bare or as `Bearer`, or in a cookie of that name; either
suffices, even if the other is wrong. Called by `app` for each request, before its body is read. What was
presented is never logged.
"""

import asyncio
import re
from dataclasses import dataclass
from enum import Enum

from aiohttp import web

from lcm_operator.api.names import ENGINE_SERVICE_ACCOUNT, REST_AUDIENCE
from lcm_operator.kube.client import Client
from lcm_operator.kube.resources import TOKEN_REVIEWS
from lcm_operator.rest.keys import ApiKeys, Scope
from lcm_operator.rest.refused import Refused
from lcm_operator.rest.tokens import CallbackTokens

_POD_UID = "authentication.kubernetes.io/pod-uid"
_NAME = "Authorization"
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_REVIEWS_AT_ONCE = 4


class Asks(Enum):
    """What a route asks for."""

    NOTHING = "nothing"
    KEY = "an API key"
    TOKEN = "a callback token"  # noqa: S105 - not one


@dataclass(frozen=True)
class Door:
    """What is to be entered: a route, and the trial ID of its path, if that can be read."""

    asks: Asks
    method: str
    trial_id: str | None


@dataclass(frozen=True)
class Caller:
    """Who it is, as a name for the log, and the callback token that this one showed."""

    name: str
    shown: str = ""


def presented(request: web.BaseRequest) -> tuple[str, ...]:
    """Return everything in a request that may be a key or a token."""
    candidates: list[str] = []
    for value in (request.headers.get(_NAME, ""), request.cookies.get(_NAME, "")):
        bare = value.strip()
        kind, _, rest = bare.partition(" ")
        candidates += [bare, rest.strip()] if kind.lower() == "bearer" else [bare]
    return tuple(dict.fromkeys(candidate for candidate in candidates if candidate))


class Doorkeeper:
    """Lets callers in, or raises Refused (401, 403). `keys` None: API keys are not asked for."""

    def __init__(self, keys: ApiKeys | None, tokens: CallbackTokens, pods: "PodTokens") -> None:
        self._keys = keys
        self._tokens = tokens
        self._pods = pods

    async def admit(self, door: Door, candidates: tuple[str, ...]) -> Caller:
        """Return who it is. Raises Refused, ApiError."""
        if door.asks is Asks.NOTHING:
            return Caller("-")
        if door.asks is Asks.TOKEN:
            return await self._partner(door, candidates)
        if self._keys is None:
            return Caller("anybody")
        return await self._key(door, candidates, self._keys)

    async def _partner(self, door: Door, candidates: tuple[str, ...]) -> Caller:
        if door.trial_id is not None:
            for candidate in candidates:
                if await self._tokens.holds(door.trial_id, candidate):
                    return Caller("partner", candidate)
        raise Refused(401, "Unauthorized")

    async def _key(self, door: Door, candidates: tuple[str, ...], keys: ApiKeys) -> Caller:
        known = [key for candidate in candidates if (key := keys.find(candidate)) is not None]
        for key in known:
            if key.scope is Scope.OPERATE or door.method == "GET":
                return Caller(f"key {key.name}")
        if door.trial_id is not None:
            for candidate in candidates:
                if await self._pods.is_engine_of(door.trial_id, candidate):
                    return Caller("engine")
        raise Refused(403, "Forbidden") if known else Refused(401, "Unauthorized")


class PodTokens:
    """Tokens of engines' pods (audience `lcm-rest`), which Kubernetes reviews. Nothing is cached."""

    def __init__(self, client: Client, namespace: str, tokens: CallbackTokens) -> None:
        self._client = client
        self._user = f"system:serviceaccount:{namespace}:{ENGINE_SERVICE_ACCOUNT}"
        self._tokens = tokens
        self._few = asyncio.Semaphore(_REVIEWS_AT_ONCE)

    async def is_engine_of(self, trial_id: str, candidate: str) -> bool:
        """Return whether this is the token of the pod that is granted to the engine of `trial_id` now."""
        if not _JWT.fullmatch(candidate):
            return False
        async with self._few:
            uid = await self._pod_uid(candidate)
            engine = await self._tokens.engine(trial_id) if uid else None
        return engine is not None and engine.status.pod_ref is not None and engine.status.pod_ref.uid == uid

    async def _pod_uid(self, candidate: str) -> str:
        """Return the UID of the pod that a token is bound to, or an empty text."""
        review = await self._client.create(
            TOKEN_REVIEWS,
            None,
            {
                "apiVersion": TOKEN_REVIEWS.api,
                "kind": TOKEN_REVIEWS.kind,
                "spec": {"token": candidate, "audiences": [REST_AUDIENCE]},
            },
        )
        status = review.get("status", {})
        user = status.get("user", {})
        # An API server that knows no audiences leaves them out: then the token may be meant for anybody.
        ours = status.get("authenticated") is True and REST_AUDIENCE in status.get("audiences", [])
        if not ours or user.get("username") != self._user:
            return ""
        return str(next(iter(user.get("extra", {}).get(_POD_UID, [])), ""))
