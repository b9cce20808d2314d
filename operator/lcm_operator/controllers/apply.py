"""Executes the actions that `domain` decided: one exhaustive match, each branch safe to repeat.

Results are put into the cache, from which the next decision is made. Raises kube.errors.ConflictError if the
decision was based on an old state, UnavailableError if the API server can't be reached: then decide again.
"""

import asyncio
from collections.abc import Awaitable, Collection
from itertools import islice
from typing import Any, assert_never

from lcm_operator import logs
from lcm_operator.api import names, reasons
from lcm_operator.api.engine import TrialEngine, TrialEngineSpec, TrialEngineStatus
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.storage import serialise, status_patch
from lcm_operator.api.trial import Trial, TrialStatus
from lcm_operator.controllers.admission import check, rejected
from lcm_operator.controllers.import_memory import ImportMemory
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.members import MOST_AT_ONCE
from lcm_operator.controllers.pod_actions import Patience, PodActions
from lcm_operator.controllers.recorder import Recorder
from lcm_operator.controllers.reference_reader import ReferenceReader
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.controllers.unreadable import LET_GO, end_unreadable
from lcm_operator.domain import actions as act
from lcm_operator.domain.imports import Fate, Note, expiry, importer, release
from lcm_operator.domain.snapshot import Problem, value_of
from lcm_operator.domain.status import outcome
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
from lcm_operator.kube.resources import TRIAL_ENGINES, TRIAL_PLANS, TRIALS, Resource

log = logs.get(__name__)


class StepRejectedError(ApiError):
    """A step towards a grant was rejected; the cache knows it, and the next decision shows it."""


