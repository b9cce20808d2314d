"""Who may act: the pod whose UID is in status.podRef, from its notBefore on, while it is there.

Pure verdicts over a TrialEngine as read; `follower` waits by them, `checkpoint_store` checks them after each
conflict.

    no podRef ──> wait ──podRef is ours──> act ──podRef moved or taken off──> withdrawn
                                            └──status.stop, or being deleted──> stop: nothing but `finally`

One that is being deleted may still be granted: to the attempt that runs `finally`.
"""

from datetime import datetime

from msgspec import Struct

from lcm_operator.api.engine import PodRef, TrialEngine
from lcm_operator.plan.signals import FINISH, unconsumed


class Wait(Struct, frozen=True):
    """Nothing may be done yet; `seconds` until the time of the grant, None before it."""

    seconds: float | None


class Act(Struct, frozen=True):
    """This pod may act."""


class Withdrawn(Struct, frozen=True):
    """This pod may never act, or no more."""

    reason: str


Verdict = Wait | Act | Withdrawn


def before_grant(engine: TrialEngine, pod_uid: str, now: datetime) -> Verdict:
    """Return what a pod that was not granted yet may do."""
    granted = engine.status.pod_ref
    if granted is None:
        return Wait(None)
    if granted.uid != pod_uid:
        return Withdrawn(_moved(granted))
    seconds = (granted.not_before - now).total_seconds()
    return Wait(seconds) if seconds > 0 else Act()


def withdrawal(engine: TrialEngine, pod_uid: str) -> str | None:
    """Return why a pod that was granted may not even save any more, or None while it may."""
    granted = engine.status.pod_ref
    if granted is None:
        return "the grant was taken back for a restore"
    return _moved(granted) if granted.uid != pod_uid else None


def stop_reason(engine: TrialEngine) -> str | None:
    """Return why a pod that was granted should leave the plan and go to `finally`, or None while it need not.

    The deletion is seen here too, so that it works with the operator away.
    """
    if engine.status.stop is not None:
        return f"a stop was asked for ({engine.status.stop.mode})"
    return "the TrialEngine is being deleted" if engine.metadata.deletion_timestamp is not None else None


def must_finish(engine: TrialEngine) -> bool:
    """Return whether the signal `finish` has come, which jumps to the plan's `finishAt`."""
    return engine.spec.finish_at is not None and any(s.name == FINISH for s in unconsumed(engine.status))


def _moved(granted: PodRef) -> str:
    return f"the grant is that of pod {granted.name}"
