"""How a new attempt changes the checkpoint, and the lineage of attempts. Pure.

Activities that begin again return the signals that they consumed and undo the values that they set.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

import msgspec

from lcm_operator.api import reasons
from lcm_operator.api.conditions import LONGEST_MESSAGE, ConditionUpdate, Status, with_condition
from lcm_operator.api.engine import (
    ActivityStatus,
    Attempt,
    ConsumedSignal,
    Signal,
    State,
    TrialEngine,
    TrialEngineSpec,
    TrialEngineStatus,
)
from lcm_operator.api.plan import Plan
from lcm_operator.domain.release import has_released, with_release
from lcm_operator.domain.requests import answer, pending_requests
from lcm_operator.domain.verdict import Verdict
from lcm_operator.plan.branches import following
from lcm_operator.plan.signals import FINISH, counted_since, unconsumed

START = "Start"
RESTORE = "Restore"
RESTORE_FROM = "RestoreFrom"
RESTORE_PLAN = "RestorePlan"
AUTOMATIC = "Automatic"
DISRUPTION = "Disruption"
FINALLY = "Finally"
_KEPT_ATTEMPTS = 20


def restored(
    engine: TrialEngine,
    reason: str,
    now: datetime,
    ending: Verdict | None,
    from_activity: str | None = None,
    spec: TrialEngineSpec | None = None,
) -> TrialEngineStatus:
    """Return the status with which the next attempt continues from the latest checkpoint.

    Activities that failed or were running are Pending again, with the same `run` and so the same
    Idempotency-Key; those with continueOnError stay Failed. With `from_activity`, it and all that wait for it
    are Pending again, but not parallel branches. Those of them that had succeeded get a new `run`, as does
    everything that ran in `onFailure` and `finally`. Their values and consumed signals are reverted.

    `spec`: the new plan of the next attempt, if any; activities that it lacks are reset as well.
    """
    old, new = engine.spec, spec or engine.spec
    reset = _from(new, from_activity) if from_activity is not None else frozenset()
    passed_by = frozenset(activity.name for activity in new.activities if activity.continue_on_error)
    beside = (*old.on_failure, *old.finally_, *new.on_failure, *new.finally_)
    repeated = frozenset(activity.name for activity in beside)
    released_by_it, moment = {activity.name for activity in old.finally_}, now.astimezone(UTC)

    def begin(activity: ActivityStatus) -> ActivityStatus:
        if activity.name in repeated:
            again = _pending(activity, new_run=activity.was_begun)
            passed = activity.name in released_by_it and has_released(activity)
            return msgspec.structs.replace(again, completion_time=moment) if passed else again
        if activity.name in reset:
            return _pending(activity, new_run=activity.state == "Succeeded")
        if activity.state in ("Succeeded", "Skipped"):
            return activity
        if activity.state == "Failed" and activity.name in passed_by:
            return activity
        return _pending(activity, new_run=False)

    return _next_attempt(engine, reason, now, ending, begin, from_activity=from_activity, spec=new)


def rewound(engine: TrialEngine, from_activity: str) -> TrialEngineStatus:
    """Return the status with which an attempt that is not granted yet begins at `from_activity`."""
    reset = _from(engine.spec, from_activity)
    activities = tuple(
        _pending(activity, new_run=activity.state == "Succeeded") if activity.name in reset else activity
        for activity in engine.status.activities
    )
    status = undone(engine, _taken_back(engine, activities), from_activity)
    entry = msgspec.structs.replace(status.attempts[-1], reason=RESTORE_FROM, from_activity=from_activity)
    return msgspec.structs.replace(status, activities=activities, attempts=(*status.attempts[:-1], entry))


def released(engine: TrialEngine, now: datetime) -> TrialEngineStatus:
    """Return the status with which one more attempt runs the rest of `finally`, and nothing else."""
    mine = frozenset(activity.name for activity in engine.spec.finally_)

    def begin(activity: ActivityStatus) -> ActivityStatus:
        in_flight = activity.name in mine and activity.state == "Running"
        return _pending(activity, new_run=False) if in_flight else activity

    return _next_attempt(engine, FINALLY, now, None, begin)


def granted_attempts(status: TrialEngineStatus, number: int, now: datetime) -> tuple[Attempt, ...]:
    """Return the lineage with the start of the current attempt, the first one included."""
    known = status.attempts or (Attempt(number=number, reason=START),)
    last = msgspec.structs.replace(known[-1], start_time=now, outcome="Running")
    return (*known[:-1], last)


def finished(engine: TrialEngine, outcome: Verdict, now: datetime) -> TrialEngineStatus:
    """Return the status with the outcome of the current attempt and the condition Released.

    Requests for a new plan that the attempt never began with are refused.
    """
    status = answer(engine.status, pending_requests(engine.status), "Refused", outcome.message, now)
    word, attempts = "Succeeded" if outcome.succeeded else "Failed", status.attempts
    shown: Status = "True" if outcome.succeeded else "False"
    if outcome.reason == reasons.CANCELLED:
        word = "Cancelled"
    elif not attempts:
        attempts = (Attempt(number=max(status.attempt, 1), reason=START),)  # never granted
    status = msgspec.structs.replace(
        status,
        phase=word,
        next_attempt=None,
        pending_plan=None,
        attempt=attempts[-1].number if attempts else status.attempt,
        attempts=ended(attempts, "Stopped" if word == "Cancelled" else word, outcome.message, now),
        attempts_total=max(status.attempts_total, len(attempts)),
        conditions=with_condition(
            engine.status.conditions,
            ConditionUpdate(reasons.SUCCEEDED, shown, outcome.reason, outcome.message),
            now,
            engine.metadata.generation,
        ),
    )
    return with_release(engine, status, now)


def reported(engine: TrialEngine, why: str, now: datetime) -> TrialEngineStatus:
    """Return the status with all open activities of `onFailure` closed, for the reason `why`."""

    def close(name: str) -> ActivityStatus:
        activity = engine.status.activity(name)
        if activity.state not in ("Pending", "Running"):
            return activity
        begun = activity.state == "Running"
        message = f"{name}: {'interrupted' if begun else 'not begun'}: {why}"[:LONGEST_MESSAGE]
        moment = now.astimezone(UTC) if begun else None
        state: State = "Failed" if begun else "Skipped"
        return msgspec.structs.replace(activity, state=state, completion_time=moment, message=message)

    closed = {activity.name: close(activity.name) for activity in engine.spec.on_failure}
    known = {activity.name: activity for activity in engine.status.activities}
    return msgspec.structs.replace(engine.status, activities=tuple((known | closed).values()))


def ended(attempts: tuple[Attempt, ...], word: str, message: str, now: datetime) -> tuple[Attempt, ...]:
    """Return the lineage with its last attempt ended."""
    if not attempts or attempts[-1].completion_time is not None:
        return attempts
    last = msgspec.structs.replace(
        attempts[-1], outcome=word, message=message[:LONGEST_MESSAGE], completion_time=now
    )
    return (*attempts[:-1], last)


def _next_attempt(
    engine: TrialEngine,
    reason: str,
    now: datetime,
    ending: Verdict | None,
    begin: Callable[[ActivityStatus], ActivityStatus],
    *,
    from_activity: str | None = None,
    spec: TrialEngineSpec | None = None,
) -> TrialEngineStatus:
    moment = now.astimezone(UTC)
    activities = tuple(begin(activity) for activity in engine.status.activities)
    status = undone(engine, _taken_back(engine, activities), from_activity)
    number = max(status.attempt, 1) + 1
    word, why = ("Failed", ending.message) if ending else ("Stopped", f"attempt {number} was requested")
    entry = Attempt(
        number=number,
        reason=reason,
        from_activity=_first_open(spec or engine.spec, activities, reason),
        prepared_time=moment,
    )
    shown = ConditionUpdate(
        reasons.SUCCEEDED,
        "Unknown",
        reasons.STOPPING if reason == FINALLY else reasons.RESTORING,
        f"attempt {number} begins from the checkpoint",
    )
    prepared = msgspec.structs.replace(
        status,
        attempt=number,
        pod_ref=None,
        next_attempt=None,
        activities=activities,
        attempts=(*ended(status.attempts, word, why, moment), entry)[-_KEPT_ATTEMPTS:],
        attempts_total=status.attempts_total + 1,
        automatic_restores=status.automatic_restores + (reason == AUTOMATIC),
        stop=status.stop if reason == FINALLY else None,
        phase="Stopping" if reason == FINALLY else "Pending",
    )
    if not prepared.is_giving_up:
        now_unknown = with_condition(status.conditions, shown, moment, engine.metadata.generation)
        prepared = msgspec.structs.replace(prepared, conditions=now_unknown)
    return with_release(engine, prepared, now)


def _from(plan: Plan, name: str) -> frozenset[str]:
    """Return the activity `name` and those that begin only after it has passed."""
    return frozenset((name, *(activity.name for activity in following(plan.activities, name))))


def _taken_back(engine: TrialEngine, activities: tuple[ActivityStatus, ...]) -> set[str]:
    """Return the names of the activities that are Pending again."""
    before = {activity.name: activity.state for activity in engine.status.activities}
    return {a.name for a in activities if a.state == "Pending" and before[a.name] != "Pending"}


def _first_open(spec: TrialEngineSpec, activities: tuple[ActivityStatus, ...], reason: str) -> str:
    plan = spec.finally_ if reason == FINALLY else spec.activities
    states = {activity.name: activity.state for activity in activities}
    return next(
        (a.name for a in plan if states.get(a.name, "Pending") in ("Pending", "Running")),
        "",
    )


def _pending(activity: ActivityStatus, *, new_run: bool) -> ActivityStatus:
    """Return an activity that begins again; the same run keeps its start time and earlier signals."""
    if new_run:
        return ActivityStatus(name=activity.name, state="Pending", run=activity.run + 1)
    return ActivityStatus(
        name=activity.name,
        state="Pending",
        run=activity.run,
        start_time=activity.start_time,
        earlier_signals=activity.earlier_signals,
    )


def undone(engine: TrialEngine, reset: AbstractSet[str], from_activity: str | None) -> TrialEngineStatus:
    """Return the engine's status without the effects of `reset`, the activities that begin again.

    `from_activity`: the first of them, if chosen by a request.
    """
    return msgspec.structs.replace(
        engine.status,
        consumed_signals=_still_consumed(engine, reset, from_activity),
        values=_values_left(engine, reset),
    )


def _still_consumed(
    engine: TrialEngine, reset: AbstractSet[str], from_activity: str | None
) -> tuple[ConsumedSignal, ...]:
    """Return the signals that stay consumed: all but those of the waits that begin again.

    A signal is not returned if the wait counts signals since an activity that begins again as well: that will
    cause another one. Nor is a `finish`, which would skip the reset activities, except to the very wait that
    the restore begins at. An unconsumed `finish` that arrived after the jump, or after the stop, is consumed
    now: it asked for an end that was already in progress.
    """
    status, plan = engine.status, engine.spec
    names = {signal.id: signal.name for signal in status.signals}
    given_back = {
        (activity.name, activity.wait.signal)
        for activity in engine.spec.all_activities
        if activity.name in reset
        and activity.wait is not None
        and counted_since(plan, status.activity, activity) not in reset
        and not (plan.finish_at and activity.wait.signal == FINISH and activity.name != from_activity)
    }
    consumed = [
        taken for taken in status.consumed_signals if (taken.activity, names.get(taken.id)) not in given_back
    ]
    if plan.finish_at is not None:
        known = {taken.id for taken in consumed}
        met = [signal.id for signal in _met_already(engine, reset) if signal.id not in known]
        consumed += [ConsumedSignal(id=each, activity=plan.finish_at) for each in met]
    return tuple(consumed)


def _met_already(engine: TrialEngine, reset: AbstractSet[str]) -> list[Signal]:
    """Return each unconsumed `finish` that must not cause a jump in the next attempt."""
    status, finish_at = engine.status, engine.spec.finish_at or ""
    jumped = finish_at in reset and status.activity(finish_at).state != "Pending"
    stop = status.stop
    return [
        signal
        for signal in unconsumed(status)
        if signal.name == FINISH
        and (jumped or (stop is not None and signal.received_time >= stop.request_time))
    ]


def _values_left(engine: TrialEngine, reset: AbstractSet[str]) -> dict[str, str]:
    """Return the values as they were before `reset`, as far as the plan shows.

    A value that an expression had set, and that `reset` has overwritten, is unknown: it is removed, so that
    its users fail rather than continue with a later value.
    """
    values = dict(engine.status.values)
    succeeded = [a for a in engine.spec.all_activities if engine.status.activity(a.name).state == "Succeeded"]
    lost = {key for activity in succeeded if activity.name in reset for key in activity.set}
    for key in lost & values.keys():
        earlier = [a.set[key] for a in succeeded if a.name not in reset and key in a.set]
        if earlier and "{{" not in earlier[-1]:
            values[key] = earlier[-1]
        else:
            del values[key]
    return values
