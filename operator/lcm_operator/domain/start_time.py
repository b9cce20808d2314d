"""Start times: until when a start may happen, when it is retried, and how urgent a look at a slot is. Pure.

Urgency comes from what is due in a slot, never from what has happened: a trial that is created, resumed,
edited or moved seconds before its start, or that gets its ID then, must not queue behind work that nobody
waits for. It is cheap: it is asked for each slot that is queued.
"""

from datetime import UTC, datetime, timedelta

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.times import later
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Urgency
from lcm_operator.domain.snapshot import Observation, Problem
from lcm_operator.domain.status import outcome, scheduled_again

JUST_AFTER = timedelta(milliseconds=1)
_EXACT_START = timedelta(seconds=1)
_LONGEST_RETRY = timedelta(seconds=5)
_LAST_TRY = timedelta(milliseconds=300)
_LONGEST_MEMORY = timedelta(days=1)
_CLOCKS_AGREE = timedelta(seconds=2)


def last_moment(trial: Trial, begin: datetime) -> datetime:
    """Return until when a start may still happen; with a deadline of 0, one second after the start time."""
    return later(begin, _deadline(trial), _EXACT_START)


def keep_until(trial: Trial) -> datetime | None:
    """Return until when a trial that is over must be kept; None without a start time.

    The same manifest, applied again, would be started once more as long as its deadline lasts: a Trial that
    is over is the only memory of that start. A day at most; and a little more than the deadline, as the
    clock of another replica may be as far behind.
    """
    known = [time for time in (trial.spec.start_time, trial.status.start_time) if time is not None]
    if not known:
        return None
    begin = max(known).astimezone(UTC)
    memory = min(_deadline(trial), _LONGEST_MEMORY) + _CLOCKS_AGREE
    return later(begin, memory)


def last_try(trial: Trial, begin: datetime) -> datetime:
    """Return when a start is tried for the last time, whatever pause was asked for."""
    return last_moment(trial, begin) - _LAST_TRY


def _deadline(trial: Trial) -> timedelta:
    return max(timedelta(seconds=trial.spec.starting_deadline_seconds), _EXACT_START)


def retry_at(
    refused: datetime, since: datetime, last: datetime, shortest: timedelta, asked: timedelta = timedelta(0)
) -> datetime:
    """Return when a start that was `refused` is tried again: less often with time, and once before `last`.

    The pause is a quarter of the time that has passed `since`, at most 5 s, and no shorter than was `asked`.
    """
    pause = max(min(max(shortest, (refused - since) / 4), _LONGEST_RETRY), asked)
    final = last - _LAST_TRY
    return min(refused + pause, final) if refused < final else last + JUST_AFTER


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
