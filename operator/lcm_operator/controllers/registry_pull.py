"""One pull of one registry: ask, compare, act, show. All within one term of leadership.

    list ──> times into the cache, moved trials are examined ──> resume, import ──> status
      └── failed ──> status shows why; the times known so far are kept

The list's changes apply at once; trials that it lacks are looked up one by one afterwards
(`registry_look_ups`). `domain.imports` decides; `registry.request_queue` limits the requests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lcm_operator import logs
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.trial import Trial
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.registry_status import PullResult, RegistryStatus
from lcm_operator.controllers.registry_times import Place  # noqa: TC001 - annotated at run time
from lcm_operator.controllers.registry_writes import NotLeadingError, TrialWrites
from lcm_operator.domain import imports
from lcm_operator.domain.actions import Urgency
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import ApiError, NotFoundError
from lcm_operator.kube.resources import SECRETS
from lcm_operator.proxies import Proxies
from lcm_operator.registry.client import RegistryClient
from lcm_operator.registry.connection import connection_of
from lcm_operator.registry.errors import BadConnectionError, BadStatusError, RegistryError
from lcm_operator.registry.listing import Listing, Selection
from lcm_operator.registry.request_queue import RequestQueue

_BATCH = 50
_MOST_IN_VAIN = 4
"""Batches of a pull of which no Trial could be created."""
_REFUSED_FOR = timedelta(minutes=10)
_MOST_REFUSED = 5000
Refused = dict[str, datetime]
"""Trial IDs whose Trial the API server rejected, and when."""
log = logs.get(__name__)


@dataclass(frozen=True)
class Access:
    """What every pull uses."""

    client: Client
    reconciler: Reconciler
    status: RegistryStatus
    may_act: Callable[[], bool]
    lists: RequestQueue
    look_ups: RequestQueue
    proxies: Proxies


class Pull:
    """One registry, in one term. `registry` was read for this pull."""

    def __init__(self, access: Access, registry: TrialRegistry, refused: Refused) -> None:
        """`refused`: from pull to pull."""
        self.registry = registry
        self._refused = refused
        self.place: Place = (registry.metadata.namespace, registry.metadata.name)
        self._access = access
        self._cache = access.reconciler.cache
        self._term = self._cache.term
        self._now = access.reconciler.clock.now
        self._begun: datetime | None = None
        """When the request for the list went out."""
        self.asking: RegistryClient | None = None
        """The client that returned the list, None before."""
        self.lacking: tuple[Trial, ...] = ()
        """Trials that the list lacks."""
        self.retry_after = 0.0
        """For how many seconds the registry asked for no further requests."""

    def holds(self) -> bool:
        """Return whether this process still leads in the term in which the pull began."""
        return self._access.may_act() and self._cache.term == self._term

    async def run(self, *, proven: bool) -> bool:
        """Ask and act; return whether the registry returned its list.

        Raises ApiError, MalformedError, NotLeadingError.
        """
        begun = self._now()
        try:
            connection = connection_of(self.registry, await self._secret())
            client = RegistryClient(connection, proxies=self._access.proxies)
            selection = self._selection(begun)
            listing = await self._access.lists.ask(
                self.place,
                lambda: client.list_trials(selection),
                proven=proven,
                wanted=self._cache.registries.is_awaited(self.place),
                queued=self._queued,
                sent=self._sent,
            )
        except RegistryError as error:
            if isinstance(error, BadStatusError):
                self.retry_after = error.retry_after or 0.0
            self._lead_on()
            begun = self._begun or begun
            self._cache.registries.fail(self.place, str(error), begun)
            self.decide_about_waiting()
            await self._access.status.failed(self.registry, begun, error.reason, str(error), self.holds)
            return False
        self._lead_on()
        self.asking = client
        await self._act(listing, self._begun or begun)
        return True

    def _queued(self, others: int) -> None:
        if self.holds():
            self._cache.registries.queue(self.place, others, self._now())

    def _sent(self) -> None:
        self._begun = self._now()
        if self.holds():
            self._cache.registries.send(self.place, self._begun)

    def writes(self) -> TrialWrites:
        """Return the writes of Trials of this pull."""
        quiet = self._access.reconciler.queue.quiet
        return TrialWrites(self._access.client, self.place[0], may_write=self.holds, quiet=quiet)

    def decide_about_waiting(self, trial_ids: set[str] | None = None) -> None:
        """Examine the trials that waited for the registry's answer."""
        for key in self._cache.registries.take_waiting(self.place, trial_ids):
            self._access.reconciler.queue.examine(key, Urgency.FOLLOW)

    def take(self, raw: Any) -> None:
        """Put a Trial as the API server returned it into the cache."""
        self._access.reconciler.take(self._cache.put_trial, raw)

    def _lead_on(self) -> None:
        if not self.holds():
            raise NotLeadingError

    async def _secret(self) -> dict[str, Any] | None:
        auth, namespace = self.registry.spec.auth, self.place[0]
        if auth is None:
            return None
        try:
            return await self._access.client.get(SECRETS, namespace, auth.secret_ref.name)
        except NotFoundError:
            return None
        except ApiError as error:
            raise BadConnectionError(f"cannot read Secret {auth.secret_ref.name}: {error.message}") from error

    def _selection(self, now: datetime) -> Selection:
        """Return which entries of the list matter: of our Trials, of imports, and those to import."""
        ids = {trial.trial_id for trial in self._trials()}
        spec, status = self.registry.spec, self.registry.status
        also = imports.imported_before(self.registry) if status.imports else None
        if spec.import_ != "All":
            return Selection(ids, others=0, after=now, also=also)
        others = spec.import_limit + len(status.imports) + len(self._refused)
        return Selection(ids | set(status.ignored), others=others, after=now, also=also)

    def _trials(self) -> list[Trial]:
        return self._cache.trials_in(self.place[0])

    async def _act(self, listing: Listing, read: datetime) -> None:
        times = {entry.id: entry.start_time for entry in listing.entries}
        trials = self._trials()
        own = {trial.trial_id for trial in self._cache.trials_by(self.place)}
        self._cache.registries.report_list(self.place, times, own, read)
        self._forget_refused(times)
        changes = imports.compare(self.registry, times, trials, self._now(), self._refused)
        self.lacking = changes.lacking
        for trial in changes.moved:
            self._access.reconciler.queue.examine(self._cache.key_of(trial))
        self.decide_about_waiting(set(times))
        writes = self.writes()
        await writes.all(self._resume(writes, trial) for trial in changes.resumed)
        removed = await self._removed(writes, changes.removed)
        left = await self._import(writes, changes, times, read)
        result = PullResult(
            listing,
            times=times,
            removed=removed,
            not_imported=left + listing.left_out if self.registry.spec.import_ == "All" else 0,
            failed=writes.failed,
            first_failure=writes.first_failure,
        )
        self._lead_on()
        await self._access.status.told(self.registry, read, result, self._trials(), self.holds)

    def _forget_refused(self, times: dict[str, datetime]) -> None:
        """Forget entries that are no longer listed, or were rejected long ago."""
        since = self._now() - _REFUSED_FOR
        for trial_id, time in list(self._refused.items()):
            if trial_id not in times or time < since:
                del self._refused[trial_id]
        for trial_id in sorted(self._refused, key=self._refused.__getitem__)[:-_MOST_REFUSED]:
            del self._refused[trial_id]

    async def _resume(self, writes: TrialWrites, trial: Trial) -> None:
        await writes.patch(trial, imports.resumption(trial), self.take)

    async def _removed(self, writes: TrialWrites, suspected: tuple[str, ...]) -> tuple[str, ...]:
        """Return which imported Trials no longer exist: our watch may be behind another replica's writes."""
        gone: list[str] = []

        async def look(trial_id: str) -> None:
            try:
                if not await writes.find(trial_id, self.take):
                    gone.append(trial_id)
            except ApiError as error:
                log.warning(
                    "trial not read",
                    namespace=self.place[0],
                    registry=self.place[1],
                    trial=trial_id,
                    error=error,
                )

        for at in range(0, len(suspected), _BATCH):
            await writes.all(look(trial_id) for trial_id in suspected[at : at + _BATCH])
        return tuple(trial_id for trial_id in suspected if trial_id in set(gone))

    async def _import(
        self, writes: TrialWrites, changes: imports.Changes, times: dict[str, datetime], read: datetime
    ) -> int:
        """Create Trials; return how many are still missing. Each batch is remembered before the next begins.

        An exhausted quota would reject all others: then the import stops. Other rejections stop nothing: if
        there are too many for one pull, the next one begins behind them.
        """
        in_vain = 0
        left = changes.beyond_limit
        batches = [changes.wanted[at : at + _BATCH] for at in range(0, len(changes.wanted), _BATCH)]
        for number, batch in enumerate(batches):
            made: list[tuple[str, datetime]] = []
            try:
                await writes.all(self._create(writes, entry, read, made) for entry in batch)
            finally:
                if made:
                    log.info(
                        "trials imported",
                        namespace=self.place[0],
                        registry=self.place[1],
                        count=len(made),
                    )
                    await self._access.status.remember(self.registry, made, times, self._trials(), self.holds)
            left += len(batch) - len(made)
            self._note_refused(batch, made, writes)
            in_vain += not made
            if not made and (in_vain == _MOST_IN_VAIN or not writes.is_open):
                return left + sum(map(len, batches[number + 1 :]))
        return left

    def _note_refused(
        self,
        batch: tuple[tuple[str, datetime], ...],
        made: list[tuple[str, datetime]],
        writes: TrialWrites,
    ) -> None:
        done = {trial_id for trial_id, _ in made}
        for trial_id, _ in batch:
            if trial_id in writes.refused:
                self._refused[trial_id] = self._now()
            elif trial_id in done:
                self._refused.pop(trial_id, None)

    async def _create(
        self,
        writes: TrialWrites,
        entry: tuple[str, datetime],
        read: datetime,
        made: list[tuple[str, datetime]],
    ) -> None:
        trial_id, start = entry
        self._cache.registries.report_one(self.place, trial_id, start, read)

        def manifest(name: str) -> dict[str, Any]:
            return imports.manifest(self.registry, trial_id, start, name, read)

        if await writes.create(trial_id, manifest, self.take):
            made.append(entry)
