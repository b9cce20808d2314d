"""Start times that come from a registry: which one counts, and how a change of it is shown. Pure.

What was written to the Trial's status counts, or before that what the registry told this process, or what
was read when the Trial was made. So nothing is forgotten while the registry is away. A change goes into the
status before anything is done about it: an engine that was armed for the old time is then thrown away for a
reason that every process can see. Called by `domain.decide`, `domain.scheduling` and `domain.waiting`.
"""

from datetime import UTC, datetime

from lcm_operator.api import names, reasons
from lcm_operator.api.times import parse_start_time
from lcm_operator.api.trial import RegistryMove, Trial
from lcm_operator.domain.actions import Decision, RecordEvent, WriteTrial, act
from lcm_operator.domain.observation import value_of
from lcm_operator.domain.snapshot import Snapshot
from lcm_operator.domain.trial_status import has_outcome, outcome, start_time, trial_status

_KEPT_MOVES = 5


def begin_of(snapshot: Snapshot, trial: Trial) -> datetime | None:
    """Return the start time of a Trial that is not latched, in UTC; None while no registry told it."""
    known = start_time(trial)
    if known is not None or trial.spec.registry_ref is None:
        return known
    return value_of(snapshot.reported.get(trial.metadata.uid)) or _read_at_creation(trial)


def decide_move(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision | None:
    """Return the write that moves a trial to the time that the registry tells now; None if there is none.

    One that was missed is moved only ahead: then it is scheduled again.
    """
    told, before = value_of(snapshot.reported.get(trial.metadata.uid)), trial.status.start_time
    if told is None or before is None or told == before or trial.spec.registry_ref is None:
        return None
    if trial.status.started_time is not None or trial.metadata.deletion_timestamp is not None:
        return None
    if outcome(trial) is not None and not (has_outcome(trial, reasons.MISSED) and told > now):
        return None
    move = RegistryMove(from_=before, to=told, time=now.astimezone(UTC))
    kept = (*trial.status.registry_moves, move)[-_KEPT_MOVES:]
    why = f"the registry has moved the start from {_shown(before)} to {_shown(told)}"
    return act(
        WriteTrial(trial, trial_status(trial, now, start_time=told, registry_moves=kept)),
        RecordEvent(trial, reasons.MOVED, why),
    )


def _read_at_creation(trial: Trial) -> datetime | None:
    """Return the annotation of REST and import. People can write anything there: what is no time is none."""
    text = trial.metadata.annotations.get(names.ANNOTATION_REGISTRY_START_TIME, "")
    return parse_start_time(text)


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
