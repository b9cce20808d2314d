"""When trial registries are asked: every `intervalSeconds`, on demand, and after a change.

    tick ── not due ──> nothing
      └──── due, or wanted ──> pull (a task of its own) ──> look-ups (another) ──> due again
                                 └── failed ──> due again after a pause that doubles

Driven by kopf's timer on TrialRegistry, on the leader only, and by trials that are about to start. A registry
has one pull at a time (`registry_pull`).
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lcm_operator import logs
from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.metadata import metadata_of
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.api.trial import Trial
from lcm_operator.controllers.import_memory import ImportMemory
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.registry_look_ups import LookUps
from lcm_operator.controllers.registry_pull import Access, Pull, Refused
from lcm_operator.controllers.registry_status import RegistryStatus
from lcm_operator.controllers.registry_times import Place
from lcm_operator.controllers.registry_writes import NotLeadingError
from lcm_operator.domain.imports import importer, removal
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import ApiError, NotFoundError
from lcm_operator.kube.resources import TRIAL_REGISTRIES
from lcm_operator.proxies import DIRECT, Proxies
from lcm_operator.registry.request_queue import Bounds, RequestQueue

_LISTS = Bounds(unproven=62, proven=66, wanted=70, total=72)
"""Each holds 8 MiB at most while it is read, 576 MiB in all: with the operator's own that is below 1 GiB."""
_LOOK_UPS = Bounds(unproven=16, proven=20, wanted=22, total=24)
_FIRST_PAUSE_SECONDS = 15.0
_LONGEST_PAUSE_SECONDS = 30.0
_BETWEEN_WANTED_SECONDS = 1.0
_RECENT_SECONDS = 120.0
log = logs.get(__name__)


@dataclass
class _Course:
    """The state of one registry between two pulls."""

    registry: TrialRegistry
    look_ups: LookUps
    due: float | None = None
    """By the clock's `elapsed`; None: at once."""
    begun: float | None = None
    seen: tuple[int, str, int] = (0, "", 0)
    """Generation, request and term of the last pull."""
    failures: int = 0
    answered: bool = False
    refused: Refused = field(default_factory=dict)
    pulling: asyncio.Task[None] | None = None
    looking: asyncio.Task[None] | None = None
    complaint: str = field(default="", repr=False)

    def stop(self) -> None:
        for task in (self.pulling, self.looking):
            if task is not None:
                task.cancel()


