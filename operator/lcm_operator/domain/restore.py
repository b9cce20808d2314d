"""Restores, step by step: the old attempt ends, one write begins the next; or one that was not granted yet.

    granted or over ──old pod has ended, last checkpoint read──> attempt + 1, answered in the same write
    not granted yet ──from an activity──> the checkpoint is reset, answered in the same write
           └──────────plain──> answered by the grant (Merged)
    with a new plan ──as above──> attempt + 1, pendingPlan ──> spec replaced ──> answered ──> grant

Attempts never overlap: the write that begins attempt n+1 is made only after the pod of attempt n has ended.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from lcm_operator.api import reasons
from lcm_operator.api.engine import TrialEngine, TrialEngineSpec
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import (
    Act,
    Decision,
    HoldEngine,
    RecordEvent,
    ReplaceSpec,
    Urgency,
    WriteEngine,
    act,
)
from lcm_operator.domain.checkpoint import RESTORE, RESTORE_FROM, RESTORE_PLAN, finished, restored, rewound
from lcm_operator.domain.grant import attempt_of, give_grant
from lcm_operator.domain.mirror import mirror
from lcm_operator.domain.plan_change import (
    carried,
    change_note,
    dropped_release,
    is_plan_due,
    is_same_version,
    look_up_plan,
    misfit,
    pending_plan,
    put_back,
    spec_now,
)
from lcm_operator.domain.release import must_be_held, release_events
from lcm_operator.domain.requests import answer, pending_requests
from lcm_operator.domain.restore_requests import (
    Restores,
    contradicting,
    done,
    judged,
    refuse,
    refused,
    restore_from_fault,
)
from lcm_operator.domain.snapshot import Problem, Snapshot
from lcm_operator.domain.stop import end_lingering, end_pod, read_last_checkpoint
from lcm_operator.domain.verdict import Verdict, plan_is_complete


@dataclass(frozen=True)
class Course:
    """What is done about the open requests; `spec`: the plan that the next attempt takes, if another one."""

    restores: Restores
    spec: TrialEngineSpec | None = None

    @property
    def reason(self) -> str:
        """Why there is a next attempt, for the lineage."""
        if self.spec is not None:
            return RESTORE_PLAN
        return RESTORE_FROM if self.restores.from_activity is not None else RESTORE


def decide_restore(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    """Return the next step of a restore that was asked for, of an attempt that was granted or is over."""
    course = _course(snapshot, trial, engine, now)
    if not isinstance(course, Course):
        return course
    return begin_attempt(snapshot, trial, engine, now, reason=course.reason, course=course)


def begin_attempt(
    snapshot: Snapshot,
    trial: Trial,
    engine: TrialEngine,
    now: datetime,
    *,
    reason: str,
    found: Verdict | None = None,
    course: Course | None = None,
) -> Decision:
    """Return the next step towards attempt n+1: the old pod's end, its last checkpoint, the write."""
    before = end_pod(snapshot, engine, now) or read_last_checkpoint(snapshot)
    before = before or end_lingering(snapshot, engine, now, look=True)
    if before is not None:
        return before
    restores, spec = (course.restores, course.spec) if course is not None else (Restores(), None)
    if must_be_held(engine, spec):  # the write makes `finally` owed again
        return act(HoldEngine(engine))
    status = restored(engine, reason, now, found, restores.from_activity, spec)
    begins = f"attempt {status.attempt} begins at {status.attempts[-1].from_activity or 'the end'}"
    if spec is not None:
        noted = pending_plan(engine, spec, restores.alike, status)
        status = msgspec.structs.replace(status, pending_plan=noted)
        status, events = refused(trial, status, contradicting(restores, begins), now)
        return act(WriteEngine(engine, status), *events)
    message = begins
    if restores.requests:
        if look := _look_for_note(snapshot, trial, engine, restores):
            return look
        note = change_note(snapshot, trial, engine)
        message = f"{begins}; {note}" if note else begins
    status, events = done(trial, status, restores, message, now)
    why = begins if found is None else f"{begins}: {found.message}"
    return act(WriteEngine(engine, status), RecordEvent(trial, reasons.RESTORED, why), *events)


