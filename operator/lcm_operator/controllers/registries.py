"""Asks the trial registries: one list for all trials of a registry, every `intervalSeconds` and when wanted.

    tick ── not due ──> nothing
      └──── due ──> ask (in a thread) ──> tell the store ──> hold back, let go on, import ──> status
                         └── failed ──> status says why; the times known so far stay; again after a pause

Driven by kopf's timer on TrialRegistry, on the leader only. The decisions are `domain.importing`'s; Trials
that get another time are moved by `domain.registry_times`.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lcm_operator.api import names, reasons
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.storage import parse
from lcm_operator.api.trial import Trial
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.registry_status import RegistryStatus
from lcm_operator.controllers.registry_times import Place
from lcm_operator.domain import importing
from lcm_operator.domain.trial_status import outcome
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from lcm_operator.kube.resources import SECRETS, TRIALS
from lcm_operator.registry.client import RegistryClient
from lcm_operator.registry.connection import connection_of
from lcm_operator.registry.errors import BadStatus, RegistryError
from lcm_operator.registry.replies import Listing

_ASKED_SINGLY = 20
_WRITES_AT_ONCE = 8
_LONGEST_PAUSE = timedelta(seconds=30)
_HOLD_SECONDS = 0.1
_NOT_FOUND = 404
log = logging.getLogger(__name__)


@dataclass
class _Course:
    """What is remembered of one registry between two ticks."""

    due: datetime
    generation: int
    sync: str
    failures: int = 0


class Registries:
    """All registries. `may_act()` says whether this process leads."""

    def __init__(self, client: Client, reconciler: Reconciler, may_act: Callable[[], bool]) -> None:
        self._client = client
        self._reconciler = reconciler
        self._store = reconciler.store
        self._status = RegistryStatus(client, reconciler.tell)
        self._may_act = may_act
        self._courses: dict[str, _Course] = {}
        self._uids: dict[Place, str] = {}
        self._few = asyncio.Semaphore(_WRITES_AT_ONCE)

    async def tick(self, raw: Mapping[str, Any]) -> None:
        """Ask the registry if that is due. Raises ApiError, Malformed."""
        registry = parse(raw, TrialRegistry)
        if not self._may_act():
            self._courses.pop(registry.metadata.uid, None)  # a new leader asks at once
            return
        if registry.spec.suspend:
            await self._status.suspended(registry)
        elif self._is_due(registry, datetime.now(UTC)):
            await self._pull(registry)

    def forget(self, namespace: str, name: str, uid: str) -> None:
        """Forget a TrialRegistry that is gone, but not the one that was made under its name since."""
        self._courses.pop(uid, None)
        if self._uids.get((namespace, name), uid) == uid:
            self._uids.pop((namespace, name), None)
            self._store.registries.forget((namespace, name))

    def _is_due(self, registry: TrialRegistry, now: datetime) -> bool:
        course = self._courses.get(registry.metadata.uid)
        return (
            course is None
            or course.generation != registry.metadata.generation
            or course.sync != _sync_of(registry)
            or now >= course.due
            or self._store.registries.is_wanted(_place(registry))
        )

    async def _pull(self, registry: TrialRegistry) -> None:
        begun = datetime.now(UTC)
        self._uids[_place(registry)] = registry.metadata.uid
        self._store.registries.begin(_place(registry), begun)
        before = self._courses.get(registry.metadata.uid)
        course = _Course(begun, registry.metadata.generation, _sync_of(registry))
        try:
            listing, told = await self._ask(registry)
        except RegistryError as error:
            course.failures = before.failures + 1 if before else 1
            await self._status.failed(registry, begun, error.reason, str(error))
        else:
            self._take(registry, told, begun)
            await self._hold_back(registry, told)
            await self._import(registry, told)
            await self._status.told(registry, begun, listing, self._scheduled_by_hand(registry))
        course.due = begun + _pause(registry, course.failures)
        self._courses[registry.metadata.uid] = course

    async def _ask(self, registry: TrialRegistry) -> tuple[Listing, importing.Told]:
        """Return the list, and the times: of the list and of what was asked singly. Raises RegistryError."""
        client = RegistryClient(connection_of(registry, await self._secret(registry)))
        listing = await asyncio.to_thread(client.list_trials)
        times = {entry.id: entry.start_time for entry in listing.entries}
        missing = set()
        lacking = [trial for trial in self._store.trials_by(_place(registry)) if _waits_for(trial, times)]
        for trial in lacking[:_ASKED_SINGLY]:
            try:
                times[trial.trial_id] = (await asyncio.to_thread(client.trial, trial.trial_id)).start_time
            except BadStatus as error:
                if error.status == _NOT_FOUND:
                    missing.add(trial.trial_id)
            except RegistryError as error:
                log.warning("%s: %s", trial.trial_id, error)
        return listing, importing.Told(times, frozenset(missing))

    async def _secret(self, registry: TrialRegistry) -> dict[str, Any] | None:
        if registry.spec.auth is None:
            return None
        try:
            return await self._client.get(
                SECRETS, registry.metadata.namespace, registry.spec.auth.secret_ref.name
            )
        except NotFound:
            return None

    def _take(self, registry: TrialRegistry, told: importing.Told, begun: datetime) -> None:
        """Put the times into the store, and have a look at every trial that has another one now."""
        self._store.registries.tell(_place(registry), told.times, read=begun, term=self._store.term)
        for trial in self._store.trials_by(_place(registry)):
            if told.times.get(trial.trial_id) not in (None, trial.status.start_time):
                self._reconciler.enqueue(self._store.key_of(trial))

    async def _hold_back(self, registry: TrialRegistry, told: importing.Told) -> None:
        for trial in self._store.trials_by(_place(registry)):
            patch = importing.suspension(registry, told, trial, datetime.now(UTC))
            if patch is None:
                continue
            try:
                raw = await self._client.merge_patch(
                    TRIALS, trial.metadata.namespace, trial.metadata.name, patch
                )
            except (Conflict, NotFound):
                continue  # it has changed: looked at again at the next pull
            self._reconciler.take(self._store.put_trial, raw)
            if trial.trial_id in told.missing:
                why = "the registry no longer has the trial; it is suspended"
                self._reconciler.tell("Trial", trial.metadata, reasons.VANISHED, why, warning=True)

    async def _import(self, registry: TrialRegistry, told: importing.Told) -> None:
        known = [trial.trial_id for trial in self._store.trials_in(registry.metadata.namespace)]
        wanted = list(importing.to_import(registry, told, known, datetime.now(UTC)))
        if wanted:
            log.info("%s: %d trials are imported", registry.metadata.name, len(wanted))
        await asyncio.gather(*(self._create(registry, *entry) for entry in wanted))

    async def _create(self, registry: TrialRegistry, trial_id: str, begin: datetime) -> None:
        """Create one Trial under the first name that is free; unless one of that ID turns up there."""
        for name in names.object_names(trial_id):
            manifest = importing.manifest(registry, trial_id, begin, name)
            try:
                async with self._writing():
                    if not self._may_act():
                        return
                    raw = await self._client.create(TRIALS, registry.metadata.namespace, manifest)
            except AlreadyExists:
                found = await self._find(registry.metadata.namespace, name)
                if found is not None and found.trial_id == trial_id:
                    return
            except ApiError as error:
                log.warning("trial %r is not imported: %s", trial_id, error)
                return
            else:
                self._reconciler.take(self._store.put_trial, raw)
                return

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """Let few write at once, and none while a start is near."""
        async with self._few:
            while self._reconciler.is_busy():  # noqa: ASYNC110 - a start passes within a second or two
                await asyncio.sleep(_HOLD_SECONDS)
            yield

    async def _find(self, namespace: str, name: str) -> Trial | None:
        try:
            return parse(await self._client.get(TRIALS, namespace, name), Trial)
        except NotFound:
            return None

    def _scheduled_by_hand(self, registry: TrialRegistry) -> set[str]:
        """Return the IDs of the namespace's Trials that no import has made."""
        trials = self._store.trials_in(registry.metadata.namespace)
        return {trial.trial_id for trial in trials if not importing.is_imported(trial)}


def _waits_for(trial: Trial, times: Mapping[str, datetime]) -> bool:
    """Return whether a Trial needs a time that the list does not have."""
    over = trial.status.started_time is not None or outcome(trial) is not None
    return not over and trial.metadata.deletion_timestamp is None and trial.trial_id not in times


def _place(registry: TrialRegistry) -> Place:
    return registry.metadata.namespace, registry.metadata.name


def _sync_of(registry: TrialRegistry) -> str:
    return registry.metadata.annotations.get(names.ANNOTATION_SYNC, "")


def _pause(registry: TrialRegistry, failures: int) -> timedelta:
    """Return how long after a pull the next one is due: longer after each failure, and never all at once."""
    interval = timedelta(seconds=registry.spec.interval_seconds)
    if not failures:
        return interval
    pause = min(
        interval.total_seconds() * 2.0 ** min(failures - 1, 16), max(interval, _LONGEST_PAUSE).total_seconds()
    )
    return timedelta(seconds=pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
