"""What became of an attempt, judged by the checkpoint; the pod only says that no more will come. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lcm_operator.api import reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.plan import Activity
from lcm_operator.domain.observation import value_of
from lcm_operator.domain.snapshot import Absent, Pod, Snapshot

_LEAST_TIME_TO_BEGIN = timedelta(seconds=120)
_THROUGH = ("Succeeded", "Skipped")


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    succeeded: bool
    reason: str
    message: str


def judge(snapshot: Snapshot, engine: TrialEngine) -> Outcome | None:
    """Return the outcome of the attempt by its checkpoint and its pod, or None while it may still act.

    A pod that has ended counts only once the TrialEngine was read after that: the last checkpoint may be
    newer than what the watch has told so far.
    """
    for activity in engine.spec.activities:
        state = engine.status.activity(activity.name)
        if state.state == "Failed" and not activity.continue_on_error:
            why = state.message.removeprefix(f"{activity.name}: ")
            message = f"activity {activity.name} failed: {why}"
            return Outcome(succeeded=False, reason=reasons.ACTIVITY_FAILED, message=message)
    if plan_is_through(engine) and is_over(engine, engine.spec.finally_):
        message = "the plan has been worked through"
        return Outcome(succeeded=True, reason=reasons.COMPLETED, message=message)
    pod = value_of(snapshot.pod)
    if isinstance(pod, Absent) and snapshot.engine_read_after_end:
        return _ended(f"pod {pod.name} is gone")
    if isinstance(pod, Pod) and pod.ended and snapshot.engine_read_after_end:
        how = f"exit code {pod.exit_code}" if pod.exit_code is not None else "no exit code"
        detail = f": {pod.message}" if pod.message else ""
        return _ended(f"pod {pod.name} ended before the plan did ({how}){detail}")
    return None


def judge_life(snapshot: Snapshot, engine: TrialEngine, deadline: int, now: datetime) -> Outcome | None:
    """Return the outcome of an attempt that gives no sign of life; `deadline`: startingDeadlineSeconds."""
    granted, beat = engine.status.pod_ref, value_of(snapshot.beat)
    if granted is None or beat is None or beat.pod_uid != granted.uid:
        return None
    if not beat.begun:
        limit = max(timedelta(seconds=deadline), _LEAST_TIME_TO_BEGIN)
        if now <= granted.not_before + limit:
            return None
        message = f"pod {granted.name} gave no sign of life within {limit.total_seconds():.0f} s of the grant"
        return Outcome(succeeded=False, reason=reasons.ENGINE_NOT_READY, message=message)
    if not is_silent(snapshot, engine):
        return None
    message = f"pod {granted.name} has given no sign of life for {beat.silent.total_seconds():.0f} s"
    return Outcome(succeeded=False, reason=reasons.ENGINE_SILENT, message=message)


def is_silent(snapshot: Snapshot, engine: TrialEngine) -> bool:
    """Return whether the granted pod has begun to beat and has stopped for longer than its time-out."""
    granted, beat = engine.status.pod_ref, value_of(snapshot.beat)
    if granted is None or beat is None or beat.pod_uid != granted.uid:
        return False
    return beat.begun and beat.silent > heartbeat_timeout(engine)


def assumed_ended(snapshot: Snapshot, engine: TrialEngine) -> bool:
    """Return whether a pod that can't be seen to end has been silent for so long that nothing of it is left.

    That is its time-out, after which it begins nothing, plus the plan's longest request.
    """
    beat = value_of(snapshot.beat)
    if beat is None or not is_silent(snapshot, engine):
        return False
    plan = (*engine.spec.activities, *engine.spec.on_failure, *engine.spec.finally_)
    return beat.silent > heartbeat_timeout(engine) + max(map(_longest_act, plan), default=timedelta(0))


def _longest_act(activity: Activity) -> timedelta:
    """Return for how long an activity may act after the engine has lost sight of it."""
    if activity.http is not None:
        return timedelta(seconds=activity.http.timeout_seconds)
    if activity.exec is not None:
        limit = activity.exec.timeout_seconds
        return timedelta.max / 2 if limit is None else timedelta(seconds=limit)
    return timedelta(0)


def heartbeat_timeout(engine: TrialEngine) -> timedelta:
    """Return after how long a silent engine is given up."""
    return timedelta(seconds=engine.spec.engine.heartbeat_timeout_seconds)


def plan_is_through(engine: TrialEngine) -> bool:
    """Return whether every activity of the plan has passed."""
    return _passed(engine, engine.spec.activities) == len(engine.spec.activities)


def is_over(engine: TrialEngine, plan: Iterable[Activity]) -> bool:
    """Return whether every activity of `finally` or `onFailure` was tried: a failed one holds up nothing."""
    return all(engine.status.activity(activity.name).state in (*_THROUGH, "Failed") for activity in plan)


def progress(engine: TrialEngine) -> str:
    """Return how many activities are through, as `3/5`."""
    return f"{_passed(engine, engine.spec.activities)}/{len(engine.spec.activities)}"


def _passed(engine: TrialEngine, activities: Iterable[Activity]) -> int:
    return sum(is_passed(engine, activity) for activity in activities)


def is_passed(engine: TrialEngine, activity: Activity) -> bool:
    """Return whether the engine goes past an activity: past a failed one too, if the plan says so."""
    state = engine.status.activity(activity.name).state
    return state in _THROUGH or (state == "Failed" and activity.continue_on_error)


def _ended(message: str) -> Outcome:
    return Outcome(succeeded=False, reason=reasons.ENGINE_ENDED, message=message)
