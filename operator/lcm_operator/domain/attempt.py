"""The life of a trial from the latch on: grant, outcome, restore. Pure.

    latched ──pod──> granted ──checkpoint says so──> Succeeded | Failed
       ^                                                  │
       └── attempt n+1 <── old pod has ended <── restore ─┘   (also from granted)

Attempts never overlap: the write that begins attempt n+1 is made only once attempt n can no longer act
(`domain.attempt_end`).
"""

from dataclasses import replace
from datetime import datetime, timedelta

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import NextAttempt, TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import (
    Act,
    Decision,
    RecordEvent,
    UnholdEngine,
    Wait,
    WriteEngine,
    act,
    wait,
)
from lcm_operator.domain.attempt_end import has_ended, is_seen_to_end, is_silent, noted_end, with_end
from lcm_operator.domain.checkpoint import finished, reported
from lcm_operator.domain.finished import decide_lost, expire
from lcm_operator.domain.giving_up import begin_giving_up, decide_giving_up
from lcm_operator.domain.grant import look_up_pod, make_lease_again, refused_for_good
from lcm_operator.domain.log_tail import keep_log
from lcm_operator.domain.mirror import mirror
from lcm_operator.domain.next_attempt import after_disruption, announced, follows_itself, message_of
from lcm_operator.domain.plan_change import plan_taken, put_back
from lcm_operator.domain.release import is_held, is_owed, release_events
from lcm_operator.domain.requests import REMOVAL_BEGUN, Request, answer, open_deletes, open_restores
from lcm_operator.domain.restore import begin_attempt, decide_grant, decide_restore
from lcm_operator.domain.snapshot import Absent, Pod, Snapshot, value_of
from lcm_operator.domain.status import outcome
from lcm_operator.domain.stop import (
    decide_ending,
    end_lingering,
    end_pod,
    no_later_than,
    read_last_checkpoint,
    with_stop,
)
from lcm_operator.domain.verdict import (
    PLAN_COMPLETED,
    Verdict,
    give_up_time,
    grant_deadline,
    is_over,
    judge,
    judge_life,
    plan_is_complete,
    still_acting,
)

_HAS_ENDED = "the engine has ended; a restore or delete may follow"


