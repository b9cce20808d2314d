"""decide(snapshot, now): what to do next about one trial ID. Pure; the entrance to everything in `domain`.

Called by the controllers whenever something of the slot has changed or its alarm rings. It returns the next
step only; after the step is done it is called again with what has become of it. So a crash between two steps
is nothing special: the next process decides from what stands in the API server.
"""

from datetime import datetime

from lcm_operator.api import reasons
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Decision, RecordEvent, WriteTrial, act, wait
from lcm_operator.domain.holding import holder
from lcm_operator.domain.lifecycle import decide_running
from lcm_operator.domain.removal import decide_removal
from lcm_operator.domain.scheduling import decide_start
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.trial_status import Set, trial_status


def decide(snapshot: Snapshot, now: datetime) -> Decision:
    """Return the next step for a slot, or why there is none and when to look again."""
    engine = snapshot.engine
    if engine is not None and engine.metadata.deletion_timestamp is not None:
        return decide_removal(snapshot, engine, now)
    chosen = holder(snapshot.trials, engine)
    for trial in snapshot.trials:
        if trial is not chosen and trial.metadata.deletion_timestamp is None:
            refused = _refuse(trial, chosen, now)
            if refused is not None:
                return refused
    if chosen is None:
        return wait("the TrialEngine goes with its Trial" if engine else "there is no trial")
    if chosen.metadata.deletion_timestamp is not None:
        return wait("the trial is being deleted")
    if chosen.status.started_time is not None:
        return decide_running(snapshot, chosen, now)
    return decide_start(snapshot, chosen, now)


def _refuse(trial: Trial, chosen: Trial | None, now: datetime) -> Decision | None:
    """Return the write that tells a Trial that another one holds its ID; None if it has been told."""
    other = f"Trial {chosen.metadata.name}" if chosen else "a Trial that is gone"
    why = f"trial ID {trial.trial_id!r} is held by {other}"
    status = trial_status(trial, now, Set(reasons.ACCEPTED, "False", reasons.DUPLICATE_TRIAL_ID, why))
    if status == trial.status:
        return None
    return act(WriteTrial(trial, status), RecordEvent(trial, reasons.DUPLICATE_TRIAL_ID, why, warning=True))
