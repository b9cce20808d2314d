"""Follows the pods that do not run, to show why: by a watch on phase Pending; running engines cost nothing.

A pod leaves the watch as soon as it runs. Scheduler and kubelet write their words into its status, but for a
volume that can't be mounted: only Events report that. They are read, a few at a time, for pods that have been
on a node for a second without a word.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lcm_operator.api import names
from lcm_operator.api.metadata import metadata_of
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.pod_words import event_words, pending
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.controllers.time_slice import TimeSlice
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import ApiError
from lcm_operator.kube.follow import Changed, Deleted, Listed, ListWatch
from lcm_operator.kube.resources import EVENTS, PODS

_LOOK_SECONDS = 0.5
_LONGEST_HOLD_SECONDS = 5.0
_REGAINED = 0.3
"""Seconds of patience for each second that passes: on an operator that is always busy, events still flow."""
_EVENTS_AT_ONCE = 8
_FIRST_PAUSE_SECONDS = 1.5
_LONGEST_PAUSE_SECONDS = 12.0


@dataclass
class _Seen:
    """One pod in phase Pending. Times are a clock's `elapsed`."""

    key: Key
    raw: Mapping[str, Any]
    since: float
    from_events: str = ""
    next_read: float = 0.0
    pause: float = _FIRST_PAUSE_SECONDS


class PendingPods:
    """Keeps in the cache why pods do not run; `examine(key)` has their slots examined.

    `quiet(limit)` waits while starts are under way: each brings its pod, which is on its way to run.
    """

    def __init__(
        self,
        client: Client,
        cache: SlotCache,
        examine: Callable[[Key], None],
        quiet: Callable[[float], Awaitable[float]],
        clock: Clock,
    ) -> None:
        self._client = client
        self._cache = cache
        self._examine = examine
        self._quiet = quiet
        self._patience, self._regained_at = _LONGEST_HOLD_SECONDS, 0.0
        self._clock = clock
        self._pods: dict[str, _Seen] = {}
        self._slice = TimeSlice()

    async def run(self) -> None:
        """Follow until cancelled."""
        self._pods.clear()
        async with asyncio.TaskGroup() as tasks:
            for namespace in self._client.namespaces or (None,):
                tasks.create_task(self._follow(namespace))
            tasks.create_task(self._look_again())

    async def _follow(self, namespace: str | None) -> None:
        pods = ListWatch(
            self._client,
            PODS,
            namespace,
            read=lambda raw: raw,
            label_selector=names.LABEL_TRIAL,
            field_selector="status.phase=Pending",
            clock=self._clock,
        )
        async for event in pods.events():
            match event:
                case Changed():
                    self._see(event.object)
                case Deleted():
                    self._forget(event.head.uid)
                case Listed():
                    for uid, seen in list(self._pods.items()):
                        if uid not in event.uids and namespace in (None, seen.key.namespace):
                            self._forget(uid)
            await self._give_way()

    async def _give_way(self) -> None:
        """Let starts go first: for 5 s at most, and later for a part of the time."""
        now = self._clock.elapsed()
        regained = _REGAINED * (now - self._regained_at)
        self._patience, self._regained_at = min(self._patience + regained, _LONGEST_HOLD_SECONDS), now
        self._patience -= await self._quiet(self._patience)
        await self._slice.rest()

    def _see(self, raw: Mapping[str, Any]) -> None:
        metadata = metadata_of(raw)
        known = self._pods.get(metadata.uid)
        if known is None:
            key = Key(metadata.namespace, metadata.labels.get(names.LABEL_TRIAL, ""))
            known = self._pods[metadata.uid] = _Seen(key, raw, self._clock.elapsed())
        known.raw = raw
        self._show(metadata.uid, known)

    def _forget(self, uid: str) -> None:
        seen = self._pods.pop(uid, None)
        if seen is not None and self._cache.set_pending(seen.key, uid, ""):
            self._examine(seen.key)

    def _show(self, uid: str, seen: _Seen) -> bool:
        """Show why a pod does not run; return whether its Events may tell more."""
        found = pending(seen.raw, timedelta(seconds=self._clock.elapsed() - seen.since))
        why = found.why or (seen.from_events if found.is_creating else "")
        if self._cache.set_pending(seen.key, uid, why):
            self._examine(seen.key)
        return found.is_creating

    async def _look_again(self) -> None:
        """Show what time alone brings: that no node is assigned, or nothing but Events tells of the cause."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._give_way()
            creating = []
            for uid, seen in list(self._pods.items()):
                if self._show(uid, seen) and seen.next_read <= self._clock.elapsed():
                    creating.append(uid)
                await self._slice.rest()
            creating.sort(key=lambda uid: self._pods[uid].next_read if uid in self._pods else 0.0)
            await asyncio.gather(*map(self._read_events, creating[:_EVENTS_AT_ONCE]))

    async def _read_events(self, uid: str) -> None:
        """Read the Warning Events of a pod; the pauses between two reads grow."""
        seen = self._pods.get(uid)
        if seen is None:
            return
        seen.next_read = self._clock.elapsed() + seen.pause
        seen.pause = min(2 * seen.pause, _LONGEST_PAUSE_SECONDS)
        selector = f"involvedObject.uid={uid},type=Warning"
        try:
            events, _ = await self._client.list(EVENTS, seen.key.namespace, field_selector=selector)
        except ApiError:
            return  # the kubelet repeats it
        if events:
            seen.from_events = event_words(max(events, key=_time))
            self._show(uid, seen)


def _time(event: Mapping[str, Any]) -> str:
    """Return when an Event was recorded last."""
    series = event.get("series") or {}
    known = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return max(str(time or "") for time in known)
