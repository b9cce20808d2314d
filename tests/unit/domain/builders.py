"""Builders for the tests of decisions: each sets only what a case is about.

Objects are made as they come from the API server. Statuses are not made up: `settle` lets `decide` itself
write them, until something else than a status write is to be done.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from lcm_operator.api import conditions, names
from lcm_operator.api.engine import ActivityStatus, TrialEngine
from lcm_operator.api.plan import TrialPlan
from lcm_operator.api.storage import parse, rfc3339
from lcm_operator.api.trial import Trial, TrialStatus
from lcm_operator.domain.actions import (
    Act,
    Action,
    Decision,
    GrantEngine,
    HoldEngine,
    LatchTrial,
    LookUpPlan,
    RecordEvent,
    ReplaceSpec,
    WatchReferences,
    WriteEngine,
    WriteTrial,
)
from lcm_operator.domain.decide import decide
from lcm_operator.domain.engine_spec import engine_manifest, resolve_spec
from lcm_operator.domain.references import ROLE_BINDING, SERVICE_ACCOUNT, TRIAL_REGISTRY
from lcm_operator.domain.snapshot import Absent, Admission, Observation, Pod, Problem, Reference, Snapshot
from lcm_operator.domain.status import resolved_start_time

T = datetime(2026, 11, 24, 10, tzinfo=UTC)
"""The start time of every trial that doesn't say otherwise."""
REFUSED = Problem("AdmissionRefused", "exceeded quota")
WATCHED = frozenset(
    {
        Reference(SERVICE_ACCOUNT, names.ENGINE_SERVICE_ACCOUNT),
        Reference(ROLE_BINDING, names.ENGINE_SERVICE_ACCOUNT),
        Reference(TRIAL_REGISTRY, "default"),
    }
)
"""The objects that every trial needs; they are watched already, and exist."""


def at(seconds: float) -> datetime:
    """Return the moment so long after the start time."""
    return T + timedelta(seconds=seconds)


def nap(name: str, **more: Any) -> dict[str, Any]:
    """Return an activity; what kind it is of doesn't matter here."""
    return {"name": name, "sleep": {"seconds": 1}} | more


def trial(
    *,
    name: str = "example",
    uid: str = "trial-1",
    created: float = -3600,
    generation: int = 1,
    annotations: dict[str, str] | None = None,
    deleted: bool = False,
    status: TrialStatus | None = None,
    **spec: Any,
) -> Trial:
    """Return a Trial of three activities; `spec` as in a manifest, None removes a field."""
    fields = {"startTime": rfc3339(T), "activities": [nap("one"), nap("two"), nap("three")]} | spec
    made = parse(
        {
            "metadata": {
                "name": name,
                "namespace": "lab",
                "uid": uid,
                "resourceVersion": "1",
                "generation": generation,
                "creationTimestamp": rfc3339(at(created)),
                "annotations": annotations or {},
            }
            | ({"deletionTimestamp": rfc3339(T)} if deleted else {}),
            "spec": {key: value for key, value in fields.items() if value is not None},
        },
        Trial,
    )
    return made if status is None else msgspec.structs.replace(made, status=status)


def edited(before: Trial, *, annotations: dict[str, str] | None = None, **spec: Any) -> Trial:
    """Return `before` after a user's edit: a new generation if the spec is touched, the status as it was."""
    touched = trial(name=before.metadata.name, annotations=annotations, **spec) if spec else before
    return msgspec.structs.replace(
        before,
        spec=touched.spec,
        metadata=msgspec.structs.replace(
            before.metadata,
            generation=before.metadata.generation + bool(spec),
            annotations=before.metadata.annotations if annotations is None else annotations,
        ),
    )


def resolve_engine(
    this: Trial, by: TrialPlan | Problem | None = None, start_time: datetime = T
) -> dict[str, Any] | Problem:
    """Return the manifest of the TrialEngine of a Trial, or why there can be none."""
    spec = resolve_spec(this, by, start_time)
    return spec if isinstance(spec, Problem) else engine_manifest(this, spec)


