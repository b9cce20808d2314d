"""decide(snapshot, now) returns the next step for one trial ID. Pure; the entry point of `domain`.

After the step it is called again with the result. So a crash between two steps needs no special treatment:
the next process decides from the objects in the API server. A decision is an `Act` or a `Wait`, distinguished
by type only, never by content.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import (
    Act,
    Decision,
    DeleteEngine,
    RecordEvent,
    ReleaseImport,
    Urgency,
    Wait,
    WriteTrial,
    act,
    wait,
)
from lcm_operator.domain.attempt import decide_running
from lcm_operator.domain.log_tail import with_logs
from lcm_operator.domain.ownership import decide_waiting, holder
from lcm_operator.domain.registry_times import decide_move
from lcm_operator.domain.removal import (
    begin_removal,
    decide_removal,
    decide_unreadable_removal,
    is_being_removed,
)
from lcm_operator.domain.scheduling import decide_start
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.start_time import is_near, start_time_of


def decide(snapshot: Snapshot, now: datetime) -> Decision:
    """Return the next step for a slot, or why there is none and when to look again."""
    chosen = holder(snapshot.trials, snapshot.engine)
    going = snapshot.engine is not None and is_being_removed(snapshot.engine)
    unreadable = snapshot.unreadable_engine
    if unreadable is not None and (end := decide_unreadable_removal(snapshot, unreadable, now)):
        return end
    if snapshot.unreadable and not going and (snapshot.engine is None or chosen is None):
        return wait(f"this version cannot parse all objects of this trial: {snapshot.unreadable}")
    decisions, rests = list(_about_holder(snapshot, chosen, now)), []
    for trial in snapshot.trials:
        if trial is chosen:
            continue
        about = _about_other(snapshot, trial, chosen, now)
        decisions.append(about)
        if isinstance(about, Wait):
            rests.append((trial.metadata.name, about.wake_at))
    found = with_logs(snapshot, _first(decisions))
    return replace(found, rests=tuple(rests)) if rests else found


def _first(decisions: list[Decision]) -> Decision:
    """Return the first action, else the earliest wait."""
    first = next((decision for decision in decisions if isinstance(decision, Act)), None)
    if first is not None:
        return first
    waits = [decision for decision in decisions if decision.wake_at is not None]
    return min(waits, key=lambda decision: (decision.wake_at, decision.wake_urgency), default=decisions[0])


def _about_holder(snapshot: Snapshot, chosen: Trial | None, now: datetime) -> Iterator[Decision]:
    if chosen is not None and (moved := decide_move(snapshot, chosen, now)):
        yield _hurry(moved, chosen, _moved_to(moved), now, shown_only=False)
    start_time = start_time_of(chosen, snapshot.reported) if chosen is not None else None
    yield _hurry(_decide_holder(snapshot, chosen, now), chosen, start_time, now)
    if chosen is not None and names.FINALIZER_IMPORT in chosen.metadata.finalizers:
        yield act(ReleaseImport(chosen))


def _about_other(snapshot: Snapshot, trial: Trial, chosen: Trial | None, now: datetime) -> Decision:
    if moved := decide_move(snapshot, trial, now):
        return moved
    if names.FINALIZER_IMPORT in trial.metadata.finalizers:
        return act(ReleaseImport(trial))
    return decide_waiting(snapshot, trial, chosen, now)


def _hurry(
    decision: Decision,
    chosen: Trial | None,
    start_time: datetime | None,
    now: datetime,
    *,
    shown_only: bool | None = None,
) -> Decision:
    """Return `decision`, urgent if it is a step towards a start that is due within seconds.

    A mere status write is not, unless the trial has just become the holder of its ID, which that write makes
    true.
    """
    if isinstance(decision, Wait) or decision.urgency is not Urgency.ROUTINE:
        return decision
    if chosen is None or chosen.status.started_time is not None:
        return decision
    if start_time is None or not is_near(chosen, start_time, now):
        return decision
    if shown_only is None:
        has_its_id = not conditions.is_false(chosen.status.conditions, reasons.ACCEPTED)
        statuses = all(isinstance(action, WriteTrial | RecordEvent) for action in decision.actions)
        shown_only = has_its_id and statuses
    return decision if shown_only else replace(decision, urgency=Urgency.START)


def _moved_to(move: Act) -> datetime | None:
    return next((action.status.start_time for action in move.actions if isinstance(action, WriteTrial)), None)


def _decide_holder(snapshot: Snapshot, chosen: Trial | None, now: datetime) -> Decision:
    engine = snapshot.engine
    if engine is not None and is_being_removed(engine):
        return decide_removal(snapshot, engine, chosen, now)
    if chosen is None:
        if engine is not None and engine.metadata.controller_uid is None:  # kubectl delete --cascade=orphan
            return act(DeleteEngine(engine))
        return wait("the TrialEngine is deleted with its Trial" if engine else "no Trial holds the ID")
    if chosen.metadata.deletion_timestamp is not None:
        # The garbage collector waits for the Trial's end, which someone else's finalizer may delay for ever.
        return wait("the trial is being deleted") if engine is None else begin_removal(engine, chosen, now)
    if chosen.status.started_time is None:
        return decide_start(snapshot, chosen, now)
    return decide_running(snapshot, chosen, now)
