"""Callback tokens authorise a partner for one trial: 256 random bits, stored as hashes, valid for 30 days.

Once an engine has been granted, its tokens are stored in `TrialEngine.status.callbackTokens` and deleted with
it; before that, and for IDs without a trial, in the ConfigMap `lcm-rest`. Each check reads both from the API
server, so that tokens issued or revoked by another sidecar count at once. Tokens must not be logged.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from lcm_operator.api.engine import CallbackToken, TrialEngine
from lcm_operator.api.names import engine_name
from lcm_operator.api.storage import parse, serialise
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.resources import TRIAL_ENGINES
from lcm_operator.kube.update import update
from lcm_operator.rest.http.callers import Caller
from lcm_operator.rest.http.replies import HttpRefusalError
from lcm_operator.rest.state import MOST, Content, SidecarState, StoredToken

LIFETIME = timedelta(days=30)
MOST_PER_TRIAL = 8
T = TypeVar("T", CallbackToken, StoredToken)
_SHAPE = re.compile(r"[A-Za-z0-9_-]{43}")


class CallbackTokens:
    """The tokens of one namespace. Methods raise ApiError, and MalformedError for objects edited by hand."""

    def __init__(
        self, client: Client, namespace: str, state: SidecarState, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._state = state
        self._now = now

    async def issue(self, trial_id: str) -> str:
        """Return a new token. A trial's ninth revokes its oldest. Raises HttpRefusalError at the limit."""
        token = secrets.token_urlsafe(32)
        expires = self._now() + LIFETIME
        kept = await self._add_to_engine(trial_id, CallbackToken(hash=_hash(token), expiration_time=expires))
        new = StoredToken(trial=_hash(trial_id), hash=_hash(token), expiration_time=expires)
        if kept is None:
            await self._state.change(lambda content: self._noted(content, new))
        else:
            room = MOST_PER_TRIAL - kept
            await self._state.change(lambda content: self._cut(content, new.trial, room))
        return token

    async def partner(self, trial_id: str, credentials: tuple[str, ...]) -> Caller | None:
        """Return the partner if a credential is a valid token of this trial."""
        shown = [token for token in credentials if _SHAPE.fullmatch(token)]
        if not shown:
            return None
        raw, engine = await read_engine(self._client, self._namespace, trial_id) or (None, None)
        stored = engine.status.callback_tokens if engine else ()
        token = _first_valid(shown, stored, self._now())
        if token is None:
            trial = _hash(trial_id)
            noted = [kept for kept in (await self._state.read()).tokens if kept.trial == trial]
            token = _first_valid(shown, noted, self._now())
        return Caller("partner", token, raw) if token is not None else None

    async def revoke(self, trial_id: str, token: str) -> None:
        """Revoke a token, wherever it is stored."""
        revoked, trial = _hash(token), _hash(trial_id)
        await self._change_engine(
            trial_id, lambda tokens: tuple(kept for kept in tokens if kept.hash != revoked)
        )
        await self._state.change(
            lambda content: replace(
                content,
                tokens=tuple(kept for kept in content.tokens if (kept.trial, kept.hash) != (trial, revoked)),
            )
        )

    async def _add_to_engine(self, trial_id: str, new: CallbackToken) -> int | None:
        """Add a token to the engine; return how many it has then, None if there is no granted engine."""

        def added(tokens: tuple[CallbackToken, ...]) -> tuple[CallbackToken, ...]:
            return (*_live(tokens, self._now())[1 - MOST_PER_TRIAL :], new)

        return await self._change_engine(trial_id, added)

    async def _change_engine(
        self, trial_id: str, change: Callable[[tuple[CallbackToken, ...]], tuple[CallbackToken, ...]]
    ) -> int | None:
        """Change the engine's tokens; return how many it has then, None if there is no granted engine."""
        left: int | None = None

        def changed(raw: Json) -> Json | None:
            nonlocal left
            left, engine = None, parse(raw, TrialEngine)
            # Before the grant it may still be replaced; tokens of one that is being deleted would be lost.
            stays = engine.status.attempt and engine.metadata.deletion_timestamp is None
            if engine.spec.trial_id != trial_id or not stays:
                return None
            tokens = change(engine.status.callback_tokens)
            left = len(tokens)
            if tokens == engine.status.callback_tokens:
                return None
            return {"status": {"callbackTokens": [serialise(token) for token in tokens]}}

        name = engine_name(trial_id)
        try:
            await update(self._client, TRIAL_ENGINES, self._namespace, name, changed, subresource="status")
        except NotFoundError:
            return None
        return left

    def _noted(self, content: Content, new: StoredToken) -> Content:
        kept = self._cut(content, new.trial, MOST_PER_TRIAL - 1).tokens
        if len(kept) >= MOST:
            raise HttpRefusalError(400, f"Too many callback tokens: {MOST} are valid. Revoke some.")
        return replace(content, tokens=(*kept, new))

    def _cut(self, content: Content, trial: str, room: int) -> Content:
        """Return the content without expired tokens and with only the `room` youngest of one trial."""
        live = _live(content.tokens, self._now())
        own = [token for token in live if token.trial == trial]
        dropped = {token.hash for token in own[: max(len(own) - room, 0)]}
        return replace(content, tokens=tuple(token for token in live if token.hash not in dropped))


async def read_engine(client: Client, namespace: str, trial_id: str) -> tuple[Json, TrialEngine] | None:
    """Return the TrialEngine of a trial ID as stored now. Raises ApiError, MalformedError."""
    try:
        raw = await client.get(TRIAL_ENGINES, namespace, engine_name(trial_id))
    except NotFoundError:
        return None
    engine = parse(raw, TrialEngine)
    return (raw, engine) if engine.spec.trial_id == trial_id else None


def _live(tokens: Iterable[T], now: datetime) -> list[T]:
    """Return the tokens that have not expired, oldest first."""
    return sorted((token for token in tokens if token.expiration_time > now), key=lambda t: t.expiration_time)


def _first_valid(
    shown: Iterable[str], tokens: Iterable[CallbackToken | StoredToken], now: datetime
) -> str | None:
    """Return the first credential that is one of `tokens` and has not expired."""
    live = [kept.hash for kept in tokens if kept.expiration_time > now]
    return next(
        (token for token in shown if any(hmac.compare_digest(kept, _hash(token)) for kept in live)), None
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
