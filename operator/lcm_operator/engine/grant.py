"""The grant: the pod whose UID is in status.podRef may act, from its notBefore on, while it is there. Pure.

    no podRef ──> wait ──podRef is ours──> act ──podRef changed or removed──> withdrawn
                                            └──status.stop, or being deleted──> stop: nothing but `finally`

A TrialEngine that is being deleted may still be granted: to the attempt that runs `finally`.
"""

from datetime import datetime

from lcm_operator.api.engine import TrialEngine, TrialEngineStatus
from lcm_operator.engine.outcome import Ending, EngineEndedError
from lcm_operator.plan.signals import FINISH, unconsumed


def seconds_to_grant(engine: TrialEngine, pod_uid: str, now: datetime) -> float | None:
    """Return the seconds until this pod may act (0 or less: now), or None while no pod is granted.

    Raises EngineEndedError if another pod is.
    """
    granted = engine.status.pod_ref
    if granted is None:
        return None
    if reason := withdrawal(engine, pod_uid):
        raise EngineEndedError(Ending.WITHDRAWN, reason)
    return (granted.not_before - now).total_seconds()


def attempt_at(status: TrialEngineStatus, time: datetime) -> int:
    """Return the number of the attempt that was granted at `time`, as the current attempt knows."""
    granted = [(attempt.number, attempt.start_time) for attempt in status.attempts]
    granted += [(status.attempt, status.pod_ref.not_before)] if status.pod_ref is not None else []
    return max((n for n, start in granted if start is not None and start <= time), default=status.attempt)


def withdrawal(engine: TrialEngine, pod_uid: str) -> str | None:
    """Return why a pod that was granted may not even save any more, or None while it may."""
    granted = engine.status.pod_ref
    if granted is None:
        return "the grant was withdrawn for a restore"
    return f"pod {granted.name} has the grant" if granted.uid != pod_uid else None


def stop_reason(engine: TrialEngine) -> str | None:
    """Return why a granted pod should leave the plan and run `finally`, or None if it should not.

    The deletion is seen here as well, so that it works without the operator.
    """
    if engine.status.stop is not None:
        return f"a stop was requested ({engine.status.stop.mode})"
    return "the TrialEngine is being deleted" if engine.metadata.deletion_timestamp is not None else None


def must_finish(engine: TrialEngine) -> bool:
    """Return whether the signal `finish` was received, which jumps to the plan's `finishAt`."""
    return engine.spec.finish_at is not None and any(s.name == FINISH for s in unconsumed(engine.status))
