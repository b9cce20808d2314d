"""The one rule about the end of an attempt, after which the next may begin: by pod and Lease. Pure.

An attempt can no longer act, and so the next one may begin, if one of these is known:

- it was never granted: an engine acts only while it finds its pod's UID in `podRef`;
- its container was seen to end, by this process or an earlier one (`podRef.endTime`);
- its pod was removed before it was bound to a node;
- its Lease was not renewed, or was missing, for the time-out plus the plan's longest activity. The engine
  begins nothing when its last acknowledged renewal is older than half the time-out, and ends a program
  without a limit of its own when it is older than the time-out. A hanging engine does neither. So a pod that
  still exists must also be past its deletionTimestamp: a working node has killed it by then.

The absence of an object is no sign of an end: `kubectl delete --force` and the pod garbage collector remove
pods whose containers continue. Whatever begins an attempt asks here, and never looks at the pod alone.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.plan import Activity, Number
from lcm_operator.domain.snapshot import Absent, Pod, Renewals, Snapshot, value_of

_KILL_GRACE = timedelta(seconds=10)
"""The longest time an engine takes to end a program."""
_KILL_MARGIN = timedelta(seconds=10)
"""By how long after the grace period a working node has killed the pod."""
_LOOK_AGAIN = timedelta(seconds=2)


def has_ended(snapshot: Snapshot, engine: TrialEngine, now: datetime) -> bool:
    """Return whether the current attempt can no longer act."""
    granted = engine.status.pod_ref
    if granted is None or granted.end_time is not None or is_seen_to_end(snapshot):
        return True
    renewals = _renewals(snapshot, engine)
    return renewals is not None and renewals.silent > longest_silence(engine) and _is_killed(snapshot, now)


def _is_killed(snapshot: Snapshot, now: datetime) -> bool:
    """Return whether a working node would have killed the pod by now, or whether the pod no longer exists."""
    pod = value_of(snapshot.pod)
    if isinstance(pod, Pod):
        return pod.killed_by is not None and now > pod.killed_by + _KILL_MARGIN
    return pod is not None


def is_seen_to_end(snapshot: Snapshot) -> bool:
    """Return whether the pod's container was seen to end, or never ran."""
    pod = value_of(snapshot.pod)
    last = pod.last if pod is not None else None
    return last is not None and (last.ended or last.never_ran)


def with_end(snapshot: Snapshot, engine: TrialEngine, now: datetime) -> TrialEngine:
    """Return the TrialEngine with the end of its pod recorded, if it was seen: later it may be invisible."""
    return noted_end(engine, now) if is_seen_to_end(snapshot) else engine


def noted_end(engine: TrialEngine, now: datetime) -> TrialEngine:
    """Return the TrialEngine with the end of its pod recorded."""
    granted = engine.status.pod_ref
    if granted is None or granted.end_time is not None:
        return engine
    noted = msgspec.structs.replace(granted, end_time=now.astimezone(UTC))
    return msgspec.structs.replace(engine, status=msgspec.structs.replace(engine.status, pod_ref=noted))


def is_silent(snapshot: Snapshot, engine: TrialEngine) -> bool:
    """Return whether the granted pod has renewed its Lease, but not within its time-out.

    Enough to give the engine up, not enough to begin the next attempt: see `has_ended`.
    """
    renewals = _renewals(snapshot, engine)
    return (
        renewals is not None
        and renewals.begun
        and max(renewals.silent, renewals.unseen) > heartbeat_timeout(engine)
    )


def is_disrupted(snapshot: Snapshot) -> bool:
    """Return whether the pod was taken away: evicted, or absent without having been seen to end.

    Only for a pod that the operator did not delete.
    """
    pod = value_of(snapshot.pod)
    if isinstance(pod, Pod):
        return pod.disrupted
    return pod is not None and (pod.last is None or pod.last.disrupted or not pod.last.ended)


def awaited_end(snapshot: Snapshot, engine: TrialEngine, now: datetime) -> str:
    """Return the obstacle that the next attempt waits for; empty if there is none, or not for long."""
    pod = value_of(snapshot.pod)
    unseen = isinstance(pod, Absent) or (pod is not None and is_silent(snapshot, engine))
    if not unseen or has_ended(snapshot, engine, now) or engine.status.pod_ref is None:
        return ""
    name, seconds = engine.status.pod_ref.name, longest_silence(engine).total_seconds()
    how = "no longer exists and" if isinstance(pod, Absent) else "does not renew its Lease and"
    return (
        f"pod {name} {how} was not seen to end: the next attempt begins"
        f" once the pod has not renewed its Lease for {seconds:.0f} s{_awaited_kill(pod)}"
    )


def _awaited_kill(pod: Pod | Absent | None) -> str:
    if not isinstance(pod, Pod):
        return ""
    margin = _KILL_MARGIN.total_seconds()
    if pod.killed_by is None:
        return f" and its deletionTimestamp, which is not set yet, has passed by {margin:.0f} s"
    return f" and its deletionTimestamp ({pod.killed_by:%H:%M:%S} UTC) has passed by {margin:.0f} s"


def expected_end(snapshot: Snapshot, engine: TrialEngine, now: datetime) -> datetime:
    """Return when to check again whether an attempt has ended whose end cannot be seen."""
    renewals = _renewals(snapshot, engine)
    left = longest_silence(engine) - renewals.silent if renewals is not None else timedelta(0)
    return now + max(left, _LOOK_AGAIN)


def longest_silence(engine: TrialEngine) -> timedelta:
    """Return how long a silent engine may still act."""
    longest = max(map(_longest_act, engine.spec.all_activities), default=timedelta(0))
    return heartbeat_timeout(engine) + longest


def heartbeat_timeout(engine: TrialEngine) -> timedelta:
    """Return after how long a silent engine is given up."""
    return timedelta(seconds=engine.spec.engine.heartbeat_timeout_seconds)


def _longest_act(activity: Activity) -> timedelta:
    """Return how long an activity may act after the engine has lost contact to the API server.

    An engine ends an activity itself whose time-out is not a number here.
    """
    if activity.http is not None:
        limit: Number | None = activity.http.timeout_seconds
    elif activity.exec is not None:
        limit = activity.exec.timeout_seconds
    else:
        return timedelta(0)
    return timedelta(seconds=limit) if isinstance(limit, int | float) else _KILL_GRACE


def _renewals(snapshot: Snapshot, engine: TrialEngine) -> Renewals | None:
    """Return what is known of the granted pod's Lease."""
    granted, renewals = engine.status.pod_ref, value_of(snapshot.renewals)
    return (
        renewals if granted is not None and renewals is not None and renewals.pod_uid == granted.uid else None
    )
