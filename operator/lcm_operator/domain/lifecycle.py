"""From the latch on: grant, outcome, restore. Pure; called by `domain.decide`.

    latched ──pod──> granted ──checkpoint says so──> Succeeded | Failed
       ^                                                  │
       └── attempt n+1 <── old pod has ended <── restore ─┘   (also from granted)

Attempts never overlap: the write that begins attempt n+1 is made only once nothing of attempt n can act any
more (`domain.attempt_end`).
"""

from datetime import UTC, datetime, timedelta

import msgspec

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import NextAttempt, TrialEngine
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
from lcm_operator.domain.attempt_end import has_ended, is_seen_to_end, is_silent
from lcm_operator.domain.automatic import after_disruption, announced, follows_itself, message_of
from lcm_operator.domain.granting import look_up_pod, make_lease_again
from lcm_operator.domain.mirroring import mirror
from lcm_operator.domain.observation import value_of
from lcm_operator.domain.outcome import Outcome, is_over, judge, judge_life, plan_is_through
from lcm_operator.domain.requests import Request, answer, open_deletes, open_restores
from lcm_operator.domain.restore import begin_again, decide_grant, decide_restore
from lcm_operator.domain.restoring import (
    finished,
    reported,
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
        return _shown(decide_restore(snapshot, trial, engine, now), snapshot, trial, engine, now)
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
        return read_last_checkpoint(snapshot, engine) or make_lease_again(snapshot, engine, now) or working
    if mirrored := mirror(snapshot, trial, engine, now):
        return act(*mirrored)
    if step := _after_failure(snapshot, trial, engine, now):
        return step
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
    if engine.status.next_attempt is not None:
        if found is not None and found.succeeded:
            return act(WriteEngine(engine, finished(engine, found, now)))
        return _await_next(snapshot, trial, engine, engine.status.next_attempt, now)
    if found is not None:
        following = follows_itself(snapshot, engine, found, now)
        if following is not None and _reports(snapshot, engine, found):
            if snapshot.pod is None:
                return look_up_pod(engine)
            return wait("the failure is being reported")
        if following is not None:
            return _follow(snapshot, trial, engine, following, found, now)
        return act(WriteEngine(engine, finished(_with_end(snapshot, engine, now), found, now)))
    deadline = _active_deadline(engine)
    if deadline is not None and now >= deadline and not plan_is_through(engine):
        return act(WriteEngine(engine, told_to_stop(engine.status, "Deadline", now)))
    return None


def _follow(
    snapshot: Snapshot,
    trial: Trial,
    engine: TrialEngine,
    following: NextAttempt,
    found: Outcome,
    now: datetime,
) -> Decision:
    """Return the step towards an attempt that follows by itself: at once, or announced, if it has to wait."""
    if now >= following.not_before and has_ended(snapshot, engine):
        return begin_again(snapshot, trial, engine, now, reason=following.reason, found=found)
    message = message_of(engine, following, found.message)
    return act(
        WriteEngine(engine, announced(_with_end(snapshot, engine, now), following, found.message, now)),
        RecordEvent(trial, found.reason, message, warning=True),
    )


def _await_next(
    snapshot: Snapshot, trial: Trial, engine: TrialEngine, following: NextAttempt, now: datetime
) -> Decision:
    """Return the next step towards an attempt that was announced: the old pod ends while the pause lasts."""
    if (ending := end_pod(snapshot, engine, now)) is not None:
        return ending
    if now < following.not_before:
        return wait("the next attempt begins after a pause", following.not_before)
    return begin_again(snapshot, trial, engine, now, reason=following.reason)


def _after_failure(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision | None:
    """Return what is left to do for an engine that has failed: its pod, its report, a late disruption."""
    reason, granted = conditions.reason(engine.status.conditions, reasons.SUCCEEDED), engine.status.pod_ref
    if granted is None or (granted.end_time is not None and reason in _LIFELESS):
        return None
    if reason in _LIFELESS:
        return _lay_down(snapshot, trial, engine, now, silent=reason == reasons.ENGINE_SILENT)
    if reason == reasons.ACTIVITY_FAILED and not is_over(engine, engine.spec.on_failure):
        return _close_report(snapshot, trial, engine, now)
    return None


def _lay_down(
    snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime, *, silent: bool
) -> Decision:
    """Return the next step until the pod of a lifeless engine has ended.

    If it turns out that it was taken away (its node was lost, and is known to be lost only now), then the
    engine did not fail: the next attempt follows by itself. As we have deleted that pod, its absence says as
    much only where the engine had been at work and nobody saw its end.
    """
    pod = value_of(snapshot.pod)
    gone = silent and isinstance(pod, Absent) and not is_seen_to_end(snapshot)
    evicted = isinstance(pod, Pod) and pod.disrupted
    if gone or evicted or (isinstance(pod, Absent) and pod.last is not None and pod.last.disrupted):
        following = after_disruption(engine, now)
        why = f"pod {engine.status.pod_ref.name} was taken away" if engine.status.pod_ref else ""
        return act(
            WriteEngine(engine, announced(_with_end(snapshot, engine, now), following, why, now)),
            RecordEvent(trial, reasons.RESTORED, message_of(engine, following, why)),
        )
    if is_seen_to_end(snapshot):
        return act(WriteEngine(engine, _with_end(snapshot, engine, now).status))
    return end_pod(snapshot, engine, now) or wait("nothing of the silent engine can act any more")


def _close_report(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision | None:
    """Return the write that ends a report whose pod is over; None as long as it may go on."""
    pod = value_of(snapshot.pod)
    if pod is None:
        return look_up_pod(engine)
    if isinstance(pod, Pod) and not pod.ended and not is_silent(snapshot, engine):
        return wait("the failure is being reported")
    if (ending := end_pod(snapshot, engine, now)) is not None:
        return ending
    if (reading := read_last_checkpoint(snapshot, engine)) is not None:
        return reading
    why = f"pod {pod.name} ended before the report of the failure did"
    return act(
        WriteEngine(engine, reported(_with_end(snapshot, engine, now), why, now)),
        RecordEvent(trial, reasons.REPORT_INTERRUPTED, why, warning=True),
    )


def _with_end(snapshot: Snapshot, engine: TrialEngine, now: datetime) -> TrialEngine:
    """Return the TrialEngine with the end of its pod noted, if that was seen: later nobody may see it."""
    granted = engine.status.pod_ref
    if granted is None or granted.end_time is not None or not is_seen_to_end(snapshot):
        return engine
    noted = msgspec.structs.replace(granted, end_time=now.astimezone(UTC))
    return msgspec.structs.replace(engine, status=msgspec.structs.replace(engine.status, pod_ref=noted))


def _shown(step: Decision, snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    """Return the step, or, while it only waits, the write that shows on the Trial what for."""
    if step.actions:
        return step
    mirrored = mirror(snapshot, trial, engine, now)
    return act(*mirrored) if mirrored else step


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
