"""Restores, step by step: the old attempt ends, one write begins the next; or one that was not granted yet.

    granted or over ──old pod has ended, last checkpoint read──> attempt + 1, answered in the same write
    not granted yet ──from an activity──> the checkpoint is reset, answered in the same write
           └──────────plain──> answered by the grant (Merged)

Attempts never overlap: the write that begins attempt n+1 is made only after the pod of attempt n has ended.
"""

from datetime import datetime

from lcm_operator.api import reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Decision, RecordEvent, Urgency, WriteEngine, act
from lcm_operator.domain.granting import attempt_of, give_grant
from lcm_operator.domain.mirroring import mirror
from lcm_operator.domain.outcome import Outcome
from lcm_operator.domain.requests import answer
from lcm_operator.domain.restore_requests import Restores, done, judged, refuse
from lcm_operator.domain.restoring import RESTORE, RESTORE_FROM, restored, rewound
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.stopping import end_pod, read_last_checkpoint


def decide_restore(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    """Return the next step of a restore that was asked for, of an attempt that was granted or is over."""
    restores = judged(trial, engine)
    if restores.refused:
        return refuse(trial, engine, restores.refused, now)
    reason = RESTORE_FROM if restores.from_activity else RESTORE
    return begin_again(snapshot, trial, engine, now, reason=reason, restores=restores)


def begin_again(
    snapshot: Snapshot,
    trial: Trial,
    engine: TrialEngine,
    now: datetime,
    *,
    reason: str,
    found: Outcome | None = None,
    restores: Restores | None = None,
) -> Decision:
    """Return the next step towards attempt n+1: the old pod's end, its last checkpoint, the write."""
    before = end_pod(snapshot, engine, now) or read_last_checkpoint(snapshot, engine)
    if before is not None:
        return before
    asked = restores or Restores()
    status = restored(engine, reason, now, found, asked.from_activity)
    begins = f"attempt {status.attempt} begins at {status.attempts[-1].from_activity or 'the end'}"
    status, events = done(trial, status, asked, begins, now)
    told = begins if found is None else f"{begins}: {found.message}"
    return act(WriteEngine(engine, status), RecordEvent(trial, reasons.RESTORED, told), *events)


def decide_grant(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    """Return the next step towards the grant; whoever restores, or waits in vain, is told first."""
    restores = judged(trial, engine)
    if restores.refused:
        return refuse(trial, engine, restores.refused, now)
    if restores.is_demanding and attempt_of(engine) > 1:
        return _rewind(trial, engine, restores, now)
    met = f"met by attempt {attempt_of(engine)}, which had not begun yet"
    status = answer(engine.status, restores.requests, "Merged", met, now)
    granting = give_grant(snapshot, engine, status, now)
    if attempt_of(engine) > 1 or not granting.actions:
        mirrored = mirror(snapshot, trial, engine, now)
        return act(*mirrored, urgency=Urgency.FOLLOW) if mirrored else granting
    return granting


def _rewind(trial: Trial, engine: TrialEngine, restores: Restores, now: datetime) -> Decision:
    """Return the write that lets an attempt which was not granted yet begin at an earlier activity."""
    chosen = restores.from_activity
    assert chosen is not None  # noqa: S101 - nothing else is demanding
    begins = f"attempt {attempt_of(engine)} begins at {chosen}"
    status, events = done(trial, rewound(engine, chosen), restores, begins, now)
    return act(WriteEngine(engine, status), RecordEvent(trial, reasons.RESTORED, begins), *events)
