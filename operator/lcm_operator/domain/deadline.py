"""Until when a start may still happen, and so from when on a trial may be forgotten. Pure."""

from datetime import UTC, datetime, timedelta

from lcm_operator.api.trial import Trial

_EXACT_START = timedelta(seconds=1)
_LONGEST_MEMORY = timedelta(days=1)
_CLOCKS_AGREE = timedelta(seconds=2)
_LAST = datetime.max.replace(tzinfo=UTC)


def last_moment(trial: Trial, begin: datetime) -> datetime:
    """Return until when a start may still happen; with a deadline of 0, one second after the start time."""
    return begin + min(_deadline(trial), _LAST - begin - _EXACT_START)


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
    return begin + min(memory, _LAST - begin)


def _deadline(trial: Trial) -> timedelta:
    return max(timedelta(seconds=trial.spec.starting_deadline_seconds), _EXACT_START)
