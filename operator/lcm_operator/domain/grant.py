"""An attempt's pod and its grant, the two steps that allow an engine to act. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from lcm_operator.api import names, reasons
from lcm_operator.api.conditions import ConditionUpdate, with_condition
from lcm_operator.api.engine import ActivityStatus, PodRef, TrialEngine, TrialEngineStatus
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import (
    Act,
    CreateLease,
    CreatePod,
    Decision,
    GrantEngine,
    HoldEngine,
    LookUpPod,
    Urgency,
    act,
    wait,
)
from lcm_operator.domain.checkpoint import granted_attempts
from lcm_operator.domain.manifests import engine_lease, engine_pod
from lcm_operator.domain.release import must_be_held, with_release
from lcm_operator.domain.snapshot import Observation, Pod, Problem, Snapshot, value_of
from lcm_operator.domain.verdict import Verdict, grant_deadline


def attempt_of(engine: TrialEngine) -> int:
    """Return the number of the current or next attempt."""
    return max(engine.status.attempt, 1)


def manifest_of(snapshot: Snapshot, engine: TrialEngine) -> dict[str, Any]:
    """Return the manifest of the current attempt's pod."""
    settings = snapshot.settings
    return engine_pod(
        engine,
        attempt_of(engine),
        settings.engine_image,
        settings.engine_variables,
        settings.engine_user_id,
    )


def look_up_pod(engine: TrialEngine) -> Act:
    """Return the decision to read the current attempt's pod."""
    return act(LookUpPod(names.pod_name(engine.metadata.name, attempt_of(engine))))


def give_grant(snapshot: Snapshot, engine: TrialEngine, status: TrialEngineStatus, now: datetime) -> Decision:
    """Return the next step towards the grant of an attempt; the grant is added to `status`."""
    pod, refusal = value_of(snapshot.pod), snapshot.refusal
    again = _not_before(refusal, snapshot.settings.retry_start)
    if refusal is not None and again is not None and now < again:
        return wait(f"the attempt is retried: {refusal.value.message}", again, Urgency.RETRY)
    urgency = Urgency.FOLLOW if refusal is None else Urgency.RETRY
    if must_be_held(engine):
        return act(HoldEngine(engine), urgency=urgency)
    if not isinstance(pod, Pod):
        return act(CreatePod(engine, manifest_of(snapshot, engine)), urgency=urgency)
    lease = CreateLease(engine_lease(engine, pod.name, pod.uid))
    return act(lease, GrantEngine(engine, _granted(engine, status, pod, now)), urgency=urgency)


def refused_for_good(snapshot: Snapshot, trial: Trial, engine: TrialEngine) -> Verdict | None:
    """Return the failure of an attempt that is still rejected after its time for the grant.

    Only a rejection counts: an attempt that was not tried in all that time is tried first.
    """
    refusal, attempts = snapshot.refusal, engine.status.attempts
    prepared = attempts[-1].prepared_time if attempts else None
    begun = prepared or trial.status.started_time
    limit = grant_deadline(trial.spec.starting_deadline_seconds)
    if refusal is None or begun is None or refusal.time <= begun + limit:
        return None
    why = refusal.value.message
    message = f"attempt {attempt_of(engine)} was not granted within {limit.total_seconds():.0f} s: {why}"
    return Verdict(succeeded=False, reason=reasons.ENGINE_NOT_GRANTED, message=message)


def _not_before(refusal: Observation[Problem] | None, shortest: timedelta) -> datetime | None:
    """Return when a rejected step may be retried."""
    return None if refusal is None else refusal.time + max(shortest, refusal.value.retry_after)


def make_lease_again(snapshot: Snapshot, engine: TrialEngine, now: datetime) -> Decision | None:
    """Return the create of the granted pod's Lease if it is missing and the pod is alive; else None."""
    granted, pod, renewals = engine.status.pod_ref, value_of(snapshot.pod), value_of(snapshot.renewals)
    if granted is None or renewals is None or not (renewals.missing and renewals.pod_uid == granted.uid):
        return None
    if not isinstance(pod, Pod) or pod.ended or pod.deleting or pod.uid != granted.uid:
        return None
    refusal = snapshot.refusal
    again = _not_before(refusal, snapshot.settings.retry_start)
    if refusal is not None and again is not None and now < again:
        return wait(f"the create of the Lease is retried: {refusal.value.message}", again, Urgency.RETRY)
    lease = engine_lease(engine, granted.name, granted.uid, renewed=now if renewals.begun else None)
    return act(CreateLease(lease))


def _granted(engine: TrialEngine, status: TrialEngineStatus, pod: Pod, now: datetime) -> TrialEngineStatus:
    attempt, moment = attempt_of(engine), now.astimezone(UTC)
    stopping, current = status.stop is not None, status.conditions
    reason = reasons.STOPPING if stopping else reasons.RUNNING
    changes = [ConditionUpdate(reasons.STARTED, "True", reasons.ENGINE_STARTED)]
    if not status.is_giving_up:
        running = f"attempt {attempt} is running"
        changes.append(ConditionUpdate(reasons.SUCCEEDED, "Unknown", reason, running))
    for change in changes:
        current = with_condition(current, change, moment, engine.metadata.generation)
    granted = msgspec.structs.replace(
        status,
        attempt=attempt,
        pod_ref=PodRef(name=pod.name, uid=pod.uid, not_before=moment),
        plan_generation=engine.spec.plan_generation,
        activities=tuple(map(_due_again, status.activities)),
        attempts=granted_attempts(status, attempt, moment),
        attempts_total=max(status.attempts_total, 1),
        phase="Stopping" if stopping else "Running",
        conditions=current,
    )
    return with_release(engine, granted, now)


def _due_again(activity: ActivityStatus) -> ActivityStatus:
    """Return an activity without the mark of an earlier pass, which is void from the grant on."""
    passed = activity.has_passed_before
    return msgspec.structs.replace(activity, completion_time=None) if passed else activity
