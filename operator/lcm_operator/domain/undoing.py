"""What a restore takes back with the activities that it resets: signals that they took, values that they set.

Pure. Called by `domain.restoring`, for the one write that begins the next attempt.
"""

from collections.abc import Set as AbstractSet

import msgspec

from lcm_operator.api.engine import ConsumedSignal, Signal, TrialEngine, TrialEngineStatus
from lcm_operator.plan.signals import FINISH, counted_since, unconsumed


def undone(engine: TrialEngine, reset: AbstractSet[str], from_activity: str | None) -> TrialEngineStatus:
    """Return the engine's status without the effects of `reset`, the activities that begin again.

    `from_activity` is the first of them where a person has chosen it.
    """
    return msgspec.structs.replace(
        engine.status,
        consumed_signals=_still_consumed(engine, reset, from_activity),
        values=_values_left(engine, reset),
    )


def _still_consumed(
    engine: TrialEngine, reset: AbstractSet[str], from_activity: str | None
) -> tuple[ConsumedSignal, ...]:
    """Return what stays consumed: all but what the waits that begin again had taken.

    Not given back is what a wait counts since the start of an activity that begins again too: that causes a
    signal of its own. Nor a `finish`, which would skip what is to begin again, except to the very wait that
    the restore begins with. One that came after the jump, and that nothing has taken yet, is taken now; so is
    one that came after the engine was told to stop: it asked for an end that was under way already.
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
    """Return each `finish` that nothing has taken, and that must not jump in the next attempt."""
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
    """Return the values as they were before `reset`, as far as the plan tells.

    What an expression had set before, and one of `reset` has overwritten, is known no more: it is left out,
    so that whoever needs it fails rather than goes on with what belongs to later.
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
