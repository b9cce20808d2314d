"""The ConfigMap `lcm-rest`: heartbeats, and callback tokens of trial IDs without an engine.

The only thing that the sidecar stores by itself. Any number of sidecars may write it: each write carries the
resourceVersion that it was computed from. Called by `heartbeats` and `tokens`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from lcm_operator.api.storage import Malformed, Moment, Record
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFound
from lcm_operator.kube.follow import Changed, Deleted, Listed, ListWatch
from lcm_operator.kube.resources import CONFIG_MAPS
from lcm_operator.kube.update import update

NAME = "lcm-rest"
MOST = 1000
"""Heartbeats, and tokens: a ConfigMap holds 1 MiB."""
_MISSING: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}}


class NotedToken(Record, frozen=True, kw_only=True):
    """A callback token: `trial` is the sha256 of the trial ID, `hash` that of the token, both in hex."""

    trial: str
    hash: str
    expiration_time: Moment


@dataclass(frozen=True)
class Content:
    """What the ConfigMap holds. Heartbeats are trial IDs, in the order in which they were added."""

    heartbeats: tuple[str, ...] = ()
    tokens: tuple[NotedToken, ...] = ()

    @classmethod
    def parse(cls, raw: Json) -> "Content":
        """Return the content of the ConfigMap as it was read. Raises Malformed, if people wrote it."""
        data: Mapping[str, str] = raw.get("data") or {}
        try:
            return cls(
                heartbeats=msgspec.json.decode(data.get("heartbeats") or "[]", type=tuple[str, ...]),
                tokens=msgspec.json.decode(data.get("tokens") or "[]", type=tuple[NotedToken, ...]),
            )
        except (ValueError, RecursionError) as error:
            raise Malformed(f"ConfigMap {NAME}: {error}") from error

    def data(self) -> dict[str, str]:
        """Return the `data` that holds it."""
        return {
            "heartbeats": msgspec.json.encode(self.heartbeats).decode(),
            "tokens": msgspec.json.encode(self.tokens).decode(),
        }


class Notes:
    """The content of the ConfigMap of one namespace."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._one_at_a_time = asyncio.Lock()
        self._version = 0
        self.known = Content()
        """What was last seen; it follows the ConfigMap while `follow` runs."""
        self.filled = asyncio.Event()
        """Set once `known` holds what there was."""

    async def follow(self) -> None:
        """Keep `known` what the API server has. Ends only when it is cancelled."""
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
        """Return what stands there now. Raises Malformed, ApiError."""
        try:
            return Content.parse(await self._client.get(CONFIG_MAPS, self._namespace, NAME))
        except NotFound:
            return Content()

    async def change(self, change: Callable[[Content], Content]) -> None:
        """Write what `change` makes of the content; it is asked again when somebody else was faster.

        Raises what `change` raises, Conflict when others kept being faster, Malformed, ApiError.
        """

        def changed(raw: Json) -> Json | None:
            before = Content.parse(raw)
            after = change(before)
            return {"data": after.data()} if after != before else None

        async with self._one_at_a_time:
            raw = await update(self._client, CONFIG_MAPS, self._namespace, NAME, changed, missing=_MISSING)
        self._take(Content.parse(raw), raw["metadata"].get("resourceVersion", "0"))

    def _take(self, content: Content, version: str) -> None:
        """Remember what was seen, unless something newer was."""
        if int(version) > self._version:
            self._version, self.known = int(version), content
