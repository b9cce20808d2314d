"""Reads the objects that engines refer to: each once for all trials that need it, then at a bounded pace.

A missing object is read again every 2 s, the others every 5 s, at most MOST_A_PASS of them a second. Slots
are decided about again when an object appears, disappears or changes its keys. Of a Secret only the names of
its keys are kept. An object whose read is rejected counts as unknown.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from lcm_operator import logs
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.references import Place
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain import references as kinds
from lcm_operator.domain.snapshot import Keys, Reference
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import ApiError, NotFoundError
from lcm_operator.kube.resources import (
    CONFIG_MAPS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    TRIAL_REGISTRIES,
    Resource,
)

_PASS_SECONDS = 1.0
_MISSING_SECONDS, _PRESENT_SECONDS, _REJECTED_SECONDS = 2.0, 5.0, 60.0
_RESOURCES: dict[str, Resource] = {
    kinds.SECRET: SECRETS,
    kinds.CONFIG_MAP: CONFIG_MAPS,
    kinds.SERVICE_ACCOUNT: SERVICE_ACCOUNTS,
    kinds.ROLE_BINDING: ROLE_BINDINGS,
    kinds.TRIAL_REGISTRY: TRIAL_REGISTRIES,
}
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
log = logs.get(__name__)


class ReferenceReader:
    """Reads objects into the cache."""

    def __init__(self, client: Client, cache: SlotCache, clock: Clock) -> None:
        self._client = client
        self._cache = cache
        self._clock = clock

    async def run(self, examine: Callable[[Iterable[Key]], Awaitable[None]]) -> None:
        """Read again, at a bounded pace, until cancelled; `examine` has slots decided about."""
        while True:
            for place in self._cache.references.due(self._clock.elapsed(), self._cache.waits_for_start):
                await examine(await self._read(place))
            await asyncio.sleep(_PASS_SECONDS)

    async def read(self, key: Key, objects: frozenset[Reference]) -> None:
        """Read those objects that are not known, and have the slot decided about when one changes."""
        self._cache.references.watch(key, objects)
        for each in sorted(objects):
            place = (key.namespace, each)
            if self._cache.references.is_due(place, self._clock.elapsed()):
                await self._read(place)

    async def _read(self, place: Place) -> set[Key]:
        namespace, (kind, name) = place
        try:
            keys = await self._keys_of(place)
        except ApiError as error:
            log.debug("referenced object not read", kind=kind, namespace=namespace, name=name, error=error)
            return self._cache.references.put(place, None, self._clock.elapsed() + _REJECTED_SECONDS)
        pause = _MISSING_SECONDS if keys is None else _PRESENT_SECONDS
        return self._cache.references.put(place, self._cache.observed(keys), self._clock.elapsed() + pause)

    async def _keys_of(self, place: Place) -> Keys | None:
        """Return the keys of an object, None if it does not exist. Raises ApiError."""
        namespace, (kind, name) = place
        if not _NAME.fullmatch(name):  # a template has no schema: its names must not become paths
            return None
        try:
            raw = await self._client.get(_RESOURCES[kind], namespace, name)
        except NotFoundError:
            return None
        return _keys(raw)


def _keys(raw: Mapping[str, Any]) -> Keys:
    """Return the keys in the data of an object; values are dropped here."""
    parts = (raw.get(field) for field in ("data", "binaryData", "stringData"))
    return frozenset(key for part in parts if isinstance(part, dict) for key in part)
