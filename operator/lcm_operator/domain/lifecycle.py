"""From the latch on: grant, outcome, restore. Pure; called by `domain.decide`.

    latched ──pod──> granted ──checkpoint says so──> Succeeded | Failed
       ^                                                  │
       └── attempt n+1 <── old pod has ended <── restore ─┘   (also from granted)

Attempts never overlap: the write that begins attempt n+1 is made only after the pod of attempt n has ended.
"""

from datetime import datetime, timedelta

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import (
    Decision,
    DeleteEngine,
    LookUpEngine,
    RecordEvent,
    WriteEngine,
    WriteTrial,
    act,
    wait,
)
from lcm_operator.domain.granting import look_up_pod
from lcm_operator.domain.mirroring import mirror
from lcm_operator.domain.observation import value_of
from lcm_operator.domain.outcome import Outcome, is_over, is_silent, judge, judge_life, plan_is_through
from lcm_operator.domain.requests import Request, answer, open_deletes, open_restores
from lcm_operator.domain.restore import begin_again, decide_grant, decide_restore
from lcm_operator.domain.restoring import (
    AUTOMATIC,
    DISRUPTION,
    finished,
)
from lcm_operator.domain.retention import expire
from lcm_operator.domain.snapshot import Absent, Pod, Snapshot
from lcm_operator.domain.stopping import decide_ending, end_pod, read_last_checkpoint, told_to_stop
from lcm_operator.domain.trial_status import Set, outcome, trial_status

_LIFELESS = (reasons.ENGINE_NOT_READY, reasons.ENGINE_SILENT)


def decide_running(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    """Decide about a latched trial whose TrialEngine is not being removed."""
    engine, reference = snapshot.engine, trial.status.engine_ref
    if engine is None or reference is None or engine.metadata.uid != reference.uid:
        return _lost(snapshot, trial, now)
    if deletes := open_deletes(trial, engine):
        return _delete(trial, engine, deletes, now)
    if engine.status.pod_ref is None and engine.status.stop is None and not _is_settled(engine):
        return decide_grant(snapshot, trial, engine, now)
    if open_restores(trial, engine):
        return decide_restore(snapshot, trial, engine, now)
    if not _is_settled(engine):
        step = _settle(snapshot, trial, engine, now)
        if step is not None and step.actions:
            return step
        if mirrored := mirror(snapshot, trial, engine, now):
            return act(*mirrored)
        if step is not None:
            return step
        if snapshot.pod is None:
            return look_up_pod(engine)
        working = wait("the engine is working", _next_deadline(trial, engine, now))
        return read_last_checkpoint(snapshot, engine) or working
    if mirrored := mirror(snapshot, trial, engine, now):
        return act(*mirrored)
    if conditions.reason(engine.status.conditions, reasons.SUCCEEDED) in _LIFELESS:
        return end_pod(snapshot, engine, now) or wait("the silent engine's pod has ended")
    return expire(trial, now) or wait("the engine has ended; a restore or delete may come")


def _delete(trial: Trial, engine: TrialEngine, deletes: tuple[Request, ...], now: datetime) -> Decision:
    """Return the deletion that a request asks for; its answer is written in the course of it."""
    for request in deletes:
        if request.fault:
            refused = answer(engine.status, (request,), "Refused", request.fault, now)
            event = RecordEvent(trial, reasons.REFUSED, request.fault, warning=True)
            return act(WriteEngine(engine, refused), event)
    return act(DeleteEngine(engine))


def _is_settled(engine: TrialEngine) -> bool:
    """Return whether the current attempt's outcome is written."""
    return conditions.decided(engine.status.conditions, reasons.SUCCEEDED) is not None


def _settle(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision | None:
    """Return what the state of the attempt calls for: nothing as long as it works."""
    if engine.status.stop is not None:
        ending = decide_ending(snapshot, engine, engine.status.stop, now)
        limit = engine.spec.engine.active_deadline_seconds
        reached = Outcome(
            succeeded=False,
            reason=reasons.DEADLINE_EXCEEDED,
            message=f"the attempt was not done within {limit} s",
        )
        over = ending is None
        return act(WriteEngine(engine, finished(engine, reached, now))) if over else ending
    found = judge(snapshot, engine) or judge_life(snapshot, engine, trial.spec.starting_deadline_seconds, now)
    if found is not None:
        reason = None if found.succeeded else _restores_itself(snapshot, engine, found)
        if reason is not None and _reports(snapshot, engine, found):
            if snapshot.pod is None:
                return look_up_pod(engine)
            return wait("the failure is being reported")
        if reason is not None:
            return begin_again(snapshot, trial, engine, now, reason=reason, found=found)
        return act(WriteEngine(engine, finished(engine, found, now)))
    deadline = _active_deadline(engine)
    if deadline is not None and now >= deadline and not plan_is_through(engine):
        return act(WriteEngine(engine, told_to_stop(engine.status, "Deadline", now)))
    return None


def _restores_itself(snapshot: Snapshot, engine: TrialEngine, found: Outcome) -> str | None:
    """Return why a failed attempt is followed by another one without anybody asking; None if it is not."""
    pod = value_of(snapshot.pod)
    if found.reason == reasons.ENGINE_ENDED and isinstance(pod, Pod) and pod.disrupted:
        return DISRUPTION
    return AUTOMATIC if engine.status.automatic_restores < engine.spec.engine.max_restores else None


def _reports(snapshot: Snapshot, engine: TrialEngine, found: Outcome) -> bool:
    """Return whether a failed engine is still at `onFailure`, and can be expected to come to its end."""
    pod = value_of(snapshot.pod)
    lives = not isinstance(pod, Absent) and not (pod is not None and pod.ended)
    return (
        found.reason == reasons.ACTIVITY_FAILED
        and lives
        and not is_over(engine, engine.spec.on_failure)
        and not is_silent(snapshot, engine)
    )


def _next_deadline(trial: Trial, engine: TrialEngine, now: datetime) -> datetime | None:
    """Return when time alone may bring something to do: a first beat that is missing, the active deadline."""
    granted = engine.status.pod_ref
    if granted is None:
        return None
    begin = granted.not_before + timedelta(seconds=max(trial.spec.starting_deadline_seconds, 120) + 1)
    moments = [moment for moment in (begin, _active_deadline(engine)) if moment is not None and moment > now]
    return min(moments, default=None)


def _active_deadline(engine: TrialEngine) -> datetime | None:
    granted, seconds = engine.status.pod_ref, engine.spec.engine.active_deadline_seconds
    return None if granted is None or seconds is None else granted.not_before + timedelta(seconds=seconds)


def _lost(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    if outcome(trial) is not None:
        stray = snapshot.engine  # made by a leader that was frozen with its create in hand: never granted
        return wait("the trial has its outcome") if stray is None else act(DeleteEngine(stray))
    if not snapshot.engine_gone:
        return act(LookUpEngine(trial.metadata.namespace, snapshot.name))
    why = f"TrialEngine {snapshot.name} is gone, and with it the checkpoint"
    status = trial_status(trial, now, Set(reasons.SUCCEEDED, "False", reasons.ENGINE_LOST, why))
    return act(WriteTrial(trial, status), RecordEvent(trial, reasons.ENGINE_LOST, why, warning=True))
