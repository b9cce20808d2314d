"""The outcome of an attempt, by its checkpoint; the pod only shows that it is final. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lcm_operator.api import conditions, reasons
from lcm_operator.api.conditions import ConditionUpdate
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.plan import Activity
from lcm_operator.api.times import later
from lcm_operator.domain.attempt_end import is_silent
from lcm_operator.domain.snapshot import Absent, Snapshot, value_of

_LEAST_TIME = timedelta(seconds=120)
_LATEST = datetime.max.replace(tzinfo=UTC)
_LIFELESS = (reasons.ENGINE_NOT_READY, reasons.ENGINE_SILENT)


@dataclass(frozen=True)
class Verdict:
    """How an attempt ended."""

    succeeded: bool
    reason: str
    message: str


PLAN_COMPLETED = Verdict(succeeded=True, reason=reasons.COMPLETED, message="the plan has completed")


def grant_deadline(seconds: int) -> timedelta:
    """Return how long an attempt may take to its grant, and from there to its first renewal.

    `seconds`: startingDeadlineSeconds.
    """
    return max(timedelta(seconds=seconds), _LEAST_TIME)


def judge(snapshot: Snapshot, engine: TrialEngine) -> Verdict | None:
    """Return the outcome of the attempt by its checkpoint and its pod, or None while it may still act.

    The end of a pod counts only once the TrialEngine was read after it: the watch may not have delivered the
    last checkpoint yet.
    """
    if (failure := _failure(engine)) is not None:
        return failure
    if plan_is_complete(engine) and is_over(engine, engine.spec.finally_):
        return PLAN_COMPLETED
    pod = value_of(snapshot.pod)
    if pod is None or not snapshot.engine_read_after_end:
        return None
    last = pod.last
    if last is not None and last.ended:
        how = f"exit code {last.exit_code}" if last.exit_code is not None else "no exit code"
        detail = f": {last.message}" if last.message else ""
        return _ended(f"pod {pod.name} terminated before the plan completed ({how}){detail}")
    if isinstance(pod, Absent):
        return _ended(f"pod {pod.name} was deleted before the plan completed, and was not seen to end")
    return None


def _failure(engine: TrialEngine) -> Verdict | None:
    """Return the verdict on failed activities; if parallel branches failed, the first to fail counts."""
    states = [(engine.status.activity(each.name), each) for each in engine.spec.activities]
    failed = [state for state, each in states if state.is_over and not state.is_passed(each)]
    if not failed:
        return None
    first = min(failed, key=lambda state: state.completion_time or _LATEST)
    why = first.message.removeprefix(f"{first.name}: ")
    others = ", ".join(state.name for state in failed if state is not first)
    more = f"; failed as well: {others}" if others else ""
    message = f"activity {first.name} failed: {why}{more}"
    return Verdict(succeeded=False, reason=reasons.ACTIVITY_FAILED, message=message)


def judge_life(snapshot: Snapshot, engine: TrialEngine, deadline: int, now: datetime) -> Verdict | None:
    """Return the outcome of an attempt that does not renew its Lease; `deadline`: startingDeadlineSeconds."""
    granted, renewals = engine.status.pod_ref, value_of(snapshot.renewals)
    if granted is None or renewals is None or renewals.pod_uid != granted.uid:
        return None
    if not renewals.begun:
        limit = grant_deadline(deadline)
        if now <= granted.not_before + limit:
            return None
        seconds = limit.total_seconds()
        message = f"pod {granted.name} did not renew its Lease within {seconds:.0f} s of the grant"
        if words := pod_words(snapshot, engine):
            message = f"{message}: {words}"
        return Verdict(succeeded=False, reason=reasons.ENGINE_NOT_READY, message=message)
    if not is_silent(snapshot, engine):
        return None
    seconds = max(renewals.silent, renewals.unseen).total_seconds()
    message = f"pod {granted.name} has not renewed its Lease for {seconds:.0f} s"
    return Verdict(succeeded=False, reason=reasons.ENGINE_SILENT, message=message)


def pod_words(snapshot: Snapshot, engine: TrialEngine) -> str:
    """Return why the granted pod does not run; empty if it runs, or nothing is known to keep it from that."""
    granted, pending, saved = engine.status.pod_ref, snapshot.pending, engine.status.checkpoint
    if granted is None or pending is None or pending.uid != granted.uid or not pending.why:
        return ""
    if saved is not None and saved.saved_time >= granted.not_before:
        return ""  # its engine works: what is known of the pod is old
    return f"pod {granted.name} is not running: {pending.why}"


def plan_is_complete(engine: TrialEngine) -> bool:
    """Return whether every activity of the plan has passed."""
    return _passed(engine) == len(engine.spec.activities)


def is_over(engine: TrialEngine, plan: Iterable[Activity]) -> bool:
    """Return whether every activity of a list was tried, as `finally` and `onFailure` require."""
    return all(engine.status.activity(activity.name).is_over for activity in plan)


def unfinished(engine: TrialEngine, now: datetime) -> ConditionUpdate | None:
    """Return the condition Finished=False of an engine that may still act after its outcome; else None.

    Once nothing is left to act, only a request can make Finished False again.
    """
    acts, gives_up = still_acting(engine), give_up_time(engine)
    if gives_up is None or (acts is not None and now < gives_up):
        return acts
    if now < gives_up:
        moment = gives_up.astimezone(UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
        why = f"unless the trial is restored before {moment} UTC, `finally` runs then"
        return _not_finished(reasons.AWAITING_RESTORE, why)
    seconds = engine.spec.engine.give_up_after_seconds
    return _not_finished(reasons.GIVING_UP, f"the trial was not restored within {seconds} s of its failure")


def give_up_time(engine: TrialEngine) -> datetime | None:
    """Return when a failed engine that owes its `finally` runs it, if nobody restores it; None: never."""
    seconds, status = engine.spec.engine.give_up_after_seconds, engine.status
    failed = conditions.is_false(status.conditions, reasons.SUCCEEDED)
    owed = conditions.reason(status.conditions, reasons.RELEASED) == reasons.OWED
    if seconds is None or not failed or not owed or status.stop is not None:
        return None
    found = conditions.find(status.conditions, reasons.SUCCEEDED)
    return later(found.last_transition_time, timedelta(seconds=seconds)) if found else None


def still_acting(engine: TrialEngine) -> ConditionUpdate | None:
    """Return what of an engine that has its outcome still acts, or may begin again once that is known."""
    found = conditions.decided(engine.status.conditions, reasons.SUCCEEDED)
    if found is None or found.status == "True" or found.reason == reasons.CANCELLED:
        return None
    status, granted = engine.status, engine.status.pod_ref
    if status.stop is not None and status.stop.mode == "Cancel":
        return _not_finished(reasons.STOPPING, "the trial is being deleted")
    if status.is_giving_up:
        return _not_finished(reasons.GIVING_UP, "the trial was not restored in time: `finally` is run")
    if granted is None:
        return None
    if found.reason == reasons.ACTIVITY_FAILED and not is_over(engine, engine.spec.on_failure):
        return _not_finished(reasons.REPORTING, f"`onFailure` reports that {found.message}")
    if found.reason in _LIFELESS and granted.end_time is None:
        why = "if it turns out to have been taken away, the next attempt begins automatically"
        return _not_finished(reasons.ENDING, f"pod {granted.name} was not seen to end yet: {why}")
    return None


def _not_finished(reason: str, message: str) -> ConditionUpdate:
    return ConditionUpdate(reasons.FINISHED, "False", reason, message)


def may_still_matter(engine: TrialEngine) -> bool:
    """Return whether the end of the granted pod still matters: not after outcome and report."""
    if conditions.decided(engine.status.conditions, reasons.SUCCEEDED) is None:
        return True
    stop = engine.status.stop
    return (stop is not None and stop.completion_time is None) or still_acting(engine) is not None


def progress(engine: TrialEngine) -> str:
    """Return the number of activities passed and in total, as `3/5`."""
    return f"{_passed(engine)}/{len(engine.spec.activities)}"


def _passed(engine: TrialEngine) -> int:
    return sum(engine.status.activity(each.name).is_passed(each) for each in engine.spec.activities)


def _ended(message: str) -> Verdict:
    return Verdict(succeeded=False, reason=reasons.ENGINE_ENDED, message=message)
