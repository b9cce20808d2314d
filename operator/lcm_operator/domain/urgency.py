"""How urgent a look at a slot is: by what is due in it, never by what has happened. Pure.

A trial that is created, resumed, edited or moved seconds before its start, or that gets its ID then, must not
queue behind work that nobody waits for. It is cheap: it is asked for each key that is queued.
"""

from datetime import datetime, timedelta

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Urgency
from lcm_operator.domain.deadline import last_moment
from lcm_operator.domain.observation import Observation
from lcm_operator.domain.snapshot import Problem
from lcm_operator.domain.trial_status import outcome, scheduled_again

DUE_SOON = timedelta(seconds=5)


def urgency_of(
    trial: Trial | None,
    engine: TrialEngine | None,
    begin: datetime | None,
    refusal: Observation[Problem] | None,
    now: datetime,
) -> Urgency:
    """Return the urgency of a slot whose ID `trial` holds; `begin`: the start time that counts.

    `refusal`: why the last create of its TrialEngine or pod was refused.
    """
    if trial is None or trial.metadata.deletion_timestamp is not None:
        return Urgency.ROUTINE
    if trial.status.started_time is not None:
        if not _waits_for_grant(trial, engine):
            return Urgency.ROUTINE
        return Urgency.FOLLOW if refusal is None else Urgency.RETRY
    if begin is None or not is_near(trial, begin, now):
        return Urgency.ROUTINE
    return Urgency.RETRY if was_refused(refusal, begin) else Urgency.START


def is_near(trial: Trial, begin: datetime, now: datetime) -> bool:
    """Return whether the start of a trial that is not latched is due within seconds, or still allowed."""
    if trial.spec.suspend or begin - now > DUE_SOON or now > last_moment(trial, begin):
        return False
    return outcome(trial) is None or scheduled_again(trial)


def was_refused(refusal: Observation[Problem] | None, begin: datetime) -> bool:
    """Return whether the start itself was refused; at the start time everything is tried once anew."""
    return refusal is not None and refusal.time >= begin


def _waits_for_grant(trial: Trial, engine: TrialEngine | None) -> bool:
    if engine is None or engine.metadata.deletion_timestamp is not None or outcome(trial) is not None:
        return False
    return engine.status.pod_ref is None
