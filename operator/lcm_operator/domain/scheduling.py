"""From an accepted Trial to the latch: scheduling, arming, start. Pure.

    Pending ──start time known──> Scheduled ──lead──> Armed ──T──> pod created ──latch──> (attempt)
       │                              │                 │              │
       └── suspend ──> Suspended      └── deadline passed ──> Missed   └── no longer due: pod and engine go

Up to the latch the Trial counts: a change of its spec discards the TrialEngine that was armed for the old
one.
"""

from datetime import UTC, datetime, timedelta

from lcm_operator.api import conditions, reasons
from lcm_operator.api.conditions import ConditionUpdate
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.plan import Plan, TrialPlan
from lcm_operator.api.times import in_utc
from lcm_operator.api.trial import EngineRef, Trial
from lcm_operator.domain.actions import (
    Act,
    CreateEngine,
    CreatePod,
    Decision,
    DeleteEngine,
    HoldEngine,
    LatchTrial,
    RecordEvent,
    Urgency,
    Wait,
    WriteTrial,
    act,
    wait,
)
from lcm_operator.domain.arming import decide_arming, engine_creation, refused, show_scheduled, show_waiting
from lcm_operator.domain.finished import decide_over
from lcm_operator.domain.grant import attempt_of, manifest_of
from lcm_operator.domain.obstacle import stalls_at
from lcm_operator.domain.plan_change import plan_current
from lcm_operator.domain.readiness import (
    armed_at_start,
    awaited_report,
    has_current_plan,
    missing_now,
    not_armed,
    readiness,
)
from lcm_operator.domain.registry_times import ask_first, ask_for_the_first_time, unconfirmed
from lcm_operator.domain.release import must_be_held, release_of
from lcm_operator.domain.requests import handled, open_deletes, trial_delete
from lcm_operator.domain.snapshot import Leftover, Pod, Problem, Snapshot, value_of
from lcm_operator.domain.start_time import (
    JUST_AFTER,
    latest_start,
    retry_at,
    start_time_of,
    was_refused,
)
from lcm_operator.domain.status import (
    ACCEPTED,
    cancelled,
    missed_status,
    next_start,
    outcome,
    scheduled_again,
    trial_status,
)

_LAST_TRIES = timedelta(seconds=2)
_PASSING = (reasons.WAITING, reasons.API_UNAVAILABLE)
"""Temporary obstacles: an earlier pod of ours that is ending, an unavailable API server."""