def decide_running(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    """Decide about a latched trial whose TrialEngine is not being removed."""
    engine, reference = snapshot.engine, trial.status.engine_ref
    if engine is None or reference is None or engine.metadata.uid != reference.uid:
        return decide_lost(snapshot, trial, now)
    if (taken := plan_taken(engine, trial, now)) is not None:
        return taken
    if deletes := open_deletes(trial, engine):
        return _delete(trial, engine, deletes, now)
    if engine.status.pod_ref is None and engine.status.stop is None and not _is_settled(engine):
        refused = refused_for_good(snapshot, trial, engine)
        if refused is not None:
            return _give_up(trial, engine, refused, now)
        return decide_grant(snapshot, trial, engine, now)
    if open_restores(trial, engine):
        unrecorded = _has_succeeded(engine) and outcome(trial) is None  # lost after the restore
        if unrecorded and (mirrored := mirror(snapshot, trial, engine, now)):
            return mirrored
        return _shown(decide_restore(snapshot, trial, engine, now), snapshot, trial, engine, now)
    if engine.status.is_giving_up:
        return decide_giving_up(snapshot, trial, engine, now)
    if _is_settled(engine):
        return _decide_settled(snapshot, trial, engine, now)
    return _decide_attempt(snapshot, trial, engine, now)


def _decide_attempt(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    """Decide about an attempt that was granted and has no outcome yet."""
    step = _settle(snapshot, trial, engine, now)
    if isinstance(step, Act):
        return step
    return mirror(snapshot, trial, engine, now) or step or _keep_up(snapshot, trial, engine, now)


def _keep_up(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    """Return the maintenance of a working engine: a needless finalizer, an unknown pod, a missing Lease."""
    if is_held(engine) and not is_owed(engine):
        return act(UnholdEngine(engine))
    if snapshot.pod is None:
        return look_up_pod(engine)
    working = wait("the engine is working", _next_deadline(trial, engine, now))
    return read_last_checkpoint(snapshot) or make_lease_again(snapshot, engine, now) or working


def _decide_settled(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    """Decide about an attempt whose outcome is written: the Trial shows it; no finalizer stays needlessly."""
    if mirrored := mirror(snapshot, trial, engine, now):
        return mirrored
    step, gives_up = _after_failure(snapshot, trial, engine, now), give_up_time(engine)
    if step is None and (lingering := end_lingering(snapshot, engine, now)):
        return lingering
    if gives_up is not None:
        if now < gives_up:
            return no_later_than(step or wait(_HAS_ENDED), gives_up)
        if step is None or (isinstance(step, Wait) and engine.status.pod_ref is not None):
            return begin_giving_up(trial, engine, now)
        return step
    if isinstance(step, Act) or (step is not None and not has_ended(snapshot, engine, now)):
        return step
    if is_held(engine) and not is_owed(engine):
        return read_last_checkpoint(snapshot) or act(UnholdEngine(engine))
    return step or keep_log(snapshot, engine, now) or expire(trial, now) or wait(_HAS_ENDED)


def _delete(trial: Trial, engine: TrialEngine, deletes: tuple[Request, ...], now: datetime) -> Act:
    """Return the stop for a delete request, with its answer; `domain.removal` continues from there."""
    for request in deletes:
        if request.fault:
            refused = answer(engine.status, (request,), "Refused", request.fault, now)
            event = RecordEvent(trial, reasons.REFUSED, request.fault, warning=True)
            return act(WriteEngine(engine, refused), event)
    answered = answer(engine.status, deletes, "Done", REMOVAL_BEGUN, now)
    return act(WriteEngine(engine, with_stop(engine, answered, "Cancel", now)))


def _is_settled(engine: TrialEngine) -> bool:
    """Return whether the current attempt's outcome is written."""
    return conditions.decided(engine.status.conditions, reasons.SUCCEEDED) is not None


def _has_succeeded(engine: TrialEngine) -> bool:
    return conditions.is_true(engine.status.conditions, reasons.SUCCEEDED)


def _settle(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision | None:
    """Return the step that the state of the attempt requires; None while it works."""
    if engine.status.stop is not None:
        ending = decide_ending(snapshot, engine, engine.status.stop, now)
        return ending or _finish(trial, engine, engine, _after_stop(engine), now)
    found = judge(snapshot, engine) or judge_life(snapshot, engine, trial.spec.starting_deadline_seconds, now)
    if engine.status.next_attempt is not None:
        if found is not None and plan_is_complete(engine):
            return _conclude(snapshot, trial, engine, found, now)
        return _await_next(snapshot, trial, engine, engine.status.next_attempt, now)
    if found is not None:
        return _conclude(snapshot, trial, engine, found, now)
    deadline = _active_deadline(engine)
    if deadline is not None and now >= deadline and not plan_is_complete(engine):
        return act(WriteEngine(engine, with_stop(engine, engine.status, "Deadline", now)))
    return None


def _conclude(
    snapshot: Snapshot, trial: Trial, engine: TrialEngine, found: Verdict, now: datetime
) -> Decision:
    """Return the next attempt after one that has ended or was given up, or the write of its outcome.

    A completed plan has succeeded; an interrupted `finally` is completed first.
    """
    noted = with_end(snapshot, engine, now)
    if found.succeeded:
        return _finish(trial, engine, noted, found, now)
    if plan_is_complete(engine):
        return act(WriteEngine(engine, with_stop(engine, noted.status, "Release", now)))
    following = follows_itself(snapshot, engine, found, now)
    if following is None:
        return _finish(trial, engine, noted, found, now)
    if _reports(snapshot, engine, found):
        return look_up_pod(engine) if snapshot.pod is None else wait("the failure is being reported")
    return _follow(snapshot, trial, engine, following, found, now)


def _finish(trial: Trial, engine: TrialEngine, noted: TrialEngine, found: Verdict, now: datetime) -> Act:
    """Return the write of an outcome, and a Warning for each release that failed.

    `noted`: `engine` with further changes to write.
    """
    status = finished(noted, found, now)
    return act(WriteEngine(engine, status), *release_events(trial, engine, status))


def _give_up(trial: Trial, engine: TrialEngine, refused: Verdict, now: datetime) -> Act:
    """Return the write of the outcome of an attempt that was rejected for too long.

    The checkpoint is judged first: a plan that had completed before stays succeeded.
    """
    kept = put_back(engine)
    if not plan_is_complete(kept):
        return _finish(trial, engine, kept, refused, now)
    message = f"{PLAN_COMPLETED.message}; {refused.message}"
    return _finish(trial, engine, kept, replace(PLAN_COMPLETED, message=message), now)


def _after_stop(engine: TrialEngine) -> Verdict:
    """Return the outcome of a stopped attempt: a completed plan has succeeded."""
    if plan_is_complete(engine):
        return PLAN_COMPLETED
    limit = engine.spec.engine.active_deadline_seconds
    message = f"the attempt did not complete within activeDeadlineSeconds ({limit} s)"
    return Verdict(succeeded=False, reason=reasons.DEADLINE_EXCEEDED, message=message)


def _follow(
    snapshot: Snapshot,
    trial: Trial,
    engine: TrialEngine,
    following: NextAttempt,
    found: Verdict,
    now: datetime,
) -> Decision:
    """Return the step towards an automatic attempt: begin it, or announce it if it has to wait."""
    if now >= following.not_before and has_ended(snapshot, engine, now):
        return begin_attempt(snapshot, trial, engine, now, reason=following.reason, found=found)
    message = message_of(engine, following, found.message)
    return act(
        WriteEngine(engine, announced(with_end(snapshot, engine, now), following, found.message, now)),
        RecordEvent(trial, found.reason, message, warning=True),
    )


def _await_next(
    snapshot: Snapshot, trial: Trial, engine: TrialEngine, following: NextAttempt, now: datetime
) -> Decision:
    """Return the next step towards an announced attempt: the old pod ends during the pause."""
    if (ending := end_pod(snapshot, engine, now)) is not None:
        return ending
    if now < following.not_before:
        return wait("the next attempt begins after a pause", following.not_before)
    return begin_attempt(snapshot, trial, engine, now, reason=following.reason)


def _after_failure(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision | None:
    """Return the remaining step for a failed engine: its pod, its report, a late disruption."""
    reason, left = conditions.reason(engine.status.conditions, reasons.SUCCEEDED), still_acting(engine)
    if reason in (reasons.ENGINE_NOT_GRANTED, reasons.COMPLETED) and engine.status.pod_ref is None:
        return end_pod(snapshot, engine, now)
    if left is not None and left.reason == reasons.ENDING:
        return _end_silent_pod(snapshot, trial, engine, now, silent=reason == reasons.ENGINE_SILENT)
    if left is not None and left.reason == reasons.REPORTING:
        return _close_report(snapshot, trial, engine, now)
    return None


def _end_silent_pod(
    snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime, *, silent: bool
) -> Decision:
    """Return the next step until the pod of a silent engine has ended.

    If the pod turns out to have been taken away (its node was lost), the engine did not fail, and the next
    attempt follows automatically. As we have deleted the pod, its absence proves that only if the engine had
    worked and no end was seen.
    """
    pod = value_of(snapshot.pod)
    gone = silent and isinstance(pod, Absent) and not is_seen_to_end(snapshot)
    if gone or (pod is not None and pod.last is not None and pod.last.disrupted):
        following = after_disruption(engine, now)
        why = f"pod {engine.status.pod_ref.name} was taken away" if engine.status.pod_ref else ""
        return act(
            WriteEngine(engine, announced(with_end(snapshot, engine, now), following, why, now)),
            RecordEvent(trial, reasons.RESTORED, message_of(engine, following, why)),
        )
    if ending := None if is_seen_to_end(snapshot) else end_pod(snapshot, engine, now):
        return ending
    if isinstance(pod, Pod) and not pod.ended:
        return wait("the silent engine can no longer act, but its pod still exists")
    return act(WriteEngine(engine, noted_end(engine, now).status))


def _close_report(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision | None:
    """Return the write that closes a report whose pod has ended; None while it may continue."""
    pod = value_of(snapshot.pod)
    if pod is None:
        return look_up_pod(engine)
    if isinstance(pod, Pod) and not pod.ended and not is_silent(snapshot, engine):
        return wait("the failure is being reported")
    if (ending := end_pod(snapshot, engine, now)) is not None:
        return ending
    if (reading := read_last_checkpoint(snapshot)) is not None:
        return reading
    why = f"pod {pod.name} terminated before `onFailure` completed"
    return act(
        WriteEngine(engine, reported(with_end(snapshot, engine, now), why, now)),
        RecordEvent(trial, reasons.REPORT_INTERRUPTED, why, warning=True),
    )


def _shown(step: Decision, snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    """Return the step or, while it waits, the write that shows the reason on the Trial."""
    if isinstance(step, Act):
        return step
    return mirror(snapshot, trial, engine, now) or step


def _reports(snapshot: Snapshot, engine: TrialEngine, found: Verdict) -> bool:
    """Return whether a failed engine still runs `onFailure`, and can be expected to complete it."""
    pod = value_of(snapshot.pod)
    return (
        found.reason == reasons.ACTIVITY_FAILED
        and (pod is None or not pod.is_over)
        and not is_over(engine, engine.spec.on_failure)
        and not is_silent(snapshot, engine)
    )


def _next_deadline(trial: Trial, engine: TrialEngine, now: datetime) -> datetime | None:
    """Return when time alone may bring something to do: a missing first renewal, or the active deadline."""
    granted = engine.status.pod_ref
    if granted is None:
        return None
    limit = grant_deadline(trial.spec.starting_deadline_seconds)
    first_renewal = granted.not_before + limit + timedelta(seconds=1)
    deadlines = (first_renewal, _active_deadline(engine))
    return min((each for each in deadlines if each is not None and each > now), default=None)


def _active_deadline(engine: TrialEngine) -> datetime | None:
    granted, seconds = engine.status.pod_ref, engine.spec.engine.active_deadline_seconds
    return None if granted is None or seconds is None else granted.not_before + timedelta(seconds=seconds)
