"""From an accepted Trial to the latch: scheduling, arming, start. Pure; called by `domain.decide`.

    Pending ──start time known──> Scheduled ──lead──> Armed ──T──> pod created ──latch──> (lifecycle)
       │                              │                 │              │
       └── suspend ──> Suspended      └── deadline passed ──> Missed   └── no longer due: pod and engine go

Up to the latch the Trial decides: whatever changes in its spec throws away what was armed for the old one.
"""

from datetime import UTC, datetime, timedelta

from lcm_operator.api import reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import EngineRef, Missed, Trial
from lcm_operator.domain.actions import (
    Action,
    CheckAdmission,
    CreateEngine,
    CreatePod,
    Decision,
    DeleteEngine,
    LatchTrial,
    RecordEvent,
    Urgency,
    WriteTrial,
    act,
    wait,
)
from lcm_operator.domain.plans import resolve_engine
from lcm_operator.domain.pods import engine_pod
from lcm_operator.domain.snapshot import Pod, Problem, Snapshot
from lcm_operator.domain.trial_status import Set, has_outcome, is_final, start_time, trial_status

ACCEPTED = Set(reasons.ACCEPTED, "True", reasons.ACCEPTED)
_KEPT_MISSES = 5
_EXACT_START = timedelta(seconds=1)


