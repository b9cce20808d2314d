"""Monitors the Leases that engines renew: the leader lists all of them every few seconds.

A Lease is judged by when we saw it change, not by the engine's clock, and from zero after this process became
the leader. A Lease that two reads show alike was not renewed in between. That time counts as silence:

- all of it, if no read failed between them, however long the two themselves took;
- at most a renewal period (a sixth of the time-out), if reads failed between them or this process was held
  up: the API server may have rejected renewals as well, and a healthy engine renews again within a period.

So an outage fails no engine, and lists that are slow, or fail every second time, delay a verdict but never
prevent it. Two times are kept, because Leases may be deleted again and again:

- `unseen`: since the last renewal by the engine itself that was seen. A Lease that is deleted and made again
  is no sign of life, so a dead engine is given up whatever is done to its Lease.
- `silent`: over this time nothing can have been renewed unseen. It begins anew when a Lease is missing, can't
  be renewed by its pod or was made again: the one before may have been renewed after it was last read.

While Leases disappear they are read more often, so that a healthy engine's renewals are seen between two
deletions and its Lease is soon made again.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from lcm_operator import logs
from lcm_operator.api import names
from lcm_operator.api.engine import PodRef, TrialEngine
from lcm_operator.api.metadata import metadata_of
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.attempt_end import heartbeat_timeout, longest_silence
from lcm_operator.domain.snapshot import Absent, Renewals, value_of
from lcm_operator.domain.verdict import may_still_matter
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import ApiError
from lcm_operator.kube.resources import LEASES

_EVERY_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 3 * _EVERY_SECONDS
_IN_TROUBLE_EVERY_SECONDS = 0.5
_TROUBLE_SECONDS = 30.0
_SHARE_OF_READS = 3
_RENEWALS_IN_TIMEOUT = 6
_COMPLAIN_AGAIN_SECONDS = 30.0
_LATE = timedelta(seconds=30)
"""An engine renews every 10 s or more often."""
Granted = tuple[Key, TrialEngine, PodRef]
log = logs.get(__name__)


class Renewal(NamedTuple):
    """UID of a Lease, its renewTime, and whether that was written by the engine; a missing one has none."""

    uid: str = ""
    time: str | None = None
    by_engine: bool = False


_MISSING = Renewal()


@dataclass(frozen=True)
class Reading:
    """When a list of all Leases was requested and answered, by the monotonic clock."""

    began: float
    ended: float


class LeaseMonitor:
    """Keeps the cache up to date about each granted pod's Lease; `look(key)` has a slot examined."""

    def __init__(
        self,
        client: Client,
        cache: SlotCache,
        look: Callable[[Key], None],
        clock: Clock,
    ) -> None:
        self._client = client
        self._cache = cache
        self._look = look
        self._clock = clock
        self._renewals: dict[str, Renewal] = {}
        self._last_heard: dict[str, str | None] = {}
        self._trouble_until = 0.0
        self._last: Reading | None = None
        self._failing_since: float | None = None
        self._complained = 0.0

    async def run(self) -> None:
        """Read until cancelled, beginning anew: observations of an earlier term don't count."""
        self._last, self._failing_since = None, None
        self._renewals.clear()
        self._last_heard.clear()
        while True:
            began = self._clock.elapsed()
            await self.read()
            await asyncio.sleep(self._pause(self._clock.elapsed() - began))

    def _pause(self, took: float) -> float:
        """Return the pause until the next read, by how long the last one took."""
        if self._clock.elapsed() >= self._trouble_until:
            return _EVERY_SECONDS
        return min(max(_IN_TROUBLE_EVERY_SECONDS, _SHARE_OF_READS * took), _EVERY_SECONDS)

    def failing_seconds(self) -> float:
        """Return for how long the Leases can't be read; 0 if they can."""
        return 0.0 if self._failing_since is None else self._clock.elapsed() - self._failing_since

    async def read(self) -> None:
        """Read all Leases once."""
        granted = [each for each in self._cache.granted() if self._is_followed(each)]
        began = self._clock.elapsed()
        try:
            leases, _ = await self._client.list(LEASES, label_selector=names.LABEL_TRIAL)
        except ApiError as error:
            self._failed(error, began)
            return
        reading = Reading(began, self._clock.elapsed())
        disturbed = self._is_disturbed(reading)
        self._take(granted, leases, reading, disturbed=disturbed)
        if self._failing_since is not None:
            log.info("Leases of engines can be read again", failed_seconds=round(self.failing_seconds()))
        self._last, self._failing_since = reading, None

    def _is_followed(self, granted: Granted) -> bool:
        """Return whether the silence of an engine may matter; it does after its end if its pod is missing."""
        key, engine, _ = granted
        return may_still_matter(engine) or isinstance(value_of(self._cache.slot(key).pod), Absent)

    def _failed(self, error: ApiError, began: float) -> None:
        """Log that nothing is known of the engines: at once, and again as long as that lasts."""
        first = self._failing_since is None
        if self._failing_since is None:
            self._failing_since = began
        if first or self._clock.elapsed() - self._complained >= _COMPLAIN_AGAIN_SECONDS:
            self._complained = self._clock.elapsed()
            log.warning(
                "cannot read the Leases of engines; no engine's silence is counted",
                failed_seconds=round(self.failing_seconds()),
                error=error,
            )

    def _is_disturbed(self, reading: Reading) -> bool:
        """Return whether a failure or a pause separates this reading from the one before."""
        if self._last is None or self._failing_since is not None:
            return True
        return reading.began - self._last.ended > _LONGEST_PAUSE_SECONDS

    def _take(
        self, granted: Iterable[Granted], leases: Iterable[Any], reading: Reading, *, disturbed: bool
    ) -> None:
        found = {_place(lease): lease for lease in leases if isinstance(lease, dict)}
        renewals: dict[str, Renewal] = {}
        heard: dict[str, str | None] = {}
        for key, engine, pod in granted:
            renewal = _renewal(found.get((key.namespace, pod.name)), key, pod.uid)
            renewals[pod.uid] = renewal
            heard[pod.uid] = renewal.time if renewal.by_engine else self._last_heard.get(pod.uid)
            if pod.uid in self._renewals and self._renewals[pod.uid].uid != renewal.uid:
                self._trouble_until = reading.ended + _TROUBLE_SECONDS
            self._follow(key, engine, pod, renewal, reading, disturbed=disturbed)
        self._renewals, self._last_heard = renewals, heard

    def _follow(
        self,
        key: Key,
        engine: TrialEngine,
        pod: PodRef,
        renewal: Renewal,
        reading: Reading,
        *,
        disturbed: bool,
    ) -> None:
        slot = self._cache.slot(key)
        before = value_of(slot.renewals)
        if before is not None and before.pod_uid != pod.uid:
            before = None
        # A renewal may have come while the list was under way: what is new is silent from its end on.
        silent = unseen = timedelta(seconds=reading.began - reading.ended)
        if before is not None and self._last is not None and pod.uid in self._renewals:
            counted = self._counted(reading, self._last, engine, disturbed=disturbed)
            if self._renewals[pod.uid] == renewal:
                silent = before.silent + counted
            if not renewal.by_engine or self._last_heard.get(pod.uid) == renewal.time:
                unseen = before.unseen + counted
        begun = renewal.time is not None or (before is not None and before.begun) or _has_worked(engine)
        missing = renewal == _MISSING
        renewals = Renewals(pod_uid=pod.uid, begun=begun, silent=silent, unseen=unseen, missing=missing)
        slot.renewals = self._cache.observed(renewals)
        if renewals.missing and (before is None or not before.missing):
            self._cache.doubt_pod(key, pod.uid)
            self._look(key)
        elif _just_passed(before, renewals, engine):
            self._look(key)
        elif _passes(before, renewals, min(heartbeat_timeout(engine) / 3, _LATE)):
            # Its container may have ended while others of the pod run, which no watch of pods shows.
            self._cache.doubt_pod(key, pod.uid)
            self._look(key)

    def _counted(self, reading: Reading, last: Reading, engine: TrialEngine, *, disturbed: bool) -> timedelta:
        """Return how much of the time since the last reading counts as silence."""
        passed = reading.began - last.began
        if disturbed:
            period = heartbeat_timeout(engine).total_seconds() / _RENEWALS_IN_TIMEOUT
            passed = min(passed, max(period, _EVERY_SECONDS))
        return timedelta(seconds=passed)


