"""Carries out what `domain` decided: one exhaustive match, each branch safe to repeat.

What an action finds out goes into the store; the next decision is made from there. Raises
kube.errors.ConflictError where the decision no longer holds, UnavailableError where the API server can't be
reached; both mean: look and decide again.
"""

from collections.abc import Awaitable, Collection
from itertools import islice
from typing import Any, assert_never

from lcm_operator import logs
from lcm_operator.api import names, reasons
from lcm_operator.api.engine import TrialEngine, TrialEngineSpec, TrialEngineStatus
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.storage import parse, serialise, status_patch
from lcm_operator.api.trial import Trial, TrialStatus
from lcm_operator.controllers.admission import check, name_taken, rejected
from lcm_operator.controllers.import_memory import ImportMemory
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.members import MOST_AT_ONCE
from lcm_operator.controllers.plans import plan_name
from lcm_operator.controllers.pods import seen_pod
from lcm_operator.controllers.recorder import Recorder
from lcm_operator.controllers.store import Store
from lcm_operator.controllers.unreadable import LET_GO, end_unreadable
from lcm_operator.domain import actions as act
from lcm_operator.domain.imports import Fate, Note, expiry, importer, release
from lcm_operator.domain.snapshot import Absent, Problem, value_of
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
from lcm_operator.kube.resources import LEASES, PODS, TRIAL_ENGINES, TRIAL_PLANS, TRIALS, Resource

log = logs.get(__name__)


class StepRejectedError(ApiError):
    """A step towards a grant was refused; that is known in the store, and shown by the next decision."""