def decide_start(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    """Decide about a trial that holds its ID and is not latched."""
    begin = start_time(trial)
    if is_final(trial) and not _scheduled_again(trial, begin, now):
        return _without_engine(snapshot, wait("the trial has its outcome"))
    if trial.spec.suspend:
        return _suspend(snapshot, trial, begin, now)
    if begin is None:
        awaiting = Set(reasons.SCHEDULED, "False", reasons.AWAITING_REGISTRY)
        return _without_engine(snapshot, _write_or(trial, now, awaiting, then=wait("awaiting the registry")))
    if now > last_moment(trial, begin):
        return _miss(snapshot, trial, begin, now)
    if snapshot.engine is not None and not _armed_for(snapshot.engine, trial, begin):
        return _without_engine(snapshot, wait("waiting for the old TrialEngine to go"))
    if now < begin - snapshot.settings.arm_lead:
        return _schedule(snapshot, trial, begin, now)
    if now < begin:
        return _arm(snapshot, trial, begin, now)
    return _start(snapshot, trial, begin, now)


def last_moment(trial: Trial, begin: datetime) -> datetime:
    """Return until when a start may still happen; with a deadline of 0, one second after the start time."""
    return begin + max(timedelta(seconds=trial.spec.starting_deadline_seconds), _EXACT_START)


def _scheduled_again(trial: Trial, begin: datetime | None, now: datetime) -> bool:
    """Return whether a missed trial was given a new start time that lies ahead."""
    if not has_outcome(trial, reasons.MISSED) or begin is None:
        return False
    return begin > now and not any(miss.start_time == begin for miss in trial.status.missed[-1:])


def _armed_for(engine: TrialEngine, trial: Trial, begin: datetime) -> bool:
    return (
        engine.metadata.deletion_timestamp is None
        and engine.spec.trial_generation == trial.metadata.generation
        and engine.spec.start_time == begin
    )


def _scheduled(trial: Trial, begin: datetime, now: datetime, armed: Set) -> tuple[Action, ...]:
    """Return the write that shows `begin` and `armed`, and the Events about what is new; () if nothing is."""
    status = trial_status(
        trial,
        now,
        ACCEPTED,
        Set(reasons.SCHEDULED, "True", reasons.START_TIME_KNOWN),
        armed,
        Set(reasons.STARTED, "Unknown", reasons.WAITING),
        Set(reasons.SUCCEEDED, "Unknown", reasons.WAITING),
        start_time=begin,
        progress="",
    )
    if status == trial.status:
        return ()
    actions: list[Action] = [WriteTrial(trial, status)]
    if trial.status.start_time != begin:
        when = begin.isoformat().replace("+00:00", "Z")
        actions.append(RecordEvent(trial, reasons.SCHEDULED, f"to be started at {when}"))
    before = {(c.type, c.reason, c.message) for c in trial.status.conditions}
    if armed.status != "Unknown" and (armed.type, armed.reason, armed.message) not in before:
        failed = armed.status == "False"
        actions.append(
            RecordEvent(trial, armed.reason if failed else reasons.ARMED, armed.message, warning=failed)
        )
    return tuple(actions)


def _schedule(snapshot: Snapshot, trial: Trial, begin: datetime, now: datetime) -> Decision:
    ahead = Set(reasons.ARMED, "Unknown", reasons.WAITING)
    if writes := _scheduled(trial, begin, now, ahead):
        return act(*writes)
    return wait("the start time lies ahead", begin - snapshot.settings.arm_lead)


def _arm(snapshot: Snapshot, trial: Trial, begin: datetime, now: datetime) -> Decision:
    problem = _engine_problem(snapshot, trial, begin, now, snapshot.settings.retry_arming)
    if isinstance(problem, CreateEngine):
        return act(problem)
    admission, engine = snapshot.admission, snapshot.engine
    if problem is None and engine is not None:
        stale = admission is None or admission.engine_uid != engine.metadata.uid
        if stale or (_retry_due(snapshot, now) and admission and admission.problem):
            return act(CheckAdmission(engine, _pod(snapshot, engine)))
        problem = admission.problem if admission else None
    armed = (
        Set(reasons.ARMED, "True", reasons.ADMITTED, "the API server would admit the engine's pod")
        if problem is None
        else Set(reasons.ARMED, "False", problem.reason, problem.message)
    )
    if writes := _scheduled(trial, begin, now, armed):
        return act(*writes)
    if problem is None:
        return wait("armed", begin, Urgency.START)
    again = min(begin, now + snapshot.settings.retry_arming)
    return wait("arming is tried again", again, Urgency.START if again == begin else Urgency.ROUTINE)


def _engine_problem(
    snapshot: Snapshot, trial: Trial, begin: datetime, now: datetime, retry: timedelta
) -> CreateEngine | Problem | None:
    """Return what stands between the trial and its TrialEngine: a create, a problem, or nothing."""
    if snapshot.engine is not None:
        return None
    if snapshot.stranger:
        return Problem(reasons.NAME_TAKEN, f"TrialEngine {snapshot.name} exists and is not of this Trial")
    manifest = resolve_engine(trial, snapshot.plan, begin)
    if isinstance(manifest, Problem):
        return manifest
    return _refused(snapshot, now, retry) or CreateEngine(trial, manifest)


def _refused(snapshot: Snapshot, now: datetime, retry: timedelta) -> Problem | None:
    """Return why the last create was refused, as long as it is too early to try again."""
    refusal = snapshot.refusal
    return refusal.problem if refusal is not None and now < refusal.at + retry else None


def _retry_due(snapshot: Snapshot, now: datetime) -> bool:
    admission = snapshot.admission
    return admission is not None and now >= admission.checked + snapshot.settings.retry_arming


def _start(snapshot: Snapshot, trial: Trial, begin: datetime, now: datetime) -> Decision:
    retry = snapshot.settings.retry_start
    problem = _engine_problem(snapshot, trial, begin, now, retry)
    if isinstance(problem, CreateEngine):
        return act(problem, urgency=Urgency.START)
    engine = snapshot.engine
    if engine is None:
        return _cannot_start(snapshot, trial, begin, now, problem)
    if isinstance(snapshot.pod, Pod):
        return act(
            _latch(trial, engine, snapshot.pod, begin, now),
            RecordEvent(trial, reasons.STARTED, f"pod {snapshot.pod.name} was created"),
            urgency=Urgency.FOLLOW,
        )
    if refused := _refused(snapshot, now, retry):
        return _cannot_start(snapshot, trial, begin, now, refused)
    return act(CreatePod(engine, _pod(snapshot, engine)), urgency=Urgency.START)


def _cannot_start(
    snapshot: Snapshot, trial: Trial, begin: datetime, now: datetime, problem: Problem | None
) -> Decision:
    why = problem or Problem(reasons.WAITING, "there is no TrialEngine yet")
    if writes := _scheduled(trial, begin, now, Set(reasons.ARMED, "False", why.reason, why.message)):
        return act(*writes)
    again = min(now + snapshot.settings.retry_start, last_moment(trial, begin) + timedelta(milliseconds=1))
    return wait(f"the start is tried again: {snapshot.name}", again, Urgency.START)


def _pod(snapshot: Snapshot, engine: TrialEngine) -> dict[str, object]:
    return engine_pod(engine, 1, snapshot.settings.engine_image)


def _latch(trial: Trial, engine: TrialEngine, pod: Pod, begin: datetime, now: datetime) -> LatchTrial:
    lag = max(timedelta(0), pod.created - begin)
    status = trial_status(
        trial,
        now,
        ACCEPTED,
        Set(reasons.SCHEDULED, "True", reasons.START_TIME_KNOWN),
        Set(reasons.ARMED, "True", reasons.ADMITTED),
        Set(reasons.STARTED, "True", reasons.ENGINE_STARTED, f"pod {pod.name} was created"),
        Set(reasons.SUCCEEDED, "Unknown", reasons.RUNNING),
        start_time=begin,
        started_time=now.astimezone(UTC),
        start_lag_milliseconds=int(lag / timedelta(milliseconds=1)),
        engine_ref=EngineRef(name=engine.metadata.name, uid=engine.metadata.uid),
        progress=f"0/{len(engine.spec.activities)}",
    )
    return LatchTrial(trial, status)


def _suspend(snapshot: Snapshot, trial: Trial, begin: datetime | None, now: datetime) -> Decision:
    if begin is not None and now > last_moment(trial, begin):
        return _miss(snapshot, trial, begin, now)
    suspended = Set(reasons.SCHEDULED, "False", reasons.SUSPENDED, "spec.suspend is true")
    until = None if begin is None else last_moment(trial, begin) + timedelta(milliseconds=1)
    then = _without_engine(snapshot, wait("suspended", until))
    return _write_or(
        trial, now, suspended, Set(reasons.ARMED, "Unknown", reasons.WAITING), then=then, start_time=begin
    )


def _miss(snapshot: Snapshot, trial: Trial, begin: datetime, now: datetime) -> Decision:
    late = now - begin
    refused = snapshot.refusal.problem if snapshot.refusal else None
    if refused is not None:
        why = f"the start was refused until the deadline: {refused.message}"
    elif trial.spec.suspend:
        why = "the trial was suspended until its deadline had passed"
    else:
        why = f"the start would have been {late.total_seconds():.3f} s late"
    miss = Missed(
        start_time=begin,
        missed_time=now.astimezone(UTC),
        late_milliseconds=int(late / timedelta(milliseconds=1)),
        reason=refused.reason if refused else reasons.MISSED,
        message=why,
    )
    status = trial_status(
        trial,
        now,
        ACCEPTED,
        Set(reasons.STARTED, "False", reasons.MISSED, why),
        Set(reasons.SUCCEEDED, "False", reasons.MISSED, why),
        start_time=begin,
        missed=(*trial.status.missed, miss)[-_KEPT_MISSES:],
    )
    return act(WriteTrial(trial, status), RecordEvent(trial, reasons.MISSED, why, warning=True))


def _without_engine(snapshot: Snapshot, then: Decision) -> Decision:
    """Return the decision to delete the TrialEngine that must not start, else `then`."""
    engine = snapshot.engine
    if engine is None or engine.metadata.deletion_timestamp is not None:
        return then
    return act(DeleteEngine(engine))


def _write_or(trial: Trial, now: datetime, *changes: Set, then: Decision, **fields: object) -> Decision:
    status = trial_status(
        trial,
        now,
        ACCEPTED,
        *changes,
        Set(reasons.STARTED, "Unknown", reasons.WAITING),
        Set(reasons.SUCCEEDED, "Unknown", reasons.WAITING),
        **fields,
    )
    return then if status == trial.status else act(WriteTrial(trial, status))
