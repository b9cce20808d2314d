"""Finds granted pods that have ended or were deleted, whatever event was lost: the leader lists all pods.

The list contains the metadata of the pods that have not ended. A granted pod that is missing from a list that
was begun after its grant has ended or no longer exists; one whose deletion has begun may have been evicted.
Each of these is read once, so a running engine costs no request of its own. A pod that is still there after
its attempt is over is read as well: containers beside its engine may run on. Pods of deleted TrialEngines are
followed to their end: a new engine of that trial ID waits for them.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lcm_operator import logs
from lcm_operator.api import names
from lcm_operator.api.engine import PodRef, TrialEngine
from lcm_operator.api.metadata import Metadata, metadata_of
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.leftovers import TrackedPod
from lcm_operator.controllers.pods import seen_pod
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.verdict import may_still_matter
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import ApiError, NotFoundError
from lcm_operator.kube.resources import PODS

_EVERY_SECONDS = 5.0
_READ_LEFT_AFTER_SECONDS = 4.0
_READ_LEFT_AGAIN_SECONDS = 30.0
_NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"
log = logs.get(__name__)


class Stranger(NamedTuple):
    """A pod that carries the label of a slot, and belongs to another TrialEngine."""

    key: Key
    name: str
    owner: str


class PodMonitor:
    """Drops outdated knowledge of granted pods; `look(key)` has their slots examined."""

    def __init__(self, client: Client, cache: SlotCache, look: Callable[[Key], None], clock: Clock) -> None:
        self._client = client
        self._cache = cache
        self._look = look
        self._clock = clock
        self._strangers: dict[str, Stranger] = {}
        self._left: dict[str, float] = {}
        """When pods whose attempt is over are read, by UID: a normal engine ends within a second."""
        self._deleted: set[str] = set()
        self._complaint = ""

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(_EVERY_SECONDS)

    async def read(self) -> None:
        """Read the metadata of all pods that have not ended."""
        granted = [each for each in self._cache.granted() if may_still_matter(each[1])]
        term = self._cache.term
        there: set[str] = set()
        deleted: set[str] = set()
        left: dict[str, tuple[Key, str]] = {}
        self._strangers.clear()
        try:
            async for page in self._client.listed(
                PODS,
                label_selector=names.LABEL_TRIAL,
                field_selector=_NOT_ENDED,
                metadata_only=True,
                whole=True,
            ):
                found = [metadata_of(item) for item in await page.objects()]
                there.update(pod.uid for pod in found)
                deleted.update(pod.uid for pod in found if pod.deletion_timestamp is not None)
                left.update(self._sort(found))
        except ApiError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.warning("pods of engines not listed; retrying", error=error)
            return
        self._complaint = ""
        for key, _, pod in granted:
            self._compare(key, pod, there, deleted)
        self._deleted = deleted
        await self._read_left(left)
        await self._look_after_leftovers(there, term)

    def _compare(self, key: Key, pod: PodRef, there: set[str], deleted: set[str]) -> None:
        ended = pod.uid not in there
        news = pod.uid in deleted and pod.uid not in self._deleted
        if (ended or news) and self._cache.doubt_pod(key, pod.uid):
            self._look(key)

    def _sort(self, found: Sequence[Metadata]) -> Iterator[tuple[str, tuple[Key, str]]]:
        """Note the pods that carry the label of a slot and don't belong to its TrialEngine.

        Yield the pods whose attempt is over.
        """
        for metadata in found:
            key = Key(metadata.namespace, metadata.labels.get(names.LABEL_TRIAL, ""))
            engine, owners = self._cache.engine(key), metadata.owner_references
            owner = next(
                (each.uid for each in owners if each.controller and each.kind == "TrialEngine"), None
            )
            own = engine is not None and engine.metadata.uid == owner
            if owner is not None and not own and self._cache.knows(key):
                self._strangers[metadata.uid] = Stranger(key, metadata.name, owner)
            if engine is not None and own and _is_left(engine, metadata):
                yield metadata.uid, (key, metadata.name)

    async def _read_left(self, left: Mapping[str, tuple[Key, str]]) -> None:
        """Read pods whose attempt is over: not at once, and not too often."""
        now = self._clock.elapsed()
        self._left = {uid: self._left.get(uid, now + _READ_LEFT_AFTER_SECONDS) for uid in left}
        for uid, (key, name) in left.items():
            if now < self._left[uid]:
                continue
            self._left[uid] = now + _READ_LEFT_AGAIN_SECONDS
            with contextlib.suppress(ApiError):
                raw = await self._client.get(PODS, key.namespace, name)
                if metadata_of(raw).uid == uid and self._cache.put_pod(raw) is not None:
                    self._look(key)

    async def _look_after_leftovers(self, there: set[str], term: int) -> None:
        leftovers = self._cache.leftovers
        for uid, stranger in self._strangers.items():
            leftovers.see(stranger.key, uid, stranger.name, stranger.owner)
        for uid, leftover in leftovers:
            if uid in there:
                continue
            if await self._is_over(uid, leftover):
                leftovers.end(uid)
                self._look(leftover.key)
        leftovers.listed_in = term

    async def _is_over(self, uid: str, leftover: TrackedPod) -> bool:
        """Return whether a pod that is missing from the list can no longer act."""
        if leftover.missing_since is None:
            try:
                raw = await self._client.get(PODS, leftover.key.namespace, leftover.name)
            except NotFoundError:
                pass
            except ApiError:
                return False
            else:
                if metadata_of(raw).uid == uid:
                    return seen_pod(raw).ended
        return self._cache.leftovers.miss(uid, self._clock.elapsed())


def _is_left(engine: TrialEngine, pod: Metadata) -> bool:
    """Return whether a pod that has not ended is of an attempt that is over, and is not being deleted."""
    granted = engine.status.pod_ref
    if granted is None or granted.uid != pod.uid or pod.deletion_timestamp is not None:
        return False
    return granted.end_time is not None or not may_still_matter(engine)
