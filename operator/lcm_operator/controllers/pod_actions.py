"""Actions on an engine's pod and its Lease. Results are put into the cache, as in `apply`."""

from typing import Any

from lcm_operator.api import names
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.storage import parse
from lcm_operator.controllers.admission import name_taken, rejected
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.pods import seen_pod
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import Absent, Problem
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


class PodActions:
    """Each is safe to repeat."""

    def __init__(self, client: Client, cache: SlotCache, clock: Clock) -> None:
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

    async def _delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        try:
            await self._client.delete(resource, namespace, name, uid=uid)
        except NotFoundError:
            return
