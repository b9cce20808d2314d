"""A restore with a repaired plan: what the plan is now, and whether an engine may go on by it. Pure.

    spec ──request, podRef off──> status.pendingPlan ──spec replaced──> generations fit ──> answered ──> grant

Plan, parameters and engine settings are those of the Trial and its TrialPlan, read for this very request.
"""

from datetime import datetime

import msgspec

from lcm_operator.api import names, reasons
from lcm_operator.api.conditions import ConditionUpdate
from lcm_operator.api.engine import (
    ActivityStatus,
    PendingPlan,
    PendingRequest,
    ResetCheckpoint,
    TrialEngine,
    TrialEngineSpec,
    TrialEngineStatus,
)
from lcm_operator.api.plan import Activity
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Act, LookUpPlan, RecordEvent, WriteEngine, act
from lcm_operator.domain.engine_spec import resolve_spec
from lcm_operator.domain.grant import attempt_of
from lcm_operator.domain.readiness import has_current_plan
from lcm_operator.domain.release import has_begun, unreleased, with_release
from lcm_operator.domain.requests import Request, answer, pending_requests
from lcm_operator.domain.snapshot import Problem, Snapshot, value_of
from lcm_operator.plan.branches import following, preceding

_KEPT_REQUESTS = 20
_MOST_ACTIVITIES = 128
"""As many as a status can have, by its CRD."""


def look_up_plan(
    snapshot: Snapshot, trial: Trial, engine: TrialEngine, requests: tuple[Request, ...]
) -> Act | None:
    """Return the decision to read Trial and plan for these requests, unless that was done: watches lag."""
    purpose = f"{attempt_of(engine)} {' '.join(request.label for request in requests)}"
    return None if value_of(snapshot.plan_read) == purpose else act(LookUpPlan(trial, purpose))


def spec_now(snapshot: Snapshot, trial: Trial, engine: TrialEngine) -> TrialEngineSpec | Problem:
    """Return what the engine would run by as Trial and plan stand now; its start time stays."""
    default = snapshot.settings.engine_template
    return resolve_spec(trial, snapshot.plan, engine.spec.start_time, default)


def is_same_version(one: TrialEngineSpec | PendingPlan, other: TrialEngineSpec | PendingPlan) -> bool:
    """Return whether both were made of the same generations of Trial and plan."""
    return (one.trial_generation, one.plan_generation, one.plan_uid) == (
        other.trial_generation,
        other.plan_generation,
        other.plan_uid,
    )


def pending_plan(
    engine: TrialEngine,
    spec: TrialEngineSpec,
    requests: tuple[Request, ...] = (),
    prepared: TrialEngineStatus | None = None,
) -> PendingPlan:
    """Return the note that `spec` is to be taken, for these requests and those that wait already.

    `prepared`: the checkpoint as the restore resets it.
    """
    noted = engine.status.pending_plan
    reset = noted.before if noted is not None else None
    if prepared is not None:
        changed = {each.name for each in prepared.activities if each != engine.status.activity(each.name)}
        reset = ResetCheckpoint(
            activities=tuple(each for each in engine.status.activities if each.name in changed),
            values=engine.status.values,
            consumed_signals=engine.status.consumed_signals,
        )
    before = noted.requests if noted is not None else ()
    asked = tuple(PendingRequest(id=request.id, on_trial=request.on_trial) for request in requests)
    return PendingPlan(
        trial_generation=spec.trial_generation,
        plan_generation=spec.plan_generation,
        plan_uid=spec.plan_uid,
        requests=(*before, *asked)[-_KEPT_REQUESTS:],
        before=reset,
    )


def put_back(engine: TrialEngine) -> TrialEngine:
    """Return the TrialEngine with the checkpoint as it was before a restore whose plan it has not taken."""
    pending = engine.status.pending_plan
    if pending is None or pending.before is None or not is_plan_due(engine):
        return engine
    was = {each.name: each for each in pending.before.activities}
    status = msgspec.structs.replace(
        engine.status,
        activities=tuple(was.get(each.name, each) for each in engine.status.activities),
        values=pending.before.values,
        consumed_signals=pending.before.consumed_signals,
    )
    return msgspec.structs.replace(engine, status=status)


def is_plan_due(engine: TrialEngine) -> bool:
    """Return whether the spec must be replaced before anything may be granted."""
    pending = engine.status.pending_plan
    return pending is not None and not is_same_version(engine.spec, pending)


def misfit(engine: TrialEngine, spec: TrialEngineSpec) -> str:
    """Return why the engine can't go on by `spec`; nothing if it can.

    All that has succeeded must still be there, in its order, before everything that remains to be done.
    Activities of parallel branches have no order between them, in the old plan or in the new one.
    """
    status, new = engine.status, [activity.name for activity in spec.activities]
    done = [a.name for a in engine.spec.activities if status.activity(a.name).state == "Succeeded"]
    for name in done:
        if name not in new:
            return f"restore-plan: activity {name!r} has succeeded and is missing from the plan"
    for name in (each for each in new if each in done):
        later, earlier = following(spec.activities, name), preceding(engine.spec.activities, name)
        if set(done) & _names(later) & _names(earlier):
            order = ", ".join(done)
            return f"restore-plan: activity {name!r} has succeeded and is out of order; expected {order}"
    as_planned = carried(engine, spec)
    for activity in spec.activities:
        after_it = _names(following(spec.activities, activity.name))
        last = next((name for name in reversed(done) if name in after_it), None)
        if last is not None and not as_planned.status.activity(activity.name).is_passed(activity):
            return (
                f"restore-plan: activity {activity.name!r} remains to be done and comes before {last!r}, "
                "which has succeeded"
            )
    return ""