def decide_grant(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    """Return the next step towards the grant; whoever restores, or waits in vain, is told first."""
    if is_plan_due(engine):
        return _take_plan(snapshot, trial, engine, now)
    course = _course(snapshot, trial, engine, now)
    if not isinstance(course, Course):
        return course
    if course.spec is not None:
        return begin_attempt(snapshot, trial, engine, now, reason=course.reason, course=course)
    if course.restores.is_demanding and attempt_of(engine) > 1:
        return _rewind(trial, engine, course.restores, now)
    met = f"met by attempt {attempt_of(engine)}, which had not begun"
    status = answer(engine.status, course.restores.requests, "Merged", met, now)
    granting = give_grant(snapshot, engine, status, now)
    if attempt_of(engine) == 1 and isinstance(granting, Act):
        return granting
    mirrored = mirror(snapshot, trial, engine, now)
    return granting if mirrored is None else replace(mirrored, urgency=Urgency.FOLLOW)


def _course(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Course | Decision:
    """Return what is to be done about the open requests, or the step before that can be said."""
    restores = judged(trial, engine)
    if restores.refused:
        return refuse(trial, engine, restores.refused, now)
    if not restores.with_plan:
        return Course(restores)
    if look := look_up_plan(snapshot, trial, engine, restores.requests):
        return look
    spec = spec_now(snapshot, trial, engine)
    if not isinstance(spec, Problem) and is_same_version(spec, engine.spec):
        restores = judged(trial, engine, on_current_plan=True)
        return refuse(trial, engine, restores.refused, now) if restores.refused else Course(restores)
    why = _unusable_because(engine, spec)
    if not why and not isinstance(spec, Problem):
        why = dropped_release(engine, spec)
    if not why and not isinstance(spec, Problem) and restores.from_activity is not None:
        why = restore_from_fault(restores.from_activity, carried(engine, spec))
    if why or isinstance(spec, Problem):
        return refuse(trial, engine, tuple((request, why) for request in restores.alike), now)
    return Course(restores, spec)


def _unusable_because(engine: TrialEngine, spec: TrialEngineSpec | Problem) -> str:
    """Return why the engine can't take a plan; nothing if it can."""
    return f"restore-plan: {spec.message}" if isinstance(spec, Problem) else misfit(engine, spec)


def _look_for_note(snapshot: Snapshot, trial: Trial, engine: TrialEngine, restores: Restores) -> Act | None:
    """Return the decision to read the plan, unless the request came with the Trial that it is inline of."""
    came_along = snapshot.plan is None and all(request.on_trial for request in restores.requests)
    return None if came_along else look_up_plan(snapshot, trial, engine, restores.requests)


def _take_plan(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    """Return the next step until the spec is that of the pending plan; or the end of that, if it can't be."""
    if look := look_up_plan(snapshot, trial, engine, pending_requests(engine.status)):
        return look
    spec, pending = spec_now(snapshot, trial, engine), engine.status.pending_plan
    why = _unusable_because(engine, spec) or _refusal(snapshot)
    if why or isinstance(spec, Problem):
        return _cancel_restore(trial, engine, why, now)
    if pending is None or not is_same_version(spec, pending):
        if dropped := dropped_release(engine, spec):
            return _cancel_restore(trial, engine, dropped, now)
        newer = msgspec.structs.replace(engine.status, pending_plan=pending_plan(engine, spec))
        return act(WriteEngine(engine, newer))
    return act(ReplaceSpec(engine, spec))


def _refusal(snapshot: Snapshot) -> str:
    """Return why the API server has refused the spec (not a pod) since the plan was read, if it has."""
    refusal, read = snapshot.refusal, snapshot.plan_read
    if refusal is None or read is None or refusal.time < read.time:
        return ""
    return (
        f"restore-plan: {refusal.value.message}" if refusal.value.reason == reasons.PLAN_UNSUPPORTED else ""
    )


def _cancel_restore(trial: Trial, engine: TrialEngine, why: str, now: datetime) -> Decision:
    """Return the write that refuses a plan which was taken over already: its attempt does not begin.

    The checkpoint is put back as it was: a plan that is through has succeeded, whatever was asked for since.
    Else the answer says where a plain restore begins.
    """
    kept = put_back(engine)
    message, through = f"attempt {attempt_of(engine)} was cancelled: {why}", plan_is_complete(kept)
    if not through:
        activities, state = kept.spec.activities, kept.status.activity
        first = next(each.name for each in activities if not state(each.name).is_passed(each))
        message = (
            f"{message}; the checkpoint is unchanged; a restore without restore-plan begins at {first!r}"
        )
    reason = reasons.COMPLETED if through else reasons.RESTORE_REFUSED
    over = finished(kept, Verdict(succeeded=through, reason=reason, message=message), now)
    refusal = RecordEvent(trial, reasons.REFUSED, message, warning=True)
    return act(WriteEngine(engine, over), refusal, *release_events(trial, engine, over))


def _rewind(trial: Trial, engine: TrialEngine, restores: Restores, now: datetime) -> Decision:
    """Return the write that lets an attempt which was not granted yet begin at an earlier activity."""
    chosen = restores.from_activity
    assert chosen is not None  # noqa: S101 - a new plan is taken elsewhere
    begins = f"attempt {attempt_of(engine)} begins at {chosen}"
    status, events = done(trial, rewound(engine, chosen), restores, begins, now)
    return act(WriteEngine(engine, status), RecordEvent(trial, reasons.RESTORED, begins), *events)
