"""The part of a Trial's status that mirrors its TrialEngine: outcome, progress, lags, answers. Pure."""

from datetime import datetime, timedelta
from typing import Any

from lcm_operator.api import conditions, reasons
from lcm_operator.api.conditions import ConditionUpdate
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Act, Action, RecordEvent, WriteTrial, act
from lcm_operator.domain.attempt_end import awaited_end
from lcm_operator.domain.grant import attempt_of
from lcm_operator.domain.plan_change import plan_current
from lcm_operator.domain.readiness import armed_at_start
from lcm_operator.domain.release import has_begun, release_of
from lcm_operator.domain.requests import echo, open_restores, repeated
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.status import trial_status
from lcm_operator.domain.verdict import pod_words, progress, unfinished


def mirror(
    snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime, **answers: Any
) -> Act | None:
    """Return the write that mirrors the TrialEngine on the Trial, and its Event; None if nothing changes.

    `answers`: answers to the Trial's requests that differ from the TrialEngine's.
    """
    shown = conditions.find(trial.status.conditions, reasons.SUCCEEDED)
    refused = _refused(snapshot, engine)
    succeeded = refused or _succeeded(snapshot, trial, engine, now)
    release = release_of(engine)
    first_lag = trial.status.first_activity_lag_milliseconds
    fields: dict[str, Any] = {
        "progress": progress(engine),
        "attempt": engine.status.attempt or trial.status.attempt,
        "plan_generation": engine.status.plan_generation or trial.status.plan_generation,
        "first_activity_lag_milliseconds": _first_activity_lag(engine) if first_lag is None else first_lag,
        "last_handled_restore": echo("Restore", trial, engine),
        "last_handled_delete": echo("Delete", trial, engine),
    }
    over = succeeded.status == "True" or succeeded.reason == reasons.CANCELLED
    changes = [succeeded, *([] if release is None else [release])]
    changes += [] if over else [plan_current(engine, snapshot, trial)]
    if has_begun(engine.status) and not conditions.is_true(trial.status.conditions, reasons.ARMED):
        changes.append(armed_at_start(None))  # what was missing at the start exists by now
    status = trial_status(
        trial,
        now,
        *changes,
        without_release=release is None,
        unfinished=unfinished(engine, now),
        **(fields | answers),
    )
    if status == trial.status:
        return None
    actions: list[Action] = [WriteTrial(trial, status)]
    answered = (repeated("Restore", trial, engine), repeated("Delete", trial, engine))
    actions.extend(RecordEvent(trial, reasons.REFUSED, why, warning=True) for why in answered if why)
    before = (shown.status, shown.reason) if shown is not None else None
    if before != (succeeded.status, succeeded.reason):
        if refused is not None:
            actions.append(RecordEvent(trial, refused.reason, refused.message, warning=True))
        elif succeeded.reason == reasons.POD_PENDING:
            actions.append(RecordEvent(trial, succeeded.reason, succeeded.message, warning=True))
        elif succeeded.status != "Unknown" and not _succeeded_before(engine):
            failed = succeeded.status == "False" and succeeded.reason != reasons.CANCELLED
            actions.append(RecordEvent(trial, succeeded.reason, succeeded.message, warning=failed))
    return act(*actions)


def _succeeded(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> ConditionUpdate:
    found = conditions.find(engine.status.conditions, reasons.SUCCEEDED)
    known = ConditionUpdate(reasons.SUCCEEDED, "Unknown", reasons.RUNNING)
    if found is not None:
        known = ConditionUpdate(reasons.SUCCEEDED, found.status, found.reason, found.message)
    begins_again = engine.status.stop or engine.status.next_attempt or open_restores(trial, engine)
    if known.reason == reasons.RUNNING and not has_begun(engine.status):
        known = known._replace(reason=reasons.STARTING)
    over = known.status == "True" or known.reason == reasons.CANCELLED
    if begins_again and not over and (awaited := awaited_end(snapshot, engine, now)):
        return known._replace(message=awaited)
    if known.status == "Unknown" and (words := pod_words(snapshot, engine)):
        works = known.reason in (reasons.RUNNING, reasons.STARTING)
        return known._replace(reason=reasons.POD_PENDING if works else known.reason, message=words)
    return known


def _succeeded_before(engine: TrialEngine) -> bool:
    """Return whether an earlier attempt was the success, which has its Event, and none was granted since."""
    attempts = engine.status.attempts
    idle = bool(attempts) and attempts[-1].outcome == "Succeeded" and attempts[-1].start_time is None
    return idle and any(each.outcome == "Succeeded" for each in attempts[:-1])


def _refused(snapshot: Snapshot, engine: TrialEngine) -> ConditionUpdate | None:
    """Return the condition that shows why the next attempt is not granted; None without a rejection."""
    refusal, status = snapshot.refusal, engine.status
    settled = conditions.decided(status.conditions, reasons.SUCCEEDED) is not None
    if refusal is None or status.pod_ref is not None or settled:
        return None
    message = f"attempt {attempt_of(engine)} is tried again every second: {refusal.value.message}"
    return ConditionUpdate(reasons.SUCCEEDED, "Unknown", refusal.value.reason, message)


def _first_activity_lag(engine: TrialEngine) -> int | None:
    first = engine.spec.activities[0].name if engine.spec.activities else ""
    begun = engine.status.activity(first).start_time
    if begun is None:
        return None
    return int(max(timedelta(0), begun - engine.spec.start_time) / timedelta(milliseconds=1))