class Registries:
    """All registries. `may_act()` returns whether this process leads."""

    def __init__(
        self,
        client: Client,
        reconciler: Reconciler,
        may_act: Callable[[], bool],
        proxies: Proxies = DIRECT,
    ) -> None:
        self._client = client
        self._cache = reconciler.cache
        self._may_act = may_act
        self._elapsed, self._now = reconciler.clock.elapsed, reconciler.clock.now
        status = RegistryStatus(client, reconciler.recorder.tell, reconciler.clock.now)
        self._access = Access(
            client, reconciler, status, may_act, RequestQueue(_LISTS), RequestQueue(_LOOK_UPS), proxies
        )
        self._imports = ImportMemory(client)
        self._courses: dict[str, _Course] = {}
        self._known: dict[str, tuple[Place, TrialRegistry | None]] = {}
        """By UID; None: it can't be parsed."""
        self._cache.registries.call = self._called

    def know(self, raw: Mapping[str, Any]) -> None:
        """Note a TrialRegistry as it is now."""
        metadata = metadata_of(raw)
        try:
            registry = parse(raw, TrialRegistry)
        except MalformedError:
            registry = None
        self._known[metadata.uid] = (metadata.namespace, metadata.name), registry

    def is_known(self, uid: str) -> bool:
        """Return whether a TrialRegistry exists, as far as the watch has shown."""
        return uid in self._known

    def synced(self) -> Iterator[tuple[Place, bool, datetime | None]]:
        """Yield the place of each that is not suspended, whether its times are current, and its last sync."""
        now = self._now()
        for place, registry in self._known.values():
            if registry is None:
                yield place, False, None
            elif not registry.spec.suspend:
                yield place, _answered_lately(registry, now), registry.status.last_sync_time

    def tick(self, raw: Mapping[str, Any]) -> None:
        """Begin a pull of the registry if one is due. Raises MalformedError."""
        registry = parse(raw, TrialRegistry)
        uid = registry.metadata.uid
        if not self._may_act():
            self._drop(uid)  # a new leader asks at once
            return
        course = self._courses.get(uid)
        if course is None:
            answered = _answered_lately(registry, self._now())
            course = self._courses[uid] = _Course(registry, LookUps(self._access), answered=answered)
        course.registry = registry
        self._begin_if_due(course)

    def forget(self, namespace: str, name: str, uid: str) -> None:
        """Forget a deleted TrialRegistry, but not one that was created under its name since."""
        self._known.pop(uid, None)
        self._drop(uid)
        if all(place != (namespace, name) for place, _ in self._known.values()):
            self._cache.registries.forget((namespace, name))

    async def trial_removed(self, raw: Mapping[str, Any]) -> None:
        """Note the removal of an imported Trial at once: its registry may be unreachable.

        If that fails, the next list shows it: `status.imports` has an entry without a Trial.
        """
        try:
            trial = parse(raw, Trial)
        except MalformedError:
            return
        place, note = importer(trial), removal(trial)
        if place is None or note is None or not self._may_act():
            return
        try:
            await self._imports.note(place, note)
        except (ApiError, MalformedError) as error:
            namespace, name = place
            log.warning("removal not noted", namespace=namespace, registry=name, error=error)
        if note.fate != "Over":
            self._cache.registries.ask(place)

    def _drop(self, uid: str) -> None:
        course = self._courses.pop(uid, None)
        if course is not None:
            course.stop()

    def _called(self, place: Place) -> None:
        """Ask a registry on demand."""
        for course in self._courses.values():
            if _place(course.registry) == place:
                if self._cache.registries.is_awaited(place):
                    self._access.lists.hurry(place)
                    self._access.look_ups.hurry(place)
                self._begin_if_due(course)

    def _begin_if_due(self, course: _Course) -> None:
        now = self._elapsed()
        if _runs(course.pulling) or not self._may_act() or not self._is_due(course, now):
            return
        course.begun = now
        course.pulling = asyncio.create_task(self._guarded(course, self._pull(course)))

    def _is_due(self, course: _Course, now: float) -> bool:
        if course.due is None or now >= course.due or course.seen != self._seen(course.registry):
            return True
        wanted = not course.registry.spec.suspend and self._cache.registries.is_wanted(
            _place(course.registry)
        )
        return wanted and (course.begun is None or now >= course.begun + _BETWEEN_WANTED_SECONDS)

    def _seen(self, registry: TrialRegistry) -> tuple[int, str, int]:
        request = registry.metadata.annotations.get(names.ANNOTATION_SYNC, "")
        return registry.metadata.generation, request, self._cache.term

    async def _guarded(self, course: _Course, work: Coroutine[Any, Any, None]) -> None:
        """Do the work of one registry; an error in it is logged once and stops no other."""
        try:
            await work
        except NotLeadingError:
            return
        except Exception as error:
            complaint = f"{type(error).__name__}: {error}"
            if course.complaint != complaint:
                namespace, name = _place(course.registry)
                if isinstance(error, ApiError | MalformedError):
                    log.warning("TrialRegistry not pulled", namespace=namespace, name=name, error=error)
                else:
                    log.exception("unexpected error of a TrialRegistry", namespace=namespace, name=name)
            course.complaint = complaint
        else:
            course.complaint = ""

    async def _pull(self, course: _Course) -> None:
        """Ask the registry as the API server has it now, and set when it is due again."""
        known, begun = course.registry.metadata, self._elapsed()
        course.seen = self._seen(course.registry)
        course.failures += 1  # until it has ended
        course.due = begun + _pause(course.registry, course.failures)
        try:
            raw = await self._client.get(TRIAL_REGISTRIES, known.namespace, known.name)
        except NotFoundError:
            return
        registry = parse(raw, TrialRegistry)
        if registry.metadata.uid != known.uid:
            return
        course.registry, course.seen = registry, self._seen(registry)
        pull = Pull(self._access, registry, course.refused)
        if registry.spec.suspend:
            await self._access.status.suspended(registry, pull.holds)
            course.answered = True
        else:
            course.answered = await pull.run(proven=course.answered)
        course.failures = 0 if course.answered else course.failures
        course.due = begun + max(_pause(registry, course.failures), pull.retry_after)
        if pull.lacking and not _runs(course.looking):
            course.looking = asyncio.create_task(self._guarded(course, course.look_ups.run(pull)))


def _runs(task: "asyncio.Task[None] | None") -> bool:
    return task is not None and not task.done()


def _place(registry: TrialRegistry) -> Place:
    return registry.metadata.namespace, registry.metadata.name


def _answered_lately(registry: TrialRegistry, now: datetime) -> bool:
    """Return whether the registry returned its list the last time, to this or an earlier leader."""
    read = registry.status.last_sync_time
    if read is None or not conditions.is_true(registry.status.conditions, reasons.SYNCED):
        return False
    return (now - read).total_seconds() <= 3 * registry.spec.interval_seconds + _RECENT_SECONDS


def _pause(registry: TrialRegistry, failures: int) -> float:
    """Return how many seconds after a pull the next one is due: more after a failure, never all at once."""
    interval = float(registry.spec.interval_seconds)
    if not failures:
        return interval
    first = min(interval, _FIRST_PAUSE_SECONDS)
    pause = min(first * 2.0 ** min(failures - 1, 16), max(interval, _LONGEST_PAUSE_SECONDS))
    return pause * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
