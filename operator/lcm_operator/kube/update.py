"""Read, change, write: each write meets only the version that it was computed from.

Calls of one process take turns by `Locks`, so that only those of several processes conflict.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from lcm_operator.kube.backoff import Backoff
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import AlreadyExists, Conflict, NotFound
from lcm_operator.kube.resources import Resource

_ATTEMPTS = 15
_FIRST_SECONDS, _LONGEST_SECONDS = 0.01, 0.2
Patch = Json | list[Json]
T = TypeVar("T")


class Locks:
    """One lock for each key."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: str) -> asyncio.Lock:
        """Return the lock of a key; it lives as long as somebody holds it or waits for it."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock


async def again_on_conflict(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return what `attempt` returns; after a Conflict it is made again, some seconds long.

    `attempt` reads anew what it writes. Raises Conflict if others kept being faster, and what else it raises.
    """
    backoff = Backoff(_LONGEST_SECONDS, first=_FIRST_SECONDS)
    for _ in range(_ATTEMPTS - 1):
        try:
            return await attempt()
        except Conflict:
            await backoff.pause()
    return await attempt()


async def update(
    client: Client,
    resource: Resource,
    namespace: str,
    name: str,
    change: Callable[[Json], Patch | None],
    *,
    subresource: str = "",
    missing: Json | None = None,
    known: Json | None = None,
) -> Json:
    """Change an object and return it as it is then.

    `change` returns a merge patch of what was read, or a JSON patch that replaces its resourceVersion; None
    if nothing is to be written. It is asked again whenever somebody else was faster, and may raise what it
    likes. `missing`: what is changed by a merge patch, and created, if there is no such object; without it
    that is NotFound. `known`: the object as it was just read, so that the first attempt need not read it.
    Raises Conflict if others kept being faster, and what else the API server says.
    """

    async def attempt() -> Json:
        nonlocal known
        raw, known = known, None
        if raw is None:
            try:
                raw = await client.get(resource, namespace, name)
            except NotFound:
                if missing is None:
                    raise
                return await _create(client, resource, namespace, missing, change)
        patch = change(raw)
        if patch is None:
            return raw
        if isinstance(patch, list):
            return await client.json_patch(resource, namespace, name, patch, subresource=subresource)
        metadata = patch.get("metadata", {}) | {"resourceVersion": raw["metadata"]["resourceVersion"]}
        try:
            return await client.merge_patch(
                resource, namespace, name, patch | {"metadata": metadata}, subresource=subresource
            )
        except NotFound as error:
            if missing is None:
                raise
            raise Conflict(error.status, error.reason, error.message) from error

    try:
        return await again_on_conflict(attempt)
    except Conflict as error:
        text = f"{resource.kind} {name} is being changed too often. Try again."
        raise Conflict(error.status, error.reason, text) from error


async def _create(
    client: Client,
    resource: Resource,
    namespace: str,
    manifest: Json,
    change: Callable[[Json], Patch | None],
) -> Json:
    patch = change(manifest)
    if not isinstance(patch, dict):
        return manifest
    try:
        return await client.create(resource, namespace, manifest | patch)
    except AlreadyExists as error:
        raise Conflict(error.status, error.reason, error.message) from error