def _names(activities: tuple[Activity, ...]) -> set[str]:
    return {activity.name for activity in activities}


def dropped_release(engine: TrialEngine, spec: TrialEngineSpec) -> str:
    """Return why `spec` would drop a release that is owed still; nothing if it doesn't.

    What was begun may hold what only `finally` frees: that must not disappear with the plan that frees it.
    """
    if not has_begun(engine.status):
        return ""
    kept = {activity.name for activity in spec.finally_}
    for release in unreleased(engine, engine.status):
        if release.name not in kept:
            return f"restore-plan: release {release.name!r} is still owed and must stay in finally"
    return ""


def plan_taken(engine: TrialEngine, owner: Trial | None, now: datetime) -> Act | None:
    """Return the write that answers those who asked for the plan which the spec has by now; None without.

    From here on the request is done: what keeps the attempt from its pod is no refusal of the request.
    """
    status, spec = engine.status, engine.spec
    if status.pending_plan is None or is_plan_due(engine):
        return None
    begins = status.attempts[-1].from_activity or "the end"
    message = (
        f"attempt {attempt_of(engine)} begins at {begins} with the plan of generation {spec.plan_generation}"
    )
    kept = msgspec.structs.replace(status, pending_plan=None, activities=kept_progress(engine))
    answered = answer(kept, pending_requests(status), "Done", message, now)
    event = RecordEvent(owner or engine, reasons.RESTORED, message)
    return act(WriteEngine(engine, with_release(engine, answered, now)), event)


def carried(engine: TrialEngine, spec: TrialEngineSpec) -> TrialEngine:
    """Return the engine as it would be with `spec`: what ran beside the plan is no progress in it."""
    old = {activity.name for activity in engine.spec.activities}
    kept = tuple(activity for activity in engine.status.activities if activity.name in old)
    return msgspec.structs.replace(
        engine, spec=spec, status=msgspec.structs.replace(engine.status, activities=kept)
    )


def kept_progress(engine: TrialEngine) -> tuple[ActivityStatus, ...]:
    """Return the progress that an engine keeps once it has its new plan.

    What the plan no longer has is kept if it was ever begun, as far as there is room: what it has left behind
    may have to be released, and should a later plan have it again, it goes on with its run.
    """
    spec = engine.spec
    planned = {activity.name for activity in spec.all_activities}
    others = [each for each in engine.status.activities if each.name not in planned]
    gone = [each.name for each in others if each.may_have_acted]
    room = max(0, _MOST_ACTIVITIES - len(planned))
    kept = planned | set(gone[len(gone) - min(room, len(gone)) :])
    return tuple(each for each in engine.status.activities if each.name in kept)


def plan_current(
    engine: TrialEngine, snapshot: Snapshot | None = None, trial: Trial | None = None
) -> ConditionUpdate:
    """Return the condition PlanCurrent of a started trial; without a Trial to compare with it is True."""
    runs = f"the trial runs {_plan_of(engine)}"
    if snapshot is None or trial is None or not (change := _difference(snapshot, trial, engine)):
        return ConditionUpdate(reasons.PLAN_CURRENT, "True", reasons.PLAN_CURRENT, runs)
    return ConditionUpdate(reasons.PLAN_CURRENT, "False", reasons.PLAN_CHANGED, f"{runs}; {change}")


def change_note(snapshot: Snapshot, trial: Trial, engine: TrialEngine) -> str:
    """Return the note of a restore by the snapshot although the plan has changed; empty otherwise."""
    change = _difference(snapshot, trial, engine)
    return f"restored with {_plan_of(engine)}; {change}" if change else ""


def _plan_of(engine: TrialEngine) -> str:
    generation = engine.spec.plan_generation
    return f"the plan of generation {generation}" if generation else "the plan of its start"


def _difference(snapshot: Snapshot, trial: Trial, engine: TrialEngine) -> str:
    """Return how plan, parameters and engine settings differ from the engine's spec; empty if equal."""
    old = engine.spec
    same_plan = has_current_plan(snapshot, trial, engine)
    if same_plan and old.trial_generation == trial.metadata.generation:
        return ""
    spec = spec_now(snapshot, trial, engine)
    if isinstance(spec, Problem):
        return f"the plan as it is now cannot be used: {spec.message}"
    versions = {"trial_generation": old.trial_generation, "plan_generation": old.plan_generation}
    if msgspec.structs.replace(spec, **versions, plan_uid=old.plan_uid) == old:
        return ""
    how = f"restore with {names.ANNOTATION_RESTORE_PLAN} to use that"
    if same_plan:
        changed = "parameters and engine settings are those of generation"
        return f"{changed} {old.trial_generation} of the Trial, now at {spec.trial_generation}: {how}"
    return f"the Trial's plan is at generation {spec.plan_generation} now: {how}"