class Apply:
    """Executes actions against the API server."""

    def __init__(
        self,
        client: Client,
        cache: SlotCache,
        recorder: Recorder,
        clock: Clock,
        patience: Patience = asyncio.timeout,
    ) -> None:
        self._client = client
        self._cache = cache
        self._recorder = recorder
        self._clock = clock
        self._imports = ImportMemory(client)
        self._pods = PodActions(client, cache, clock, patience)
        self.references = ReferenceReader(client, cache, clock)

    async def __call__(self, key: Key, action: act.Action) -> None:  # noqa: C901, PLR0912, PLR0915
        """Carry out one action for the slot `key`."""
        # Not shorter than the union: a branch each.
        match action:
            case act.DeleteTrial(trial=trial):
                await self._confirm_engine(key)
                await self._note_import(trial, expiry(trial))  # before: afterwards nobody might know
                await self._delete_as_seen(TRIALS, trial.metadata)
                await self.read(key, {trial.metadata.name})
            case act.CreateEngine(manifest=manifest):
                await self._create_engine(key, manifest)
            case act.DeleteEngine(engine=engine):
                await self._confirm_trials(key)
                await self._delete_as_seen(TRIAL_ENGINES, engine.metadata)
                await self.read_engine(key)
            case act.CheckAdmission(engine=engine, manifest=manifest):
                admission = await check(self._client, engine, manifest)
                self._cache.slot(key).admission = self._cache.observed(admission)
            case act.CreatePod(engine=engine, manifest=manifest):
                await self._pods.create(key, engine, manifest)
            case act.CreateLease(manifest=manifest):
                await self._shown(key, self._pods.create_lease(key, manifest))
            case act.DeletePod(name=name, uid=uid):
                await self._pods.delete(key, name, uid)
            case act.LookUpPod(name=name):
                await self._pods.look_up(key, name)
            case act.LookUpEngine():
                await self.read_engine(key)
                await self._pods.read_log_at_end(key)
            case act.LookUpPlan(trial=trial, purpose=purpose):
                await self._look_up_plan(key, trial, purpose)
            case act.WatchReferences(objects=objects):
                await self.references.read(key, objects)
            case act.LatchTrial(trial=trial, status=status) | act.WriteTrial(trial=trial, status=status):
                await self._write_trial(trial, status)
            case act.GrantEngine(engine=engine, status=new):
                await self._shown(key, self._write_engine(engine, new))
            case act.WriteEngine(engine=engine, status=new):
                await self._write_engine(engine, new)
            case act.ReplaceSpec(engine=engine, spec=spec):
                await self._replace_spec(key, engine, spec)
            case act.EndUnreadableEngine(metadata=metadata, end_pods=end_pods):
                await self._end_unreadable(key, metadata, end_pods=end_pods)
            case act.HoldEngine(engine=engine):
                await self._shown(key, self._hold(key, engine, hold=True))
            case act.UnholdEngine(engine=engine):
                await self._hold(key, engine, hold=False)
            case act.AskRegistry(trial=trial):
                self._cache.registries.want(trial, key, self._clock.now())
            case act.ReleaseImport(trial=trial):
                await self._release_import(trial)
            case act.RecordEvent():
                log.info(
                    "event",
                    namespace=key.namespace,
                    name=key.name,
                    reason=action.reason,
                    message=action.message,
                )
                if action.first:
                    await self._recorder.record(action)
                else:
                    self._recorder.add(action)
            case _:
                assert_never(action)

    async def read(self, key: Key, about: Collection[str] = ()) -> None:
        """Read again the objects of a decision that has turned out to be outdated.

        These are the TrialEngine, the holder of the ID and the Trials named in `about`.
        """
        chosen = self._cache.holder(key)
        names_ = {*about, *({chosen.metadata.name} if chosen is not None else ())}
        await self._read_trials(key, names_)
        await self.read_engine(key)

    async def _read_trials(self, key: Key, about: Collection[str]) -> None:
        members = self._cache.slot(key).trials
        for trial in [trial for name in about if (trial := members.get(name)) is not None]:
            try:
                raw = await self._client.get(TRIALS, key.namespace, trial.metadata.name)
            except NotFoundError:
                self._cache.drop_trial(key.namespace, trial.metadata.name, trial.metadata.uid)
            else:
                self._cache.put_trial(raw)

    async def read_engine(self, key: Key) -> None:
        """Read the TrialEngine of a slot."""
        slot = self._cache.slot(key)
        pod = value_of(slot.pod)
        over = pod is not None and pod.is_over
        try:
            raw = await self._client.get(TRIAL_ENGINES, key.namespace, key.name)
        except NotFoundError:
            if slot.engine is not None:
                self._cache.drop_engine(key.namespace, key.name, slot.engine.metadata.uid)
            slot.engine_gone, slot.stranger = True, ""
        else:
            self._cache.put_engine(raw)
            slot.engine_read_after_end = over and value_of(slot.pod) == pod
            latched = {t.status.engine_ref.uid for t in slot.trials.values() if t.status.engine_ref}
            slot.engine_gone = bool(latched) and raw["metadata"]["uid"] not in latched

    async def _create_engine(self, key: Key, manifest: dict[str, Any]) -> None:
        slot = self._cache.slot(key)
        try:
            raw = await self._client.create(TRIAL_ENGINES, key.namespace, manifest)
        except AlreadyExistsError:
            await self.read_engine(key)
        except (RejectedError, NotFoundError, UnavailableError) as error:
            slot.refusal = self._cache.observed(rejected(error))
        else:
            slot.refusal = None
            self._cache.put_engine(raw)

    async def _shown(self, key: Key, step: Awaitable[None]) -> None:
        """Do a step towards a grant; a rejection is noted, so that the next decision shows it and retries.

        Raises StepRejectedError then: the actions after it must not be executed.
        """
        try:
            await step
        except (RejectedError, UnavailableError) as error:
            self._cache.slot(key).refusal = self._cache.observed(rejected(error))
            raise StepRejectedError(error.status, error.reason, error.message) from error
        self._cache.slot(key).refusal = None

    async def _confirm_engine(self, key: Key) -> None:
        """Raise ConflictError if the TrialEngine is not the one, or not in the state, that was decided on."""
        before = self._cache.engine(key)
        await self.read_engine(key)
        after = self._cache.engine(key)
        if _version(before) != _version(after):
            raise ConflictError(409, "EngineHasChanged", f"TrialEngine {key.name} has changed meanwhile")

    async def _confirm_trials(self, key: Key) -> None:
        """Raise ConflictError if the Trial of a TrialEngine was deleted or has changed since the decision.

        If its Trial is not known, this is checked for those that may hold the ID.
        """
        members, chosen = self._cache.slot(key).trials, self._cache.holder(key)
        before = [chosen] if chosen is not None else list(islice(members.values(), MOST_AT_ONCE))
        await self._read_trials(key, [trial.metadata.name for trial in before])
        after = self._cache.slot(key).trials
        if any(_version(after.get(trial.metadata.name)) != _version(trial) for trial in before):
            raise ConflictError(409, "TrialHasChanged", f"a Trial of {key.name} has changed meanwhile")

    async def _delete_as_seen(self, resource: Resource, metadata: Metadata) -> None:
        """Delete an object in the state that was decided on. Raises ConflictError if it has changed."""
        try:
            await self._client.delete(
                resource,
                metadata.namespace,
                metadata.name,
                uid=metadata.uid,
                resource_version=metadata.resource_version,
            )
        except NotFoundError:
            return

    async def _look_up_plan(self, key: Key, trial: Trial, purpose: str) -> None:
        """Read a Trial and the TrialPlan that it uses: each has its own watch, and one may be behind."""
        namespace, name = key.namespace, trial.metadata.name
        try:
            self._cache.put_trial(await self._client.get(TRIALS, namespace, name))
        except NotFoundError:
            self._cache.drop_trial(namespace, name, trial.metadata.uid)
            return
        plan = (self._cache.trial(namespace, name) or trial).plan_name
        if plan is not None:
            known = self._cache.plans.uid(namespace, plan)
            try:
                self._cache.put_plan(await self._client.get(TRIAL_PLANS, namespace, plan))
            except NotFoundError:
                if known is not None:
                    self._cache.drop_plan(namespace, plan, known)
        self._cache.slot(key).plan_read = self._cache.observed(purpose)

    async def _replace_spec(self, key: Key, engine: TrialEngine, spec: TrialEngineSpec) -> None:
        """Replace a TrialEngine's spec on the resourceVersion that it was decided on."""
        metadata = engine.metadata
        patch: list[dict[str, Any]] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata.resource_version},
            {"op": "replace", "path": "/spec", "value": serialise(spec)},
        ]
        try:
            raw = await self._client.json_patch(TRIAL_ENGINES, key.namespace, metadata.name, patch)
        except RejectedError as error:
            problem = Problem(reasons.PLAN_UNSUPPORTED, f"{error.status} {error.message}")
            self._cache.slot(key).refusal = self._cache.observed(problem)
        else:
            self._cache.slot(key).refusal = None
            self._cache.put_engine(raw)

    async def _write_trial(self, trial: Trial, status: TrialStatus) -> None:
        self._cache.put_trial(await self._write_status(TRIALS, trial, status))

    async def _write_engine(self, engine: TrialEngine, status: TrialEngineStatus) -> None:
        self._cache.put_engine(await self._write_status(TRIAL_ENGINES, engine, status))

    async def _write_status(
        self, resource: Resource, known: Trial | TrialEngine, status: TrialStatus | TrialEngineStatus
    ) -> dict[str, Any]:
        """Write the changed fields, on the resourceVersion that they were computed from."""
        metadata = known.metadata
        patch = status_patch(metadata.resource_version, serialise(known.status), serialise(status))
        return await self._client.json_patch(
            resource, metadata.namespace, metadata.name, patch, subresource="status"
        )

    async def _note_import(self, trial: Trial, note: Note | None) -> None:
        registry = importer(trial)
        if note is not None and registry is not None:
            await self._imports.note(registry, note)

    async def _release_import(self, trial: Trial) -> None:
        metadata = trial.metadata
        start = self._cache.start_time_of(trial)
        ahead = start is not None and start > self._clock.now() and outcome(trial) is None
        if trial.spec.registry_ref is not None and start is not None and ahead:
            fate: Fate = "Deleted" if metadata.deletion_timestamp is not None else "Imported"
            await self._note_import(trial, Note(trial.trial_id, fate, start))
        try:
            raw = await self._client.merge_patch(TRIALS, metadata.namespace, metadata.name, release(trial))
        except NotFoundError:
            self._cache.drop_trial(metadata.namespace, metadata.name, metadata.uid)
        else:
            self._cache.put_trial(raw)

    async def _end_unreadable(self, key: Key, engine: Metadata, *, end_pods: bool) -> None:
        try:
            raw = await end_unreadable(self._client, key.namespace, engine, end_pods=end_pods)
        except NotFoundError:
            self._cache.drop_engine(key.namespace, engine.name, engine.uid)
            return
        if raw is None:
            self._cache.slot(key).unreadable_runs = self._cache.observed(True)
            return
        self._cache.put_engine(raw)
        self._recorder.tell("TrialEngine", engine, reasons.MALFORMED, LET_GO, warning=True)

    async def _hold(self, key: Key, engine: TrialEngine, *, hold: bool) -> None:
        metadata = engine.metadata
        others = [each for each in metadata.finalizers if each != names.FINALIZER_ENGINE]
        finalizers = [*others, names.FINALIZER_ENGINE] if hold else others
        patch = {"metadata": {"resourceVersion": metadata.resource_version, "finalizers": finalizers}}
        try:
            raw = await self._client.merge_patch(TRIAL_ENGINES, key.namespace, metadata.name, patch)
        except NotFoundError:
            self._cache.drop_engine(key.namespace, metadata.name, metadata.uid)
        else:
            self._cache.put_engine(raw)


def _version(known: Trial | TrialEngine | None) -> tuple[str, str] | None:
    return None if known is None else (known.metadata.uid, known.metadata.resource_version)