def decide_start(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    """Decide about a trial that holds its ID and is not latched."""
    start_time = start_time_of(trial, snapshot.reported)
    if outcome(trial) is not None and not scheduled_again(trial):
        return _without_engine(snapshot, decide_over(snapshot, trial, now))
    if ended := _cancel(snapshot, trial, now):
        return ended
    if start_time is not None and now > latest_start(trial, start_time):
        return ask_first(snapshot, trial, now) or _miss(snapshot, trial, start_time, now)
    if trial.spec.suspend:
        return _suspend(snapshot, trial, start_time, now)
    if start_time is None:
        shown = _not_scheduled(snapshot, trial, now, awaited_report(snapshot, trial), None)
        asking = ask_for_the_first_time(snapshot, trial) if isinstance(shown, Wait) else None
        return _without_engine(snapshot, asking or shown)
    if start_time <= now and _waited_for_its_id(trial):
        return ask_first(snapshot, trial, now) or _miss(snapshot, trial, start_time, now)
    if snapshot.engine is not None and not _armed_for(snapshot, snapshot.engine, trial, start_time):
        return _without_engine(snapshot, wait("the old TrialEngine is being deleted"))
    if now < start_time - snapshot.settings.arm_lead:
        ahead = readiness(snapshot, trial, start_time)
        if isinstance(ahead, Act):
            return ahead
        if writes := show_scheduled(snapshot, trial, start_time, now, ahead):
            return act(*writes)
        at = stalls_at(trial.status.conditions, start_time - snapshot.settings.arm_lead)
        return wait("the start time is in the future", at)
    if now < start_time:
        return decide_arming(snapshot, trial, start_time, now)
    return _start(snapshot, trial, start_time, now)


def _waited_for_its_id(trial: Trial) -> bool:
    """Return whether another trial, not a deleted one, has held its ID until now."""
    return conditions.reason(trial.status.conditions, reasons.ACCEPTED) == reasons.DUPLICATE_TRIAL_ID


def _armed_for(snapshot: Snapshot, engine: TrialEngine, trial: Trial, start_time: datetime) -> bool:
    """Return whether a TrialEngine was armed for the Trial and its plan as they are now."""
    return (
        engine.metadata.deletion_timestamp is None
        and engine.spec.trial_generation == trial.metadata.generation
        and engine.spec.start_time == start_time
        and has_current_plan(snapshot, trial, engine)
    )


def _cancel(snapshot: Snapshot, trial: Trial, now: datetime) -> Act | None:
    """Return the write that cancels a trial on a delete request before its start; None without one."""
    request = trial_delete(trial, None)
    if request is not None and request.fault:
        status = trial_status(trial, now, last_handled_delete=handled(request, "Refused", "", now))
        event = RecordEvent(trial, reasons.REFUSED, request.fault, warning=True)
        return act(WriteTrial(trial, status), event)
    on_engine = snapshot.engine is not None and any(
        not asked.fault for asked in open_deletes(None, snapshot.engine)
    )
    if request is None and not on_engine:
        return None
    why = "cancelled by a delete request before the start"
    answered = handled(request, "Done", why, now) if request else trial.status.last_handled_delete
    changes = cancelled(why, trial, _plan(snapshot, trial))
    status = trial_status(trial, now, *changes, last_handled_delete=answered)
    return act(WriteTrial(trial, status), RecordEvent(trial, reasons.CANCELLED, why))


def _plan(snapshot: Snapshot, trial: Trial) -> Plan:
    """Return the plan that a trial would run, as far as known."""
    if snapshot.engine is not None:
        return snapshot.engine.spec
    return snapshot.plan.spec if isinstance(snapshot.plan, TrialPlan) else trial.spec


def _start(snapshot: Snapshot, trial: Trial, start_time: datetime, now: datetime) -> Decision:
    if asking := ask_first(snapshot, trial, now, latest_start(trial, start_time)):
        return asking
    refusal = snapshot.refusal if was_refused(snapshot.refusal, start_time) else None
    again, urgency, retry = None, Urgency.START, timedelta(0)
    if refusal is not None:
        since = refusal.time if refusal.value.reason in _PASSING else start_time
        shortest, asked = snapshot.settings.retry_start, refusal.value.retry_after
        again = retry_at(refusal.time, since, latest_start(trial, start_time), shortest, asked)
        urgency, retry = Urgency.RETRY, again - refusal.time
        if again <= now and (showing := _show_refusal(snapshot, trial, start_time, now, refusal.value)):
            return showing
    creation = engine_creation(snapshot, trial, start_time, now, retry)
    if isinstance(creation, CreateEngine):
        return act(creation, urgency=urgency)
    pod = value_of(snapshot.pod)
    problem = creation or refused(snapshot, now, retry)
    if problem is not None:
        again = again or now + snapshot.settings.retry_arming
        again = min(again, latest_start(trial, start_time) + JUST_AFTER)
        return _cannot_start(snapshot, trial, start_time, now, problem, again)
    if snapshot.engine is not None and isinstance(pod, Pod):
        if must_be_held(snapshot.engine):
            return act(HoldEngine(snapshot.engine), urgency=Urgency.FOLLOW)
        return act(
            _latch(trial, snapshot.engine, pod, start_time, now, missing_now(snapshot, snapshot.engine)),
            RecordEvent(trial, reasons.STARTED, f"pod {pod.name} was created"),
            *unconfirmed(snapshot, trial, now),
            urgency=Urgency.FOLLOW,
        )
    if snapshot.engine is None:
        return wait("there is no TrialEngine to start")
    if snapshot.leftovers:
        again = min(now + snapshot.settings.retry_start, latest_start(trial, start_time) + JUST_AFTER)
        return _cannot_start(snapshot, trial, start_time, now, _left(snapshot.leftovers), again)
    return act(CreatePod(snapshot.engine, manifest_of(snapshot, snapshot.engine)), urgency=urgency)


def _left(pods: tuple[Leftover, ...]) -> Problem:
    """Return the problem that pods of an earlier TrialEngine of this ID may still act."""
    names = ", ".join(pod.name for pod in pods)
    which = f"pod{'s' if len(pods) > 1 else ''} {names} of an earlier engine of this trial ID"
    why = "not seen to end; the start waits until the earlier engine can no longer act"
    return Problem(reasons.WAITING, f"{which} {'were' if len(pods) > 1 else 'was'} {why}")


def _show_refusal(
    snapshot: Snapshot, trial: Trial, start_time: datetime, now: datetime, why: Problem
) -> Decision | None:
    """Return the write that shows why the start was rejected; None if the Trial shows it.

    It precedes the next try: if very many starts are rejected, it would otherwise never get its turn. The
    last try before the deadline does not wait for it.
    """
    shown = conditions.find(trial.status.conditions, reasons.ARMED)
    if shown is not None and (shown.status, shown.reason) == ("False", why.reason):
        return None
    if why.reason in _PASSING or now > latest_start(trial, start_time) - _LAST_TRIES:
        return None
    writes = show_scheduled(snapshot, trial, start_time, now, not_armed(why))
    return act(*writes, urgency=Urgency.RETRY) if writes else None


def _cannot_start(
    snapshot: Snapshot, trial: Trial, start_time: datetime, now: datetime, why: Problem, again: datetime
) -> Decision:
    """Show why the start was rejected, and wait until `again` for the next try, which it must not delay."""
    if writes := show_scheduled(snapshot, trial, start_time, now, not_armed(why)):
        return Act(writes, wake_at=again, wake_urgency=Urgency.RETRY)
    return wait("the start is retried", again, Urgency.RETRY)


def _latch(
    trial: Trial, engine: TrialEngine, pod: Pod, start_time: datetime, now: datetime, missing: Problem | None
) -> LatchTrial:
    lag = max(timedelta(0), pod.created - start_time)
    release = release_of(engine)
    status = trial_status(
        trial,
        now,
        ACCEPTED,
        ConditionUpdate(reasons.SCHEDULED, "True", reasons.START_TIME_KNOWN),
        armed_at_start(missing),
        ConditionUpdate(reasons.STARTED, "True", reasons.ENGINE_STARTED, f"pod {pod.name} was created"),
        ConditionUpdate(reasons.SUCCEEDED, "Unknown", reasons.STARTING),
        plan_current(engine),
        *([release] if release is not None else []),
        attempt=attempt_of(engine),
        start_time=start_time,
        started_time=now.astimezone(UTC),
        start_lag_milliseconds=int(lag / timedelta(milliseconds=1)),
        engine_ref=EngineRef(name=engine.metadata.name, uid=engine.metadata.uid),
        plan_generation=engine.spec.plan_generation,
        progress=f"0/{len(engine.spec.activities)}",
    )
    return LatchTrial(trial, status)


def _suspend(snapshot: Snapshot, trial: Trial, start_time: datetime | None, now: datetime) -> Decision:
    suspended = ConditionUpdate(
        reasons.SCHEDULED,
        "False",
        reasons.SUSPENDED,
        "spec.suspend is true; set it to false to let the trial start",
    )
    return _without_engine(snapshot, _not_scheduled(snapshot, trial, now, suspended, start_time))


def _not_scheduled(
    snapshot: Snapshot, trial: Trial, now: datetime, why: ConditionUpdate, start_time: datetime | None
) -> Decision:
    """Return the write that shows why a trial is not scheduled, or the wait for its deadline."""
    armed = readiness(snapshot, trial, start_time)
    if isinstance(armed, Act):
        return armed
    if writes := show_waiting(snapshot, trial, now, why, armed, start_time):
        return act(*writes)
    deadline = None if start_time is None else latest_start(trial, start_time) + JUST_AFTER
    return wait(f"not scheduled: {why.reason}", stalls_at(trial.status.conditions, deadline))


def _miss(snapshot: Snapshot, trial: Trial, start_time: datetime, now: datetime) -> Decision:
    refusal, reason = snapshot.refusal, reasons.MISSED
    accepted = conditions.find(trial.status.conditions, reasons.ACCEPTED)
    made, seconds = trial.metadata.creation_timestamp, (now - start_time).total_seconds()
    late = f"the start would have been {seconds:.3f} s late"
    shown = trial.status.start_time
    if shown is not None and shown != start_time:
        late = f"the start time was changed from {in_utc(shown)} to {in_utc(start_time)}; {late}"
    elif made is not None and made > start_time:
        late = (
            f"the Trial was created {(made - start_time).total_seconds():.0f} s after its start time; {late}"
        )
    if trial.spec.suspend:
        why = "the trial was suspended until its deadline had passed"
    elif _waited_for_its_id(trial):
        reason, why = reasons.DUPLICATE_TRIAL_ID, "another trial held the trial ID at the start time"
    elif accepted is not None and accepted.status == "False":
        reason, why = accepted.reason, accepted.message
    elif refusal is not None and refusal.time >= start_time:
        reason = refusal.value.reason
        why = f"the start was rejected until the deadline: {refusal.value.message}"
    else:
        armed = conditions.find(trial.status.conditions, reasons.ARMED)
        why = late
        if armed is not None and armed.status == "False":
            reason, why = armed.reason, f"{late}: {armed.message}"
    why = f"{why}. {next_start(trial)}"
    status = missed_status(trial, start_time, now, why, reason, _plan(snapshot, trial))
    missed = RecordEvent(trial, reasons.MISSED, why, warning=True)
    return act(WriteTrial(trial, status), missed, *unconfirmed(snapshot, trial, now))


def _without_engine(snapshot: Snapshot, then: Decision) -> Decision:
    """Return the deletion of a TrialEngine that must not start, else `then`."""
    engine = snapshot.engine
    if engine is None or engine.metadata.deletion_timestamp is not None:
        return then
    return act(DeleteEngine(engine))
