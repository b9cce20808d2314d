"""Read, change, write: each write is guarded by the version that it was computed from.

Calls of one process take turns by `Locks`, so that only those of several processes conflict.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from lcm_operator.kube.backoff import Backoff
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import AlreadyExistsError, ConflictError, NotFoundError
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
    """Return what `attempt` returns; repeat it after a ConflictError, for a few seconds.

    `attempt` must read again what it writes. Raises ConflictError if others keep changing it.
    """
    backoff = Backoff(_LONGEST_SECONDS, first=_FIRST_SECONDS)
    for _ in range(_ATTEMPTS - 1):
        try:
            return await attempt()
        except ConflictError:
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

    `change` returns a merge patch for the object, a JSON patch that replaces its resourceVersion, or None to
    write nothing. It is called again after each conflict, and may raise anything. `missing`: the object to
    create if there is none. `known`: the object as just read, which saves the first read.
    Raises NotFoundError without `missing`, ConflictError if others keep changing it, and other ApiErrors.
    """

    async def attempt() -> Json:
        nonlocal known
        raw, known = known, None
        if raw is None:
            try:
                raw = await client.get(resource, namespace, name)
            except NotFoundError:
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
        except NotFoundError as error:
            if missing is None:
                raise
            raise ConflictError(error.status, error.reason, error.message) from error

    try:
        return await again_on_conflict(attempt)
    except ConflictError as error:
        text = f"{resource.kind} {name} is being changed too often. Try again."
        raise ConflictError(error.status, error.reason, text) from error


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
    except AlreadyExistsError as error:
        raise ConflictError(error.status, error.reason, error.message) from error
