"""What a Trial shows of its TrialEngine: outcome, progress, lags, answers. Pure.

Called by `domain.lifecycle` and `domain.removal`, whenever nothing more pressing is to be done.
"""

from datetime import datetime, timedelta

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Action, RecordEvent, WriteTrial
from lcm_operator.domain.attempt_end import awaited_end
from lcm_operator.domain.outcome import progress
from lcm_operator.domain.requests import echo, open_restores
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.trial_status import Set, trial_status


def mirror(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> tuple[Action, ...]:
    """Return the write that makes the Trial show what its TrialEngine says, and the Event; () if it does."""
    shown = conditions.find(trial.status.conditions, reasons.SUCCEEDED)
    succeeded = _succeeded(snapshot, trial, engine)
    first_lag = trial.status.first_activity_lag_milliseconds
    status = trial_status(
        trial,
        now,
        succeeded,
        progress=progress(engine),
        plan_generation=engine.status.plan_generation or trial.status.plan_generation,
        first_activity_lag_milliseconds=_first_activity_lag(engine) if first_lag is None else first_lag,
        last_handled_restore=echo("Restore", trial, engine),
        last_handled_delete=echo("Delete", trial, engine),
    )
    if status == trial.status:
        return ()
    actions: list[Action] = [WriteTrial(trial, status)]
    if succeeded.status != "Unknown" and (shown is None or shown.status != succeeded.status):
        failed = succeeded.status == "False"
        actions.append(RecordEvent(trial, succeeded.reason, succeeded.message, warning=failed))
    refusal = snapshot.refusal
    if refusal is not None and (shown is None or shown.message != succeeded.message):
        actions.append(RecordEvent(trial, refusal.value.reason, succeeded.message, warning=True))
    return tuple(actions)


def _succeeded(snapshot: Snapshot, trial: Trial, engine: TrialEngine) -> Set:
    found = conditions.find(engine.status.conditions, reasons.SUCCEEDED)
    known = Set(reasons.SUCCEEDED, "Unknown", reasons.RUNNING)
    if found is not None:
        known = Set(reasons.SUCCEEDED, found.status, found.reason, found.message)
    begins_again = engine.status.stop or engine.status.next_attempt or open_restores(trial, engine)
    if begins_again and (awaited := awaited_end(snapshot, engine)):
        return known._replace(message=awaited)
    if known.status == "Unknown" and snapshot.refusal is not None:
        return known._replace(message=f"the pod is tried again: {snapshot.refusal.value.message}")
    return known


def _first_activity_lag(engine: TrialEngine) -> int | None:
    first = engine.spec.activities[0].name if engine.spec.activities else ""
    begun = engine.status.activity(first).start_time
    if begun is None:
        return None
    return int(max(timedelta(0), begun - engine.spec.start_time) / timedelta(milliseconds=1))
