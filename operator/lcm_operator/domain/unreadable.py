"""The end of a TrialEngine that this version can't read. Pure.

    deleted ── its engine sees that, runs `finally`, ends ──> no pod runs ──> finalizer off, an Event
                   └─ not within 10 min ──> pods deleted ─────────^

Nothing is known of it but its metadata: it must neither hang for ever nor be let go while a pod of it runs.
"""

from datetime import datetime, timedelta

from lcm_operator.api import names
from lcm_operator.api.metadata import Metadata
from lcm_operator.domain.actions import Decision, EndUnreadableEngine, act, wait
from lcm_operator.domain.snapshot import Snapshot

_FINALLY_TAKES = timedelta(minutes=10)
_LOOK_AGAIN = timedelta(seconds=5)


def decide_unreadable_removal(snapshot: Snapshot, engine: Metadata, now: datetime) -> Decision | None:
    """Decide about a TrialEngine that can't be read; None as long as it is not being deleted."""
    if engine.deletion_timestamp is None:
        return None
    if names.FINALIZER_ENGINE not in engine.finalizers:
        return wait("the TrialEngine goes")
    seen = snapshot.unreadable_runs
    if seen is not None and seen.is_within(_LOOK_AGAIN, now):
        return wait("a pod of a TrialEngine that can't be read runs", seen.time + _LOOK_AGAIN * 1.01)
    return act(EndUnreadableEngine(engine, end_pods=now >= engine.deletion_timestamp + _FINALLY_TAKES))
