"""A failed trial that nobody restores: after `giveUpAfterSeconds` it releases what it holds. Pure.

    Failed, Owed ──its time is over──> the Trial shows GivingUp ──> stop (GiveUp) ──> finally ──> Failed
         └────── restore ──────────────────────┘

The time counts from the stored outcome, so a restart of the operator changes nothing. The Trial shows the end
of the time before the engine is stopped: if a restore was requested on the Trial earlier, that write is
rejected by its resourceVersion, and the restore is carried out instead. The outcome stays as it is; a later
restore takes it back, as it does with any outcome.
"""

from datetime import UTC, datetime

import msgspec

from lcm_operator.api import reasons
from lcm_operator.api.engine import TrialEngine, TrialEngineStatus
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Act, Decision, RecordEvent, WriteEngine, act
from lcm_operator.domain.attempt_end import has_ended, noted_end
from lcm_operator.domain.checkpoint import ended, released
from lcm_operator.domain.mirror import mirror
from lcm_operator.domain.release import release_events, with_release
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.stop import decide_ending, with_stop


def begin_giving_up(trial: Trial, engine: TrialEngine, now: datetime) -> Act:
    """Return the write that lets `finally` of a failed engine run, in one more attempt if no pod lives."""
    status = with_stop(engine, engine.status, "GiveUp", now)
    if status.pod_ref is None:
        status = released(msgspec.structs.replace(engine, status=status), now)
    seconds = engine.spec.engine.give_up_after_seconds
    message = f"the trial was not restored within {seconds} s of its failure: `finally` runs now"
    return act(WriteEngine(engine, status), RecordEvent(trial, reasons.GIVING_UP, message, warning=True))


def decide_giving_up(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    """Return the next step until `finally` is over, and that is written and shown."""
    stop = engine.status.stop
    assert stop is not None  # noqa: S101 - who is not stopped is not given up
    ending = decide_ending(snapshot, engine, stop, now)
    if isinstance(ending, Act):
        return ending
    if ending is not None:
        return mirror(snapshot, trial, engine, now) or ending
    status = _given_up(noted_end(engine, now) if has_ended(snapshot, engine, now) else engine, now)
    return act(WriteEngine(engine, status), *release_events(trial, engine, status))


def _given_up(engine: TrialEngine, now: datetime) -> TrialEngineStatus:
    """Return the status after `finally`: the outcome of before, and what was released."""
    moment, status = now.astimezone(UTC), engine.status
    status = msgspec.structs.replace(
        status,
        phase="Failed",
        stop=msgspec.structs.replace(status.stop, completion_time=moment) if status.stop else None,
        attempts=ended(status.attempts, "Stopped", "`finally` is over", moment),
    )
    return with_release(engine, status, now)
