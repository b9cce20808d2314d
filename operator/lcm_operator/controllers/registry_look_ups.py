"""Trials that a registry's list lacks, looked up one by one, in turn.

Runs beside the pulls, with its own queue: a registry whose single trials hang still has its list read in
time. Each answer applies at once.
"""

from datetime import datetime  # noqa: TC003 - annotated at run time

from lcm_operator import logs
from lcm_operator.api import reasons
from lcm_operator.api.trial import Trial
from lcm_operator.controllers.registry_pull import Access, Pull
from lcm_operator.domain import imports
from lcm_operator.registry.errors import BadStatusError, RegistryError, UnreachableError

_MOST_A_PULL = 50
_NOT_FOUND = 404
log = logs.get(__name__)


class LookUps:
    """The single requests to one registry, from pull to pull."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._cache = access.reconciler.cache
        self._now = access.reconciler.clock.now
        self._asked: dict[str, datetime] = {}
        self._proven = True

    async def run(self, pull: Pull) -> None:
        """Look up some of the trials that the list of `pull` lacks. Raises NotLeadingError."""
        lacking = {trial.metadata.uid for trial in pull.lacking}
        self._asked = {uid: time for uid, time in self._asked.items() if uid in lacking}
        urgent_within = self._cache.settings.arm_lead
        turn = imports.next_look_ups(pull.lacking, self._asked, self._now(), urgent_within)
        for trial in turn[:_MOST_A_PULL]:
            if not pull.holds():
                return
            self._asked[trial.metadata.uid] = self._now()
            try:
                await self._ask(pull, trial)
            except UnreachableError as error:
                log.warning(
                    "start time not looked up; registry unreachable",
                    namespace=pull.place[0],
                    registry=pull.place[1],
                    error=error,
                )
                self._proven = False
                return
            self._proven = True

    async def _ask(self, pull: Pull, trial: Trial) -> None:
        client, trial_id, begun = pull.asking, trial.trial_id, self._now()
        if client is None:
            return
        registries = self._cache.registries
        try:
            entry = await self._access.look_ups.ask(
                pull.place,
                lambda: client.trial(trial_id),
                proven=self._proven,
                wanted=registries.is_awaited(pull.place),
            )
        except RegistryError as error:
            if not pull.holds():
                return
            if isinstance(error, BadStatusError) and error.status == _NOT_FOUND:
                registries.report_one(pull.place, trial_id, None, begun)
                if trial.status.start_time is None:  # it may still show an earlier answer
                    self._access.reconciler.queue.examine(self._cache.key_of(trial))
                await self._suspend(pull, trial)
            else:
                registries.fail_one(pull.place, trial_id, str(error), begun)
            pull.decide_about_waiting({trial_id})
            if isinstance(error, UnreachableError):
                raise
            return
        if not pull.holds():
            return
        registries.report_one(pull.place, trial_id, entry.start_time, begun)
        pull.decide_about_waiting({trial_id})
        if entry.start_time != trial.status.start_time:
            self._access.reconciler.queue.examine(self._cache.key_of(trial))

    async def _suspend(self, pull: Pull, trial: Trial) -> None:
        """Suspend a trial that has vanished, if its TrialRegistry says so."""
        current = self._cache.trial(trial.metadata.namespace, trial.metadata.name)
        if current is None or current.metadata.uid != trial.metadata.uid:
            return
        patch = imports.suspension(pull.registry, current, self._now())
        if patch is None:
            return
        writes, tell = pull.writes(), self._access.reconciler.recorder.tell
        if await writes.patch(current, patch, pull.take):
            why = "the registry no longer has the trial; it is suspended"
            tell("Trial", current.metadata, reasons.VANISHED, why, warning=True)
        elif writes.failed:
            about, why = pull.registry.metadata, f"not suspended: {writes.first_failure}"
            tell("TrialRegistry", about, reasons.WRITES_FAILED, why, warning=True)
