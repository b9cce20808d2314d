"""The stop of an engine: `finally` runs, then its pod ends, within finallyTimeoutSeconds. Pure.

The same for an attempt that exceeded its deadline, one whose pod ended before `finally` did, and a
TrialEngine that is being removed. Without a live pod, one more attempt runs `finally` and nothing else; if no
activity has ever begun, nothing runs.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from lcm_operator.api import conditions, reasons
from lcm_operator.api.conditions import ConditionUpdate, with_condition
from lcm_operator.api.engine import Stop, TrialEngine, TrialEngineStatus
from lcm_operator.domain.actions import Act, Decision, DeletePod, LookUpEngine, WriteEngine, act, wait
from lcm_operator.domain.attempt_end import awaited_end, expected_end, has_ended, is_silent, noted_end
from lcm_operator.domain.checkpoint import FINALLY, released
from lcm_operator.domain.grant import give_grant, look_up_pod
from lcm_operator.domain.release import has_begun, unreleased, with_release
from lcm_operator.domain.snapshot import Absent, Pod, Settings, Snapshot, value_of
from lcm_operator.domain.verdict import is_over

_FIRST_PAUSE = timedelta(seconds=5)
_MARGIN = timedelta(seconds=10)
"""How much longer the operator waits than the engine, which must record the result of `finally`."""


def with_stop(
    engine: TrialEngine,
    status: TrialEngineStatus,
    mode: Literal["Cancel", "Deadline", "Release", "GiveUp"],
    now: datetime,
) -> TrialEngineStatus:
    """Return `status` with the request that the engine runs `finally` now; an outcome stays."""
    moment = now.astimezone(UTC)
    stop = Stop(mode=mode, request_time=moment)
    stopping = msgspec.structs.replace(status, stop=stop, next_attempt=None, phase="Stopping")
    if conditions.decided(status.conditions, reasons.SUCCEEDED) is not None:
        return with_release(engine, stopping, now)
    stopped = ConditionUpdate(reasons.SUCCEEDED, "Unknown", reasons.STOPPING, "the engine was asked to stop")
    current = with_condition(status.conditions, stopped, moment, engine.metadata.generation)
    return with_release(engine, msgspec.structs.replace(stopping, conditions=current), now)


def was_granted(engine: TrialEngine) -> bool:
    """Return whether any attempt was ever granted."""
    status = engine.status
    granted = any(attempt.start_time is not None for attempt in status.attempts)
    return status.pod_ref is not None or granted or has_begun(status)


def decide_ending(snapshot: Snapshot, engine: TrialEngine, stop: Stop, now: datetime) -> Decision | None:
    """Return the next step until `finally` has run or timed out and the pod has ended; None after that."""
    limit = stop.request_time + timedelta(seconds=engine.spec.engine.finally_timeout_seconds) + _MARGIN
    given_up = now >= limit or _namespace_goes(snapshot)
    idle = not has_begun(engine.status)
    released_all = not unreleased(engine, engine.status)
    over = is_over(engine, engine.spec.finally_) or released_all or given_up or idle
    if engine.status.pod_ref is None and not over:
        return no_later_than(give_grant(snapshot, engine, engine.status, now), limit)
    nothing_to_wait_for = given_up or idle or not engine.spec.finally_ or is_silent(snapshot, engine)
    ending = end_pod(snapshot, engine, now, ask=nothing_to_wait_for)
    if ending is not None:
        return ending if given_up else no_later_than(ending, limit)
    if read := read_last_checkpoint(snapshot):
        return read
    if over:
        return None
    again = _next_try(engine)
    if again is not None and now < again:
        return wait("another attempt at `finally` begins after a pause", min(again, limit))
    begin = act(WriteEngine(engine, released(engine, now)))
    return end_lingering(snapshot, engine, now, look=True) or begin


def _next_try(engine: TrialEngine) -> datetime | None:
    """Return when `finally` may be tried in one more pod: immediately, then with growing pauses."""
    tries = 0
    for attempt in reversed(engine.status.attempts):
        if attempt.reason != FINALLY:
            break
        tries += 1
    last = engine.status.attempts[-1].prepared_time if tries else None
    return None if last is None else last + _FIRST_PAUSE * (1 << min(tries - 1, 10))


def end_pod(snapshot: Snapshot, engine: TrialEngine, now: datetime, *, ask: bool = True) -> Decision | None:
    """Return the next step until the current attempt can no longer act; None once that is known.

    `ask`: delete its pod; otherwise wait for it to end.
    """
    granted = engine.status.pod_ref
    if granted is not None and granted.end_time is not None:
        return None
    if snapshot.pod is None:
        return look_up_pod(engine)
    pod = snapshot.pod.value
    if isinstance(pod, Pod) and ask and not pod.ended and not pod.deleting:
        return act(DeletePod(pod.name, pod.uid))
    never_acted = granted is None and pod.is_over
    if never_acted or (granted is not None and has_ended(snapshot, engine, now)):
        return None
    if isinstance(pod, Absent):
        return wait(awaited_end(snapshot, engine, now), expected_end(snapshot, engine, now))
    again = snapshot.pod.time + _pause_between_looks(pod, snapshot.settings, now)
    return wait("the pod is ending", again) if now < again else look_up_pod(engine)


def end_lingering(
    snapshot: Snapshot, engine: TrialEngine, now: datetime, *, look: bool = False
) -> Act | None:
    """Return the next step until the containers beside an ended engine end as well; None if there are none.

    The last checkpoint, the log and the end are recorded first: the deleted pod would show none of them.
    `look`: read an unknown pod, for the last time, because the next attempt is about to begin.
    """
    pod, granted = value_of(snapshot.pod), engine.status.pod_ref
    if look and pod is None and granted is not None:
        return look_up_pod(engine)
    if granted is None or not isinstance(pod, Pod) or not pod.lingers or pod.deleting:
        return None
    if (reading := read_last_checkpoint(snapshot)) is not None:
        return reading
    if granted.end_time is None:
        return act(WriteEngine(engine, noted_end(engine, now).status))
    return act(DeletePod(pod.name, pod.uid))


def _pause_between_looks(pod: Pod, settings: Settings, now: datetime) -> timedelta:
    """Return how often an ending pod is read: one on a lost node may take for ever."""
    lost = pod.killed_by is not None and now > pod.killed_by + settings.poll_ending_pod
    return settings.poll_lost_pod if lost else settings.poll_ending_pod


def read_last_checkpoint(snapshot: Snapshot) -> Act | None:
    """Return the read of a TrialEngine after the end of its pod; None if it was read since."""
    pod = value_of(snapshot.pod)
    if pod is None or not pod.is_over or snapshot.engine_read_after_end:
        return None
    return act(LookUpEngine())


def _namespace_goes(snapshot: Snapshot) -> bool:
    refusal = snapshot.refusal
    return refusal is not None and refusal.value.reason == reasons.NAMESPACE_TERMINATING


def no_later_than(decision: Decision, limit: datetime) -> Decision:
    """Return `decision`; if it waits, then no longer than until `limit`."""
    if isinstance(decision, Act) or (decision.wake_at is not None and decision.wake_at <= limit):
        return decision
    return replace(decision, wake_at=limit)
