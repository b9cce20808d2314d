"""Scheduling: creates and removes Trials.

Object names follow from the trial ID. If two callers schedule the same ID, here or in another sidecar, the
API server accepts one, and the other is answered that it exists.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Protocol

from lcm_operator import logs
from lcm_operator.api import names
from lcm_operator.api.storage import rfc3339
from lcm_operator.api.times import in_utc, parse_start_time
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import AlreadyExistsError, ConflictError, NotFoundError, RejectedError
from lcm_operator.kube.resources import TRIALS
from lcm_operator.kube.update import Locks, again_on_conflict
from lcm_operator.registry.errors import RegistryError
from lcm_operator.registry.listing import Listing
from lcm_operator.registry.replies import Entry
from lcm_operator.rest.cache.records import TrialRecord, trial_of
from lcm_operator.rest.cache.view import View
from lcm_operator.rest.http.replies import HttpRefusalError, cut
from lcm_operator.rest.wording import Level, ScheduleAllResult

_JUST_NOW = timedelta(seconds=1)
_AT_ONCE = 16
_REMOVAL_SECONDS = 10.0
_MOVE_SECONDS = 10.0
_PAST = "Trial start time in the past. Skipping scheduling."
log = logs.get(__name__)


class TrialSource(Protocol):
    """The registry, as far as the scheduler uses it."""

    name: str

    async def trial(self, trial_id: str) -> Entry:
        """Return one trial. Raises RegistryError, MalformedError, ApiError."""

    async def trials_ahead(self, now: datetime, scheduled: Collection[str]) -> Listing:
        """Return the future trials. Raises RegistryError, MalformedError, ApiError."""

    async def request_pull(self) -> None:
        """Have the operator read the registry now. Raises ApiError."""


class Scheduler:
    """Creates and removes schedulings. All methods raise HttpRefusalError and ApiError."""

    def __init__(
        self,
        client: Client,
        view: View,
        registry: TrialSource,
        level: Level,
        *,
        namespace: str,
        plan: str,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._view = view
        self._registry = registry
        self._level = level
        self._namespace = namespace
        self._plan = plan
        self._now = now
        self._locks = Locks()

    async def schedule(self, trial_id: str, start_time: str) -> None:
        """Schedule a trial at a time."""
        start = parse_start_time(start_time)
        if start is None:
            raise HttpRefusalError(
                400,
                f"Invalid start time: {cut(start_time)}. Start time must be provided in UTC format: "
                "yyyy-mm-ddThh:mm:ss+zz:00. Example: 2021-02-09T15:12:20+02:00",
            )
        async with self._locks.of(trial_id):
            if self._view.engine(trial_id) is not None:
                raise HttpRefusalError(400, f"Executor Engine with ID: {trial_id} already exists.")
            self._refuse_scheduled(trial_id)
            if self._is_past(start):
                raise HttpRefusalError(400, _PAST)
            await self._create(trial_id, {"startTime": in_utc(start)})

    async def schedule_from_registry(self, trial_id: str) -> None:
        """Schedule a trial at the time that the registry reports."""
        try:
            async with self._locks.of(trial_id):
                await self._schedule_from_registry(trial_id)
        except (RegistryError, HttpRefusalError) as error:
            why = error.detail if isinstance(error, HttpRefusalError) else str(error)
            raise HttpRefusalError(400, f"Failed to retrieve trial start time: {why}") from error

    async def schedule_all(self) -> ScheduleAllResult:
        """Schedule what the registry has and what is neither scheduled nor executing."""
        try:
            read = self._now()
            listing = await self._registry.trials_ahead(read, self._view.trial_ids())
        except RegistryError as error:
            raise HttpRefusalError(400, f"Failed to retrieve trials: {error}") from error
        ahead = [entry for entry in listing.entries if not self._is_past(entry.start_time)]
        if not ahead and self._level.nothing_ahead:
            raise HttpRefusalError(400, f"Failed to retrieve trials: {self._level.nothing_ahead}")
        executing = {entry.id for entry in ahead if self._view.engine(entry.id) is not None}
        moved = [entry for entry in ahead if entry.id not in executing and self._has_moved(entry)]
        added = {entry.id for entry in moved}
        await self._move(moved)
        few = asyncio.Semaphore(_AT_ONCE)

        async def add(entry: Entry) -> None:
            async with few, self._locks.of(entry.id):
                if self._view.engine(entry.id) is None and self._view.scheduling(entry.id) is None:
                    await self._create_from_registry(entry, read)
                    added.add(entry.id)

        await _all(add(entry) for entry in ahead if entry.id not in executing | added)
        others = [entry.id for entry in ahead if entry.id not in added]
        return ScheduleAllResult(
            added=[entry.id for entry in ahead if entry.id in added],
            scheduled=[trial_id for trial_id in others if trial_id not in executing],
            executing=[trial_id for trial_id in others if trial_id in executing],
        )

    async def unschedule(self, trial_id: str) -> None:
        """Remove a scheduling that has not started; return once the ID is free."""
        unknown = HttpRefusalError(400, f"Trial scheduling with ID: {trial_id} does not exist.")

        async def attempt() -> TrialRecord:
            trial = self._view.scheduling(trial_id)
            if trial is None:
                raise unknown
            version = str(trial.version)
            try:
                await self._client.delete(
                    TRIALS, self._namespace, trial.name, uid=trial.uid, resource_version=version
                )
            except NotFoundError:
                self._view.drop_trial(trial.name, trial.uid)
                raise unknown from None
            except ConflictError:  # it changed: it may have been started
                await self._read(trial.name)
                raise
            return trial

        async with self._locks.of(trial_id):
            try:
                trial = await again_on_conflict(attempt)
            except ConflictError:
                text = f"Trial scheduling with ID: {trial_id} is changing too often. Try again."
                raise HttpRefusalError(503, text) from None
            await self._wait_until_gone(trial.name, trial.uid)

    async def _schedule_from_registry(self, trial_id: str) -> None:
        if self._view.engine(trial_id) is not None:
            raise HttpRefusalError(400, f"Engine instance with trial ID: {trial_id} already exists.")
        read = self._now()
        entry = await self._registry.trial(trial_id)
        if self._is_past(entry.start_time):
            raise HttpRefusalError(400, _PAST)
        self._refuse_scheduled(trial_id)
        await self._create_from_registry(entry, read)

    def _is_past(self, start: datetime) -> bool:
        """Return whether a time has passed, to the second: scripts post the current time in whole seconds."""
        return start < self._now().replace(microsecond=0) - _JUST_NOW

    def _refuse_scheduled(self, trial_id: str) -> None:
        if self._view.scheduling(trial_id) is not None:
            raise HttpRefusalError(400, f"Trial scheduling with ID: {trial_id} already exists.")

    async def _create_from_registry(self, entry: Entry, read: datetime) -> None:
        annotations = {
            names.ANNOTATION_REGISTRY_START_TIME: in_utc(entry.start_time),
            names.ANNOTATION_REGISTRY_READ_TIME: rfc3339(read),
        }
        await self._create(entry.id, {"registryRef": {"name": self._registry.name}}, annotations)

    async def _create(self, trial_id: str, when: Json, annotations: dict[str, str] | None = None) -> None:
        """Create a Trial under the first free name."""
        for name in names.object_names(trial_id):
            if self._view.trial(name) is not None:
                continue
            manifest: Json = {
                "apiVersion": names.API_VERSION,
                "kind": TRIALS.kind,
                "metadata": {"name": name, "annotations": annotations or {}},
                "spec": {"trialID": trial_id, "planRef": {"name": self._plan}, **when},
            }
            try:
                self._take(await self._client.create(TRIALS, self._namespace, manifest))
            except AlreadyExistsError:
                await self._read(name)
                if self._view.engine(trial_id) is not None:
                    raise HttpRefusalError(
                        400, f"Executor Engine with ID: {trial_id} already exists."
                    ) from None
                self._refuse_scheduled(trial_id)
            except RejectedError as error:
                raise HttpRefusalError(
                    400, cut(f"The API server rejected the Trial: {error.message}")
                ) from error
            else:
                if self._view.plan_is_missing:
                    about = {"namespace": self._namespace, "trial": name, "plan": self._plan}
                    log.warning("scheduled trial cannot start: TrialPlan not found", **about)
                return

    async def _read(self, name: str) -> None:
        """Update the view of one Trial from the API server."""
        known = self._view.trial(name)
        try:
            self._take(await self._client.get(TRIALS, self._namespace, name))
        except NotFoundError:
            if known is not None:
                self._view.drop_trial(name, known.uid)

    def _take(self, raw: Json) -> None:
        self._view.put_trial(trial_of(raw))

    async def _wait_until_gone(self, name: str, uid: str) -> None:
        """Wait until a Trial and its armed TrialEngine are deleted, so that the ID is free.

        The wait is bounded: without a running operator an armed TrialEngine stays.
        """

        def is_gone() -> bool:
            trial, engines = self._view.trial(name), self._view.engines_of_trial(uid)
            return (trial is None or trial.uid != uid) and not engines

        if not await self._view.until(is_gone, _REMOVAL_SECONDS):
            await self._read(name)

    def _has_moved(self, entry: Entry) -> bool:
        """Return whether the registry reports a new time for a trial that was scheduled from it."""
        trial = self._view.scheduling(entry.id)
        known = trial is not None and trial.from_registry and not trial.deleting
        return self._level.moves and known and trial is not None and trial.start != entry.start_time

    async def _move(self, moved: list[Entry]) -> None:
        """Have the operator read the registry, and wait until it has moved these trials."""
        if moved:
            await self._registry.request_pull()
            await self._view.until(lambda: not any(map(self._has_moved, moved)), _MOVE_SECONDS)


async def _all(work: Iterable[Awaitable[None]]) -> None:
    """Await all; raise the first error once none is left running."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
