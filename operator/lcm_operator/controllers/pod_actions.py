"""Actions on an engine's pod and its Lease. Results are put into the cache, as in `apply`."""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from lcm_operator.api import names
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.storage import parse
from lcm_operator.controllers.admission import name_taken, rejected
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.pods import seen_pod
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.log_tail import last_part
from lcm_operator.domain.snapshot import Absent, LogTail, Pod, Problem, value_of
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from lcm_operator.kube.resources import LEASES, PODS, Resource

_LOG_SECONDS = 2.0
"""A node that does not answer must not keep its pod from being deleted."""
_LOG_LINES = (200, 20, 1)
"""Fewer, where they are so long that the last ones would be cut off."""
_LOG_BYTES = 256 * 1024
Patience = Callable[[float], AbstractAsyncContextManager[Any]]


class PodActions:
    """Each is safe to repeat. `patience(seconds)`: a context that ends with TimeoutError after so long."""

    def __init__(
        self, client: Client, cache: SlotCache, clock: Clock, patience: Patience = asyncio.timeout
    ) -> None:
        self._patience = patience
        self._client = client
        self._cache = cache
        self._clock = clock

    async def create(self, key: Key, engine: TrialEngine, manifest: dict[str, Any]) -> None:
        """Create a pod, or adopt the existing one: also if the create was rejected.

        A quota that our own pod has exhausted rejects it before the API server sees that the name is taken.
        """
        if engine.status.pod_ref is not None:
            raise ConflictError(
                409, "GrantedAlready", "the TrialEngine is granted: the known state of its Trial is old"
            )
        slot, name = self._cache.slot(key), manifest["metadata"]["name"]
        try:
            raw = await self._client.create(PODS, key.namespace, manifest)
        except (AlreadyExistsError, RejectedError, NotFoundError, UnavailableError) as error:
            problem = await self._adopt(key, engine, name, error)
            slot.refusal = self._cache.observed(problem) if problem is not None else None
        else:
            slot.refusal = None
            slot.set_pod(self._cache.observed(seen_pod(raw, created=self._clock.now())))

    async def _adopt(self, key: Key, engine: TrialEngine, name: str, error: ApiError) -> Problem | None:
        """Adopt an existing pod if this TrialEngine controls it; otherwise return why there can be no pod."""
        try:
            raw = await self._client.get(PODS, key.namespace, name)
        except (NotFoundError, UnavailableError):
            return None if isinstance(error, AlreadyExistsError) else rejected(error)
        found = parse(raw["metadata"], Metadata)
        if found.controller_uid != engine.metadata.uid:
            return name_taken(found, engine)
        self._cache.slot(key).set_pod(self._cache.observed(seen_pod(raw)))
        return None

    async def create_lease(self, key: Key, manifest: dict[str, Any]) -> None:
        """Create a pod's Lease; one of that name that the pod can't renew is deleted first."""
        try:
            await self._client.create(LEASES, key.namespace, manifest)
        except AlreadyExistsError:
            name = manifest["metadata"]["name"]
            raw = await self._client.get(LEASES, key.namespace, name)
            found = parse(raw["metadata"], Metadata)
            owners = [owner["uid"] for owner in manifest["metadata"]["ownerReferences"]]
            if (
                [owner.uid for owner in found.owner_references] != owners
                or found.labels.get(names.LABEL_TRIAL) != key.name
                or (raw.get("spec") or {}).get("holderIdentity") != manifest["spec"]["holderIdentity"]
            ):
                await self._delete(LEASES, key.namespace, name, found.uid)
                raise ConflictError(409, "LeaseOfAnotherPod", f"Lease {name} was another pod's") from None
        self._cache.slot(key).note_lease_made(manifest["spec"]["holderIdentity"])

    async def delete(self, key: Key, name: str, uid: str) -> None:
        """Delete a pod. One without a node is removed at once, and the answer shows that it never ran."""
        engine = self._cache.slot(key).engine
        if engine is not None and engine.status.pod_ref is not None and engine.status.pod_ref.uid == uid:
            await self._read_log(key, name, uid)
        try:
            raw = await self._client.delete(PODS, key.namespace, name, uid=uid)
        except NotFoundError:
            raw = {}
        slot = self._cache.slot(key)
        if raw.get("kind") == "Pod" and raw["metadata"]["uid"] == uid:
            last = seen_pod(raw, removed=True)
            slot.set_pod(self._cache.observed(last))
            if last.never_ran:
                slot.set_pod(self._cache.observed(Absent(name)))
                return
        await self.look_up(key, name)

    async def look_up(self, key: Key, name: str) -> None:
        """Read a pod. One that will never be granted is deleted."""
        slot = self._cache.slot(key)
        try:
            raw = await self._client.get(PODS, key.namespace, name)
        except NotFoundError:
            slot.set_pod(self._cache.observed(Absent(name)))
        else:
            pod, engine = seen_pod(raw), slot.engine
            own = (
                engine is not None and parse(raw["metadata"], Metadata).controller_uid == engine.metadata.uid
            )
            granted = engine.status.pod_ref if engine is not None else None
            stray = granted is not None and granted.name == pod.name and granted.uid != pod.uid
            if own and stray:  # created after the granted one was deleted; it will never be granted
                await self._delete(PODS, key.namespace, name, pod.uid)
            slot.set_pod(self._cache.observed(pod if own and not stray else Absent(name)))

    async def read_log_at_end(self, key: Key) -> None:
        """Read the end of the log of a granted pod that has ended, unless that was done."""
        slot = self._cache.slot(key)
        pod, known = value_of(slot.pod), value_of(slot.log)
        granted = slot.engine.status.pod_ref if slot.engine is not None else None
        if granted is None or not isinstance(pod, Pod) or not pod.ended or pod.uid != granted.uid:
            return
        if known is None or known.pod_uid != pod.uid:
            await self._read_log(key, pod.name, pod.uid)

    async def _read_log(self, key: Key, name: str, uid: str) -> None:
        """Read the end of a pod's log; without an answer in time there is nothing to keep."""
        text = ""
        with contextlib.suppress(ApiError, TimeoutError):
            async with self._patience(_LOG_SECONDS):
                for lines in _LOG_LINES:
                    content = await self._client.log(
                        key.namespace, name, names.ENGINE_CONTAINER, lines=lines, most=_LOG_BYTES
                    )
                    text = last_part(content.decode(errors="replace"))
                    if len(content) < _LOG_BYTES:
                        break
        self._cache.slot(key).log = self._cache.observed(LogTail(uid, text))

    async def _delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        try:
            await self._client.delete(resource, namespace, name, uid=uid)
        except NotFoundError:
            return
