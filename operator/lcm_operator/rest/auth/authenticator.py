"""Authenticates callers by an API key, a callback token or the token of an engine pod.

Credentials must not be logged.
"""

from lcm_operator.rest.auth.keys import ApiKeys, KeyScope
from lcm_operator.rest.auth.pod_tokens import PodTokens
from lcm_operator.rest.auth.tokens import CallbackTokens
from lcm_operator.rest.http.callers import Caller, Requirement
from lcm_operator.rest.http.replies import HttpRefusalError


class Authenticator:
    """Identifies callers. If `keys` is None, no API key is required."""

    def __init__(self, keys: ApiKeys | None, tokens: CallbackTokens, pods: PodTokens) -> None:
        self._keys = keys
        self._tokens = tokens
        self._pods = pods

    async def authenticate(
        self, requirement: Requirement, method: str, trial_id: str | None, credentials: tuple[str, ...]
    ) -> Caller:
        """Return the caller. `trial_id`: from the path; None if it has none or is not UTF-8.

        Raises HttpRefusalError (401, 403), ApiError, MalformedError.
        """
        if requirement is Requirement.NOTHING:
            return Caller("-")
        if requirement is Requirement.TOKEN:
            return await self._partner(trial_id, credentials)
        if self._keys is None:
            return Caller("anybody")
        return await self._key_holder(self._keys, method, trial_id, credentials)

    async def _partner(self, trial_id: str | None, credentials: tuple[str, ...]) -> Caller:
        caller = await self._tokens.partner(trial_id, credentials) if trial_id is not None else None
        if caller is None:
            raise HttpRefusalError(401, "Unauthorized")
        return caller

    async def _key_holder(
        self, keys: ApiKeys, method: str, trial_id: str | None, credentials: tuple[str, ...]
    ) -> Caller:
        known = [key for shown in credentials if (key := keys.find(shown)) is not None]
        for key in known:
            if key.scope is KeyScope.OPERATE or method == "GET":
                return Caller(f"key {key.name}")
        engine = await self._pods.engine(trial_id, credentials) if trial_id is not None else None
        if engine is None:
            raise HttpRefusalError(403, "Forbidden") if known else HttpRefusalError(401, "Unauthorized")
        return engine
