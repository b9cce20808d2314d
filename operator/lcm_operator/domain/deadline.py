"""Until when a start may happen, when it is retried, and from when on a trial may be forgotten. Pure."""

from datetime import UTC, datetime, timedelta

from lcm_operator.api.times import later
from lcm_operator.api.trial import Trial

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
