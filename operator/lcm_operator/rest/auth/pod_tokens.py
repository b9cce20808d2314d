"""Tokens of engine pods (audience `lcm-rest`), reviewed by the API server. Reviews must not be cached."""

import asyncio
import re

from lcm_operator.api.names import ENGINE_SERVICE_ACCOUNT, REST_AUDIENCE
from lcm_operator.kube.client import Client
from lcm_operator.kube.resources import TOKEN_REVIEWS
from lcm_operator.rest.auth.tokens import read_engine
from lcm_operator.rest.http.callers import Caller

_POD_UID = "authentication.kubernetes.io/pod-uid"
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_REVIEWS_AT_ONCE = 4


class PodTokens:
    """The tokens of the engine pods of one namespace. Raises ApiError, MalformedError."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._user = f"system:serviceaccount:{namespace}:{ENGINE_SERVICE_ACCOUNT}"
        self._few = asyncio.Semaphore(_REVIEWS_AT_ONCE)

    async def engine(self, trial_id: str, credentials: tuple[str, ...]) -> Caller | None:
        """Return the engine of `trial_id` if a credential is the token of its granted pod."""
        for shown in credentials:
            if _JWT.fullmatch(shown):
                async with self._few:
                    caller = await self._engine(trial_id, shown)
                if caller is not None:
                    return caller
        return None

    async def _engine(self, trial_id: str, token: str) -> Caller | None:
        uid = await self._pod_uid(token)
        found = await read_engine(self._client, self._namespace, trial_id) if uid else None
        if found is None:
            return None
        raw, engine = found
        granted = engine.status.pod_ref
        return Caller("engine", engine=raw) if granted is not None and granted.uid == uid else None

    async def _pod_uid(self, token: str) -> str:
        """Return the UID of the pod that a token is bound to, empty if it is not a token of an engine pod."""
        review = await self._client.create(
            TOKEN_REVIEWS,
            None,
            {
                "apiVersion": TOKEN_REVIEWS.api,
                "kind": TOKEN_REVIEWS.kind,
                "spec": {"token": token, "audiences": [REST_AUDIENCE]},
            },
        )
        status = review.get("status", {})
        user = status.get("user", {})
        # An API server without audiences omits them: the token could be meant for another service.
        ours = status.get("authenticated") is True and REST_AUDIENCE in status.get("audiences", [])
        if not ours or user.get("username") != self._user:
            return ""
        return str(next(iter(user.get("extra", {}).get(_POD_UID, [])), ""))