def _place(lease: Mapping[str, Any]) -> tuple[object, object]:
    """Return namespace and name, unparsed: there may be thousands of finished engines."""
    metadata = lease.get("metadata")
    return (metadata.get("namespace"), metadata.get("name")) if isinstance(metadata, dict) else (None, None)


def _renewal(lease: Mapping[str, Any] | None, key: Key, uid: str) -> Renewal:
    """Return the last renewal of a Lease; one that this pod can't renew counts as missing."""
    spec = lease.get("spec") if lease is not None else None
    if lease is None or not isinstance(spec, dict) or spec.get("holderIdentity") != uid:
        return _MISSING
    metadata = metadata_of(lease)
    if metadata.labels.get(names.LABEL_TRIAL) != key.name:
        return _MISSING
    renewed = spec.get("renewTime")
    if renewed is None:
        return Renewal(metadata.uid)
    return Renewal(metadata.uid, str(renewed), by_engine=renewed != spec.get("acquireTime"))


def _has_worked(engine: TrialEngine) -> bool:
    """Return whether the engine has saved anything in this attempt: it had renewed its Lease before."""
    saved, granted = engine.status.checkpoint, engine.status.pod_ref
    return saved is not None and granted is not None and saved.saved_time >= granted.not_before


def _just_passed(before: Renewals | None, renewals: Renewals, engine: TrialEngine) -> bool:
    """Return whether a limit of silence lies between two observations."""
    known = before if before is not None else Renewals(pod_uid=renewals.pod_uid)
    given_up = _passes(before, renewals, heartbeat_timeout(engine))
    return given_up or known.silent <= longest_silence(engine) < renewals.silent


def _passes(before: Renewals | None, renewals: Renewals, limit: timedelta) -> bool:
    """Return whether an engine was last heard of longer ago than `limit`, which it was not before."""
    return (before.unseen if before is not None else timedelta()) <= limit < renewals.unseen
