"""Automatic attempts: why one follows, and after which pause. Pure.

    attempt n failed ──> nextAttempt {reason, notBefore} ──its end is known, and it is time──> attempt n+1

Each waits longer than the one before. Everything is computed from the lineage, so that a restart of the
operator changes nothing. A requested restore does not wait.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from lcm_operator.api import reasons
from lcm_operator.api.conditions import ConditionUpdate, with_condition
from lcm_operator.api.engine import Attempt, NextAttempt, TrialEngine, TrialEngineStatus
from lcm_operator.domain.attempt_end import is_disrupted
from lcm_operator.domain.checkpoint import AUTOMATIC, DISRUPTION, ended
from lcm_operator.domain.release import with_release
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.verdict import Verdict

_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(minutes=5)
_UNDISTURBED = timedelta(minutes=5)
"""An attempt that lasted so long does not count as disrupted repeatedly."""
_POD_FAILED = (reasons.ENGINE_ENDED, reasons.ENGINE_SILENT, reasons.ENGINE_NOT_READY)


def follows_itself(
    snapshot: Snapshot, engine: TrialEngine, found: Verdict, now: datetime
) -> NextAttempt | None:
    """Return the automatic attempt after a failed one; None if a person has to request it."""
    if found.succeeded:
        return None
    if found.reason in _POD_FAILED and is_disrupted(snapshot):
        return after_disruption(engine, now)
    if engine.status.automatic_restores < engine.spec.engine.max_restores:
        return NextAttempt(
            reason="Automatic", not_before=_later(now, _automatic_pause(engine.status.attempts))
        )
    return None


def after_disruption(engine: TrialEngine, now: datetime) -> NextAttempt:
    """Return the attempt after one whose pod was taken away: immediate, unless that happens repeatedly."""
    return NextAttempt(
        reason="Disruption", not_before=_later(now, _disruption_pause(engine.status.attempts, now))
    )


def announced(engine: TrialEngine, following: NextAttempt, why: str, now: datetime) -> TrialEngineStatus:
    """Return the status that records the failure and the attempt that follows."""
    moment, status = now.astimezone(UTC), engine.status
    message = message_of(engine, following, why)
    shown = ConditionUpdate(reasons.SUCCEEDED, "Unknown", reasons.RESTORING, message)
    status = msgspec.structs.replace(
        status,
        phase="Pending",
        next_attempt=following,
        attempts=ended(status.attempts, "Failed", why, moment),
        conditions=with_condition(status.conditions, shown, moment, engine.metadata.generation),
    )
    return with_release(engine, status, now)


def message_of(engine: TrialEngine, following: NextAttempt, why: str) -> str:
    """Return the message about an automatic attempt."""
    number, moment = engine.status.attempt + 1, following.not_before.astimezone(UTC)
    return f"attempt {number} ({following.reason}) begins at {moment:%H:%M:%S} UTC or later: {why}"


def _automatic_pause(attempts: tuple[Attempt, ...]) -> timedelta:
    """Return the pause: doubled with each automatic attempt since a requested one."""
    count = 0
    for attempt in reversed(attempts):
        if attempt.reason not in (AUTOMATIC, DISRUPTION):
            break
        count += attempt.reason == AUTOMATIC
    return _doubled(count)


def _disruption_pause(attempts: tuple[Attempt, ...], now: datetime) -> timedelta:
    count = 0
    for attempt in reversed(attempts):
        begun, over = attempt.start_time or now, attempt.completion_time or now
        if attempt.reason != DISRUPTION or over - begun >= _UNDISTURBED:
            break
        count += 1
    return _doubled(count - 1) if count else timedelta(0)


def _doubled(times: int) -> timedelta:
    return min(_FIRST_PAUSE * (1 << min(times, 10)), _LONGEST_PAUSE)


def _later(now: datetime, pause: timedelta) -> datetime:
    return now.astimezone(UTC) + pause