def engine(of: Trial | None = None, *, uid: str = "engine-1", **metadata: Any) -> TrialEngine:
    """Return the TrialEngine that arming makes for a Trial."""
    owner = of or trial()
    manifest = resolve_engine(owner, start_time=resolved_start_time(owner) or T)
    assert not isinstance(manifest, Problem), manifest
    manifest["metadata"] |= {"uid": uid, "resourceVersion": "1", "generation": 1} | metadata
    return parse(manifest, TrialEngine)


def held(this: TrialEngine) -> TrialEngine:
    """Return a TrialEngine that has our finalizer."""
    metadata = msgspec.structs.replace(this.metadata, finalizers=(names.FINALIZER_ENGINE,))
    return msgspec.structs.replace(this, metadata=metadata)


def deleting(this: TrialEngine, *finalizers: str) -> TrialEngine:
    """Return a TrialEngine that is being deleted and held by `finalizers` (default: ours)."""
    held = finalizers or (names.FINALIZER_ENGINE,)
    metadata = msgspec.structs.replace(this.metadata, deletion_timestamp=T, finalizers=held)
    return msgspec.structs.replace(this, metadata=metadata)


def plan(*, name: str = "default", **spec: Any) -> TrialPlan:
    """Return a TrialPlan of one activity."""
    return parse({"metadata": {"name": name}, "spec": {"activities": [nap("one")]} | spec}, TrialPlan)


def pod(attempt: int = 1, *, uid: str | None = None, seen: float = 0.2, **fields: Any) -> Observation[Pod]:
    """Return the pod of an attempt of `example`, created a fifth of a second after the start time."""
    found = {"name": f"example-{attempt}", "uid": uid or f"pod-{attempt}", "created": at(0.2)}
    return Observation(Pod(**(found | fields)), at(seen))


def absent(name: str = "example-1", *, seen: float = 0.2) -> Observation[Absent]:
    """Return that a pod was looked for and not found."""
    return Observation(Absent(name), at(seen))


def slot(*trials: Trial, **seen: Any) -> Snapshot:
    """Return the snapshot of the slot `example`."""
    return Snapshot(name="example", trials=trials, **({"watched": WATCHED} | seen))


def admitted(
    this: TrialEngine, problem: Problem | None = None, *, checked: float = -40
) -> Observation[Admission]:
    """Return what the dry run of the engine's pod said."""
    return Observation(Admission(this.metadata.uid, problem), at(checked))


def refused(at_second: float, problem: Problem = REFUSED) -> Observation[Problem]:
    """Return a create that was refused."""
    return Observation(problem, at(at_second))


def settle(before: Snapshot, now: datetime) -> Snapshot:
    """Return the snapshot after every status write that is due at `now`, latch and grant included."""
    for _ in range(10):
        decision = decide(before, now)
        after = written(before, decision)
        if after == before:
            return before
        before = after
    raise AssertionError("the status writes don't come to an end")


def written(before: Snapshot, decision: Decision) -> Snapshot:
    """Return the snapshot after the status writes of a decision."""
    for action in actions_of(decision):
        match action:
            case WriteTrial(trial=of, status=status) | LatchTrial(trial=of, status=status):
                after = msgspec.structs.replace(of, status=status)
                others = (after if each is of else each for each in before.trials)
                before = replace(before, trials=tuple(others))
            case WatchReferences(objects=objects):
                before = replace(before, watched=before.watched | objects)
            case LookUpPlan(purpose=purpose):
                before = replace(before, plan_read=Observation(purpose, T))
            case ReplaceSpec(engine=of, spec=spec):
                before = replace(before, engine=msgspec.structs.replace(of, spec=spec))
            case HoldEngine(engine=of):
                before = replace(before, engine=held(of))
            case WriteEngine(engine=of, status=status) | GrantEngine(engine=of, status=status):
                before = replace(before, engine=msgspec.structs.replace(of, status=status))
            case _:
                pass
    return before


def scheduled(this: Trial | None = None, *, now: float = -3000) -> Trial:
    """Return a Trial that shows that it is scheduled."""
    return settle(slot(this or trial()), at(now)).trials[0]