class Apply:
    """The hands of the operator."""

    def __init__(self, client: Client, store: Store, recorder: Recorder, clock: Clock) -> None:
        self._client = client
        self._store = store
        self._recorder = recorder
        self._clock = clock
        self._imports = ImportMemory(client)

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
                self._store.slot(key).admission = self._store.observed(admission)
            case act.CreatePod(engine=engine, manifest=manifest):
                await self._create_pod(key, engine, manifest)
            case act.CreateLease(manifest=manifest):
                await self._shown(key, self._create_lease(key, manifest))
            case act.DeletePod(name=name, uid=uid):
                await self._delete_pod(key, name, uid)
            case act.LookUpPod(name=name):
                await self._look_up_pod(key, name)
            case act.LookUpEngine():
                await self.read_engine(key)
            case act.LookUpPlan(trial=trial, purpose=purpose):
                await self._look_up_plan(key, trial, purpose)
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
                self._store.registries.want(trial, key, self._clock.now())
            case act.ReleaseImport(trial=trial):
                await self._release_import(trial)
            case act.RecordEvent():
                log.info(
                    "event",
                    namespace=key.namespace,
                    name=key.engine,
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
        """Read again what a decision rested on and has turned out to be old: not all of thousands of Trials.

        That is the TrialEngine, the holder of the ID and the Trials named in `about`.
        """
        chosen = self._store.holder(key)
        names_ = {*about, *({chosen.metadata.name} if chosen is not None else ())}
        await self._read_trials(key, names_)
        await self.read_engine(key)

    async def _read_trials(self, key: Key, about: Collection[str]) -> None:
        members = self._store.slot(key).trials
        for trial in [trial for name in about if (trial := members.get(name)) is not None]:
            try:
                raw = await self._client.get(TRIALS, key.namespace, trial.metadata.name)
            except NotFoundError:
                self._store.drop_trial(key.namespace, trial.metadata.name, trial.metadata.uid)
            else:
                self._store.put_trial(raw)

    async def read_engine(self, key: Key) -> None:
        """Read the TrialEngine of a slot."""
        slot = self._store.slot(key)
        pod = value_of(slot.pod)
        over = pod is not None and pod.is_over
        try:
            raw = await self._client.get(TRIAL_ENGINES, key.namespace, key.engine)
        except NotFoundError:
            if slot.engine is not None:
                self._store.drop_engine(key.namespace, key.engine, slot.engine.metadata.uid)
            slot.engine_gone, slot.stranger = True, ""
        else:
            self._store.put_engine(raw)
            slot.engine_read_after_end = over and value_of(slot.pod) == pod
            latched = {t.status.engine_ref.uid for t in slot.trials.values() if t.status.engine_ref}
            slot.engine_gone = bool(latched) and raw["metadata"]["uid"] not in latched

    async def _create_engine(self, key: Key, manifest: dict[str, Any]) -> None:
        slot = self._store.slot(key)
        try:
            raw = await self._client.create(TRIAL_ENGINES, key.namespace, manifest)
        except AlreadyExistsError:
            await self.read_engine(key)
        except (RejectedError, NotFoundError, UnavailableError) as error:
            slot.refusal = self._store.observed(rejected(error))
        else:
            slot.refusal = None
            self._store.put_engine(raw)

    async def _create_pod(self, key: Key, engine: TrialEngine, manifest: dict[str, Any]) -> None:
        """Create a pod, or adopt the one that is there: also if the create was refused.

        A quota that our own pod has filled refuses it before the API server sees that the name is taken.
        """
        if engine.status.pod_ref is not None:
            raise ConflictError(
                409, "GrantedAlready", "the TrialEngine is granted: what we know of its Trial is old"
            )
        slot, name = self._store.slot(key), manifest["metadata"]["name"]
        try:
            raw = await self._client.create(PODS, key.namespace, manifest)
        except (AlreadyExistsError, RejectedError, NotFoundError, UnavailableError) as error:
            problem = await self._adopt(key, engine, name, error)
            slot.refusal = self._store.observed(problem) if problem is not None else None
        else:
            slot.refusal = None
            slot.set_pod(self._store.observed(seen_pod(raw, created=self._clock.now())))

    async def _adopt(self, key: Key, engine: TrialEngine, name: str, error: ApiError) -> Problem | None:
        """Take a pod that is there if this TrialEngine controls it; return what else stands in the way."""
        try:
            raw = await self._client.get(PODS, key.namespace, name)
        except (NotFoundError, UnavailableError):
            return None if isinstance(error, AlreadyExistsError) else rejected(error)
        found = parse(raw["metadata"], Metadata)
        if found.controller_uid != engine.metadata.uid:
            return name_taken(found, engine)
        self._store.slot(key).set_pod(self._store.observed(seen_pod(raw)))
        return None

    async def _shown(self, key: Key, step: Awaitable[None]) -> None:
        """Do a step towards a grant; a refusal is kept, so that the next decision shows it and tries again.

        Raises StepRejectedError then: what was to follow the step must not be done.
        """
        try:
            await step
        except (RejectedError, UnavailableError) as error:
            self._store.slot(key).refusal = self._store.observed(rejected(error))
            raise StepRejectedError(error.status, error.reason, error.message) from error
        self._store.slot(key).refusal = None

    async def _create_lease(self, key: Key, manifest: dict[str, Any]) -> None:
        """Create a pod's Lease; one of that name that the pod can't renew is removed first."""
        try:
            await self._client.create(LEASES, key.namespace, manifest)
        except AlreadyExistsError:
            name = manifest["metadata"]["name"]
            raw = await self._client.get(LEASES, key.namespace, name)
            found = parse(raw["metadata"], Metadata)
            owners = [owner["uid"] for owner in manifest["metadata"]["ownerReferences"]]
            if (
                [owner.uid for owner in found.owner_references] != owners
                or found.labels.get(names.LABEL_TRIAL) != key.engine
                or (raw.get("spec") or {}).get("holderIdentity") != manifest["spec"]["holderIdentity"]
            ):
                await self._delete(LEASES, key.namespace, name, found.uid)
                raise ConflictError(409, "LeaseOfAnotherPod", f"Lease {name} was of another pod") from None
        self._store.slot(key).note_lease_made(manifest["spec"]["holderIdentity"])

    async def _delete_pod(self, key: Key, name: str, uid: str) -> None:
        """Delete a pod. One that no node had is removed at once, and the answer shows that it never ran."""
        try:
            raw = await self._client.delete(PODS, key.namespace, name, uid=uid)
        except NotFoundError:
            raw = {}
        slot = self._store.slot(key)
        if raw.get("kind") == "Pod" and raw["metadata"]["uid"] == uid:
            last = seen_pod(raw, removed=True)
            slot.set_pod(self._store.observed(last))
            if last.never_ran:
                slot.set_pod(self._store.observed(Absent(name)))
                return
        await self._look_up_pod(key, name)

    async def _look_up_pod(self, key: Key, name: str) -> None:
        slot = self._store.slot(key)
        try:
            raw = await self._client.get(PODS, key.namespace, name)
        except NotFoundError:
            slot.set_pod(self._store.observed(Absent(name)))
        else:
            pod, engine = seen_pod(raw), slot.engine
            own = (
                engine is not None and parse(raw["metadata"], Metadata).controller_uid == engine.metadata.uid
            )
            granted = engine.status.pod_ref if engine is not None else None
            stray = granted is not None and granted.name == pod.name and granted.uid != pod.uid
            if own and stray:  # it came after the granted one had gone, and will never be granted
                await self._delete(PODS, key.namespace, name, pod.uid)
            slot.set_pod(self._store.observed(pod if own and not stray else Absent(name)))

    async def _confirm_engine(self, key: Key) -> None:
        """Raise ConflictError if the TrialEngine is another, or in another state, than was decided on."""
        before = self._store.engine(key)
        await self.read_engine(key)
        after = self._store.engine(key)
        if _version(before) != _version(after):
            raise ConflictError(409, "EngineHasChanged", f"TrialEngine {key.engine} has changed meanwhile")

    async def _confirm_trials(self, key: Key) -> None:
        """Raise ConflictError if the Trial of a TrialEngine is in another state than was decided on, or gone.

        Of a TrialEngine whose Trial is not known: if another one that may hold the ID is.
        """
        members, chosen = self._store.slot(key).trials, self._store.holder(key)
        before = [chosen] if chosen is not None else list(islice(members.values(), MOST_AT_ONCE))
        await self._read_trials(key, [trial.metadata.name for trial in before])
        after = self._store.slot(key).trials
        if any(_version(after.get(trial.metadata.name)) != _version(trial) for trial in before):
            raise ConflictError(409, "TrialHasChanged", f"a Trial of {key.engine} has changed meanwhile")

    async def _delete_as_seen(self, resource: Resource, metadata: Metadata) -> None:
        """Delete an object in the state that was decided on. Raises ConflictError if it is in another one."""
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
        """Read a Trial and the TrialPlan that it uses, as they stand now: each has a watch of its own."""
        namespace, name = key.namespace, trial.metadata.name
        try:
            self._store.put_trial(await self._client.get(TRIALS, namespace, name))
        except NotFoundError:
            self._store.drop_trial(namespace, name, trial.metadata.uid)
            return
        plan = plan_name(self._store.trial(namespace, name) or trial)
        if plan is not None:
            known = self._store.plans.uid(namespace, plan)
            try:
                self._store.put_plan(await self._client.get(TRIAL_PLANS, namespace, plan))
            except NotFoundError:
                if known is not None:
                    self._store.drop_plan(namespace, plan, known)
        self._store.slot(key).plan_read = self._store.observed(purpose)

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
            self._store.slot(key).refusal = self._store.observed(problem)
        else:
            self._store.slot(key).refusal = None
            self._store.put_engine(raw)

    async def _delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        try:
            await self._client.delete(resource, namespace, name, uid=uid)
        except NotFoundError:
            return

    async def _write_trial(self, trial: Trial, status: TrialStatus) -> None:
        self._store.put_trial(await self._write_status(TRIALS, trial, status))

    async def _write_engine(self, engine: TrialEngine, status: TrialEngineStatus) -> None:
        self._store.put_engine(await self._write_status(TRIAL_ENGINES, engine, status))

    async def _write_status(
        self, resource: Resource, known: Trial | TrialEngine, status: TrialStatus | TrialEngineStatus
    ) -> dict[str, Any]:
        """Write what differs, on the resourceVersion that it was computed from."""
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
        start = self._store.start_time_of(trial)
        ahead = start is not None and start > self._clock.now() and outcome(trial) is None
        if trial.spec.registry_ref is not None and start is not None and ahead:
            fate: Fate = "Deleted" if metadata.deletion_timestamp is not None else "Imported"
            await self._note_import(trial, Note(trial.trial_id, fate, start))
        try:
            raw = await self._client.merge_patch(TRIALS, metadata.namespace, metadata.name, release(trial))
        except NotFoundError:
            self._store.drop_trial(metadata.namespace, metadata.name, metadata.uid)
        else:
            self._store.put_trial(raw)

    async def _end_unreadable(self, key: Key, engine: Metadata, *, end_pods: bool) -> None:
        try:
            raw = await end_unreadable(self._client, key.namespace, engine, end_pods=end_pods)
        except NotFoundError:
            self._store.drop_engine(key.namespace, engine.name, engine.uid)
            return
        if raw is None:
            self._store.slot(key).unreadable_runs = self._store.observed(True)
            return
        self._store.put_engine(raw)
        self._recorder.tell("TrialEngine", engine, reasons.MALFORMED, LET_GO, warning=True)

    async def _hold(self, key: Key, engine: TrialEngine, *, hold: bool) -> None:
        metadata = engine.metadata
        others = [each for each in metadata.finalizers if each != names.FINALIZER_ENGINE]
        finalizers = [*others, names.FINALIZER_ENGINE] if hold else others
        patch = {"metadata": {"resourceVersion": metadata.resource_version, "finalizers": finalizers}}
        try:
            raw = await self._client.merge_patch(TRIAL_ENGINES, key.namespace, metadata.name, patch)
        except NotFoundError:
            self._store.drop_engine(key.namespace, metadata.name, metadata.uid)
        else:
            self._store.put_engine(raw)


def _version(known: Trial | TrialEngine | None) -> tuple[str, str] | None:
    return None if known is None else (known.metadata.uid, known.metadata.resource_version)
