"""Arming, shortly before the start time: the TrialEngine is created and its pod's admission checked. Pure.

A problem is shown on the Trial. A trial that was not armed before is armed at its start time.
"""

from datetime import datetime, timedelta

from lcm_operator.api import reasons
from lcm_operator.api.conditions import ConditionUpdate
from lcm_operator.api.times import in_utc
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import (
    Action,
    CheckAdmission,
    CreateEngine,
    Decision,
    RecordEvent,
    UnholdEngine,
    Urgency,
    WriteTrial,
    act,
    wait,
)
from lcm_operator.domain.engine_spec import engine_manifest
from lcm_operator.domain.grant import manifest_of
from lcm_operator.domain.readiness import checked_spec, not_armed, plan_version, watch
from lcm_operator.domain.references import missing_object, needs_of
from lcm_operator.domain.registry_times import ask_for_arming
from lcm_operator.domain.release import is_held
from lcm_operator.domain.snapshot import Problem, Snapshot
from lcm_operator.domain.status import ACCEPTED, trial_status


def decide_arming(snapshot: Snapshot, trial: Trial, start_time: datetime, now: datetime) -> Decision:
    """Decide about a trial whose start time is near."""
    if asking := ask_for_arming(snapshot, trial, start_time, now):
        return asking
    if snapshot.engine is not None and is_held(snapshot.engine):
        return act(UnholdEngine(snapshot.engine))  # an earlier version added it at arming
    retry = max(snapshot.settings.retry_arming, _asked_pause(snapshot))
    creation = engine_creation(snapshot, trial, start_time, now, retry)
    if isinstance(creation, CreateEngine):
        return act(creation)
    admission, engine = snapshot.admission, snapshot.engine
    default = snapshot.settings.engine_template
    needs = needs_of(engine.spec, default) if engine is not None else ()
    if look := watch(snapshot, trial, needs):
        return look
    problem = creation or missing_object(needs, snapshot.references, trial.metadata.namespace)
    if problem is None and engine is not None:
        fits = admission is not None and admission.value.engine_uid == engine.metadata.uid
        if admission is None or not fits or (admission.value.problem and now >= admission.time + retry):
            return act(CheckAdmission(engine, manifest_of(snapshot, engine)))
        problem = admission.value.problem
    if writes := show_scheduled(snapshot, trial, start_time, now, _armed(problem)):
        return act(*writes)
    ask_again = start_time - snapshot.settings.ask_again_lead
    if problem is None and trial.spec.registry_ref is not None and now < ask_again:
        return wait("armed", ask_again, Urgency.FOLLOW)
    if problem is None:
        return wait("armed", start_time, Urgency.START)
    if now + retry >= start_time:
        return wait("the start is tried at the start time", start_time, Urgency.START)
    return wait("arming is retried", now + retry)


def engine_creation(
    snapshot: Snapshot, trial: Trial, start_time: datetime, now: datetime, retry: timedelta
) -> CreateEngine | Problem | None:
    """Return the create of the TrialEngine, or why it cannot be created now; None if it exists."""
    if snapshot.engine is not None:
        return None
    if snapshot.stranger:
        return Problem(
            reasons.NAME_TAKEN,
            f"TrialEngine {snapshot.name} exists and does not belong to this Trial; delete it",
        )
    spec = checked_spec(snapshot, trial, start_time)
    if isinstance(spec, Problem):
        return spec
    return refused(snapshot, now, retry) or CreateEngine(engine_manifest(trial, spec))


def refused(snapshot: Snapshot, now: datetime, retry: timedelta) -> Problem | None:
    """Return why the last create was rejected, while it is too early to retry."""
    refusal = snapshot.refusal
    return refusal.value if refusal is not None and now < refusal.time + retry else None


def _asked_pause(snapshot: Snapshot) -> timedelta:
    """Return the API server's Retry-After."""
    return snapshot.refusal.value.retry_after if snapshot.refusal is not None else timedelta(0)


def show_scheduled(
    snapshot: Snapshot, trial: Trial, start_time: datetime, now: datetime, armed: ConditionUpdate
) -> tuple[Action, ...]:
    """Return the write that shows `start_time` and `armed`, with Events for changes; () if they are shown."""
    known = ConditionUpdate(reasons.SCHEDULED, "True", reasons.START_TIME_KNOWN)
    return show_waiting(snapshot, trial, now, known, armed, start_time)


def show_waiting(
    snapshot: Snapshot,
    trial: Trial,
    now: datetime,
    scheduled: ConditionUpdate,
    armed: ConditionUpdate,
    start_time: datetime | None,
) -> tuple[Action, ...]:
    """Return the write that shows a trial before its start, with Events for changes; () if it is shown."""
    status = trial_status(
        trial,
        now,
        ACCEPTED,
        scheduled,
        armed,
        ConditionUpdate(reasons.STARTED, "Unknown", reasons.WAITING),
        ConditionUpdate(reasons.SUCCEEDED, "Unknown", reasons.WAITING),
        start_time=start_time,
        plan_generation=plan_version(snapshot, trial),
        attempt=None,
        progress="",
    )
    if status == trial.status:
        return ()
    actions: list[Action] = [WriteTrial(trial, status)]
    if start_time is not None and scheduled.status == "True" and trial.status.start_time != start_time:
        actions.append(
            RecordEvent(trial, reasons.SCHEDULED, f"starts at {in_utc(start_time)}{_ahead(start_time - now)}")
        )
    before = {(c.type, c.reason, c.message) for c in trial.status.conditions}
    after = {(c.type, c.reason, c.message) for c in status.conditions if c.type == reasons.ARMED}
    if armed.status != "Unknown" and armed.reason != reasons.WAITING and not after <= before:
        failed = armed.status == "False"
        reason = armed.reason if failed else reasons.ARMED
        actions.append(RecordEvent(trial, reason, armed.message, warning=failed))
    return tuple(actions)


def _ahead(span: timedelta) -> str:
    """Return how far a start is ahead, which shows a wrong UTC offset at once; empty for a late start."""
    seconds = round(span.total_seconds())
    if seconds <= 0:
        return ""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f", in {days} d {hours % 24} h"
    if hours:
        return f", in {hours} h {minutes % 60} min"
    return f", in {minutes} min {seconds % 60} s" if minutes else f", in {seconds} s"


def _armed(problem: Problem | None) -> ConditionUpdate:
    if problem is None:
        return ConditionUpdate(
            reasons.ARMED, "True", reasons.ADMITTED, "the API server would admit the engine's pod"
        )
    return not_armed(problem)