def armed(this: Trial | None = None, *, now: float = -30) -> Snapshot:
    """Return a slot that is armed and shows it."""
    owner = this or trial()
    made = engine(owner)
    return settle(slot(owner, engine=made, admission=admitted(made)), at(now))


def latched(this: Trial | None = None) -> Snapshot:
    """Return a slot whose start is latched, and whose TrialEngine has no grant."""
    before = replace(armed(this), pod=pod())
    while before.trials[0].status.started_time is None:
        before = written(before, decide(before, at(0.2)))
    return before


def running(this: Trial | None = None, **states: str) -> Snapshot:
    """Return a granted slot that shows all there is; `states`: what the engine saved since, by activity."""
    granted = settle(replace(armed(this), pod=pod()), at(0.2))
    return with_activities(granted, **states) if states else granted


def ended(this: Trial | None = None, **states: str) -> Snapshot:
    """Return a slot whose engine ended by itself, with the outcome recorded and shown."""
    over = replace(running(this, **states), pod=pod(ended=True, exit_code=0), engine_read_after_end=True)
    return settle(over, at(10))


def with_activities(before: Snapshot, **states: str) -> Snapshot:
    """Return the snapshot with what the engine has saved: the state of activities by name."""
    assert before.engine is not None
    saved = tuple(
        ActivityStatus(name=name, state=state, run=1, start_time=at(0.5), message=f"{name}: as told")  # type: ignore[arg-type]
        for name, state in states.items()
    )
    status = msgspec.structs.replace(before.engine.status, activities=saved)
    return replace(before, engine=msgspec.structs.replace(before.engine, status=status))


def asking(before: Snapshot, on: str = "trial", **annotations: str) -> Snapshot:
    """Return the snapshot after a person annotated Trial or TrialEngine (`restore`, `restore_from`)."""
    asked = {f"{names.GROUP}/{key.replace('_', '-')}": value for key, value in annotations.items()}
    if on == "trial":
        return replace(before, trials=(edited(before.trials[0], annotations=asked),))
    assert before.engine is not None
    metadata = msgspec.structs.replace(before.engine.metadata, annotations=asked)
    return replace(before, engine=msgspec.structs.replace(before.engine, metadata=metadata))


def with_plan_read(before: Snapshot, now: datetime) -> Snapshot:
    """Return the snapshot after Trial and plan were read for what is asked."""
    decision = decide(before, now)
    assert steps(decision) == ["LookUpPlan"], decision
    return written(before, decision)


def gone(before: Snapshot) -> Snapshot:
    """Return the snapshot after the pod was found to be gone."""
    return replace(before, pod=absent())


def actions_of(decision: Decision) -> tuple[Action, ...]:
    """Return what is to be done: nothing by who waits."""
    return decision.actions if isinstance(decision, Act) else ()


def steps(decision: Decision) -> list[str]:
    """Return the names of what is to be done, in order."""
    return [type(action).__name__ for action in actions_of(decision)]


def shown(decision: Decision, kind: str) -> tuple[str, str]:
    """Return status and reason of a condition in the one status that a decision writes."""
    (status,) = [
        action.status
        for action in actions_of(decision)
        if isinstance(action, WriteTrial | LatchTrial | WriteEngine | GrantEngine)
    ]
    found = conditions.find(status.conditions, kind)
    assert found is not None, kind
    return found.status, found.reason


def message_of(decision: Decision, kind: str) -> str:
    """Return the message of a condition in the one status that a decision writes."""
    (status,) = [
        action.status
        for action in actions_of(decision)
        if isinstance(action, WriteTrial | LatchTrial | WriteEngine | GrantEngine)
    ]
    found = conditions.find(status.conditions, kind)
    assert found is not None, kind
    return found.message


def succeeded(status: TrialStatus) -> conditions.Condition:
    """Return the condition Succeeded of a Trial's status."""
    found = conditions.find(status.conditions, "Succeeded")
    assert found is not None
    return found


def recorded_events(decision: Decision) -> list[tuple[str, bool]]:
    """Return reason and warning of each Event of a decision."""
    return [(a.reason, a.warning) for a in actions_of(decision) if isinstance(a, RecordEvent)]
