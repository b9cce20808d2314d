"""The ConfigMap `lcm-rest`: heartbeats, and callback tokens of trial IDs without an engine.

The only state of the sidecar's own. Several sidecars may write it: each write carries the resourceVersion
that it was computed from.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec

from lcm_operator.api.storage import MalformedError, Moment, Record
from lcm_operator.kube import errors
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.follow import Changed, Deleted, Listed, ListWatch
from lcm_operator.kube.resources import CONFIG_MAPS
from lcm_operator.kube.update import update
from lcm_operator.rest.http.replies import HttpRefusalError

NAME = "lcm-rest"
MOST = 1000
"""The maximum of each: a ConfigMap holds 1 MiB."""
_FULL = f"Too many heartbeats: at most {MOST} are kept. Remove some."
_MISSING: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}}


class StoredToken(Record, frozen=True, kw_only=True):
    """A callback token: `trial` is the sha256 of the trial ID, `hash` that of the token, both in hex."""

    trial: str
    hash: str
    expiration_time: Moment


@dataclass(frozen=True)
class Content:
    """The content of the ConfigMap. Heartbeats are trial IDs in the order in which they were added."""

    heartbeats: tuple[str, ...] = ()
    tokens: tuple[StoredToken, ...] = ()

    @classmethod
    def parse(cls, raw: Json) -> "Content":
        """Return the content of a ConfigMap. Raises MalformedError, for example after an edit by hand."""
        data: Mapping[str, str] = raw.get("data") or {}
        try:
            return cls(
                heartbeats=msgspec.json.decode(data.get("heartbeats") or "[]", type=tuple[str, ...]),
                tokens=msgspec.json.decode(data.get("tokens") or "[]", type=tuple[StoredToken, ...]),
            )
        except (ValueError, RecursionError) as error:
            raise MalformedError(f"ConfigMap {NAME}: {error}") from error

    def data(self) -> dict[str, str]:
        """Return it as the ConfigMap's `data`."""
        return {
            "heartbeats": msgspec.json.encode(self.heartbeats).decode(),
            "tokens": msgspec.json.encode(self.tokens).decode(),
        }


class SidecarState:
    """Reads and writes the ConfigMap of one namespace."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._one_at_a_time = asyncio.Lock()
        self._version = 0
        self.known = Content()
        """The newest content seen; kept current while `follow` runs."""
        self.filled = asyncio.Event()
        """Set once the ConfigMap was read for the first time."""

    async def follow(self) -> None:
        """Keep `known` current. Ends only when cancelled."""
        stream = ListWatch(self._client, CONFIG_MAPS, self._namespace, read=Content.parse, name=NAME)
        async for event in stream.events():
            match event:
                case Changed():
                    self._take(event.object, event.head.resource_version)
                case Deleted():
                    self._take(Content(), event.head.resource_version)
                case Listed():
                    if not event.uids:
                        self._take(Content(), event.resource_version)
                    self.filled.set()

    async def read(self) -> Content:
        """Return the content as stored now. Raises MalformedError, ApiError."""
        try:
            return Content.parse(await self._client.get(CONFIG_MAPS, self._namespace, NAME))
        except NotFoundError:
            return Content()

    async def change(self, change: Callable[[Content], Content]) -> None:
        """Apply `change` to the content and store it; after a conflict, `change` is called again.

        Raises what `change` raises, ConflictError after repeated conflicts, MalformedError, ApiError.
        """

        def changed(raw: Json) -> Json | None:
            before = Content.parse(raw)
            after = change(before)
            return {"data": after.data()} if after != before else None

        async with self._one_at_a_time:
            raw = await update(self._client, CONFIG_MAPS, self._namespace, NAME, changed, missing=_MISSING)
        self._take(Content.parse(raw), raw["metadata"].get("resourceVersion", "0"))

    def _take(self, content: Content, version: str) -> None:
        """Remember a content, unless a newer one is known."""
        if int(version) > self._version:
            self._version, self.known = int(version), content


class Heartbeats:
    """The legacy list of heartbeats: trial IDs that callers add and /status shows.

    It is unrelated to the Leases that engines renew. Both methods raise ApiError.
    """

    def __init__(self, state: SidecarState) -> None:
        self._state = state

    @property
    def known(self) -> tuple[str, ...]:
        """The trial IDs, each as often as it was added."""
        return self._state.known.heartbeats

    async def add(self, trial_id: str) -> None:
        """Add one, even if the ID is listed already. Raises HttpRefusalError if the list is full."""

        def added(content: Content) -> Content:
            if len(content.heartbeats) >= MOST:
                raise HttpRefusalError(400, _FULL)
            return replace(content, heartbeats=(*content.heartbeats, trial_id))

        try:
            await self._state.change(added)
        except errors.RejectedError as error:
            if error.status != 422:  # noqa: PLR2004 - the ConfigMap would be too large: IDs can be long
                raise
            raise HttpRefusalError(400, _FULL) from error

    async def remove(self, trial_id: str) -> None:
        """Remove the latest one of an ID. Raises HttpRefusalError if there is none."""

        def removed(content: Content) -> Content:
            rest = list(content.heartbeats)
            for position in range(len(rest) - 1, -1, -1):
                if rest[position] == trial_id:
                    del rest[position]
                    return replace(content, heartbeats=tuple(rest))
            raise HttpRefusalError(400, f"Heartbeat instance with trial ID: {trial_id} does not exist.")

        await self._state.change(removed)
