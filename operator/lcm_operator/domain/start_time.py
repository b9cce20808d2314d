"""Start times: which one counts, how late a start may be, when it is retried, how urgent it is. Pure.

Urgency follows from the start time of a slot, never from the event that brought it: a trial that is created,
resumed, edited or moved seconds before its start must not queue behind routine work. It must be cheap: it is
computed for each slot that is queued.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from lcm_operator.api import names
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.times import later, parse_read_time, parse_reported_time
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Urgency
from lcm_operator.domain.snapshot import Observation, Problem
from lcm_operator.domain.status import outcome, resolved_start_time, scheduled_again

JUST_AFTER = timedelta(milliseconds=1)
_EXACT_START = timedelta(seconds=1)
_LONGEST_RETRY = timedelta(seconds=5)
_LAST_TRY = timedelta(milliseconds=300)
_LONGEST_MEMORY = timedelta(days=1)
_CLOCKS_AGREE = timedelta(seconds=2)
_NEVER = datetime.min.replace(tzinfo=UTC)
_ROUNDED = timedelta(seconds=1)
"""A creationTimestamp has whole seconds."""
Reports = Mapping[str, Observation[datetime]]
"""Start times that registries reported last, by the UIDs of the Trials."""


def start_time_of(trial: Trial, reported: Reports) -> datetime | None:
    """Return the start time of a Trial that is not latched, in UTC; None while no registry reported it.

    `reported`: what registries reported last. The later read counts, this process's or the creator's.
    """
    known = resolved_start_time(trial)
    if known is not None or trial.spec.registry_ref is None:
        return known
    reads = [read for read in (reported.get(trial.metadata.uid), read_by_creator(trial)) if read]
    return max(reads, key=lambda read: read.time).value if reads else None


def read_by_creator(trial: Trial) -> Observation[datetime] | None:
    """Return the start time that the Trial was created with as an annotation; None if unparsable.

    The annotations are user-writable: the read time counts as the Trial's creation at the latest, and as
    older than any other read if it is missing.
    """
    annotations = trial.metadata.annotations
    reported = parse_reported_time(annotations.get(names.ANNOTATION_REGISTRY_START_TIME, ""))
    if reported is None or trial.spec.registry_ref is None:
        return None
    read = parse_read_time(annotations.get(names.ANNOTATION_REGISTRY_READ_TIME, ""))
    made = trial.metadata.creation_timestamp
    if read is None or made is None:
        return Observation(reported, _NEVER)
    return Observation(reported, min(read, made + _ROUNDED))


def latest_start(trial: Trial, start_time: datetime) -> datetime:
    """Return the latest time of a start; with a deadline of 0, one second after the start time."""
    return later(start_time, _deadline(trial), _EXACT_START)


def keep_until(trial: Trial) -> datetime | None:
    """Return until when a finished trial must be kept; None without a start time.

    Until its deadline the same manifest, applied again, would be started again, and the finished Trial is the
    only record of its start. At most a day, plus a margin for the clock of another replica.
    """
    known = [time for time in (trial.spec.start_time, trial.status.start_time) if time is not None]
    if not known:
        return None
    start_time = max(known).astimezone(UTC)
    memory = min(_deadline(trial), _LONGEST_MEMORY) + _CLOCKS_AGREE
    return later(start_time, memory)


def last_try(trial: Trial, start_time: datetime) -> datetime:
    """Return when a start is tried for the last time, whatever Retry-After says."""
    return latest_start(trial, start_time) - _LAST_TRY


def _deadline(trial: Trial) -> timedelta:
    return max(timedelta(seconds=trial.spec.starting_deadline_seconds), _EXACT_START)


def retry_at(
    refused: datetime, since: datetime, last: datetime, shortest: timedelta, asked: timedelta = timedelta(0)
) -> datetime:
    """Return when a start rejected at `refused` is retried: less often with time, and once before `last`.

    The pause is a quarter of the time since `since`, at most 5 s, at least `shortest` and `asked`
    (Retry-After).
    """
    pause = max(min(max(shortest, (refused - since) / 4), _LONGEST_RETRY), asked)
    final = last - _LAST_TRY
    return min(refused + pause, final) if refused < final else last + JUST_AFTER


DUE_SOON = timedelta(seconds=5)


def urgency_of(
    trial: Trial | None,
    engine: TrialEngine | None,
    start_time: datetime | None,
    refusal: Observation[Problem] | None,
    now: datetime,
) -> Urgency:
    """Return the urgency of a slot whose ID `trial` holds; `start_time`: the start time that counts.

    `refusal`: why the last create of its TrialEngine or pod was rejected.
    """
    if trial is None or trial.metadata.deletion_timestamp is not None:
        return Urgency.ROUTINE
    if trial.status.started_time is not None:
        if not _waits_for_grant(trial, engine):
            return Urgency.ROUTINE
        return Urgency.FOLLOW if refusal is None else Urgency.RETRY
    if start_time is None or not is_near(trial, start_time, now):
        return Urgency.ROUTINE
    return Urgency.RETRY if was_refused(refusal, start_time) else Urgency.START


def is_near(trial: Trial, start_time: datetime, now: datetime) -> bool:
    """Return whether the start of a trial that is not latched is due within seconds, or still allowed."""
    if trial.spec.suspend or start_time - now > DUE_SOON or now > latest_start(trial, start_time):
        return False
    return outcome(trial) is None or scheduled_again(trial)


def was_refused(refusal: Observation[Problem] | None, start_time: datetime) -> bool:
    """Return whether the start itself was rejected; at the start time everything is tried once more."""
    return refusal is not None and refusal.time >= start_time


def _waits_for_grant(trial: Trial, engine: TrialEngine | None) -> bool:
    if engine is None or engine.metadata.deletion_timestamp is not None or outcome(trial) is not None:
        return False
    return engine.status.pod_ref is None
