"""Tokens of engines' pods (audience `lcm-rest`), which Kubernetes reviews: nothing may be cached."""

import asyncio
import re

from lcm_operator.api.names import ENGINE_SERVICE_ACCOUNT, REST_AUDIENCE
from lcm_operator.kube.client import Client
from lcm_operator.kube.resources import TOKEN_REVIEWS
from lcm_operator.rest.engine_reads import read_engine
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
        """Return the engine of `trial_id`, if the token of the pod that is granted to it now is shown."""
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
        if found is None or found.engine.status.pod_ref is None or found.engine.status.pod_ref.uid != uid:
            return None
        return Caller("engine", engine=found.raw)

    async def _pod_uid(self, token: str) -> str:
        """Return the UID of the pod that a token is bound to, or an empty text."""
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
        # An API server that knows no audiences leaves them out: then the token may be meant for anybody.
        ours = status.get("authenticated") is True and REST_AUDIENCE in status.get("audiences", [])
        if not ours or user.get("username") != self._user:
            return ""
        return str(next(iter(user.get("extra", {}).get(_POD_UID, [])), ""))
