"""Who holds a trial ID when several Trials of a namespace have the same. Pure."""

from datetime import UTC, datetime

from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.domain.trial_status import outcome, scheduled_again

Rank = tuple[bool, datetime, str]
_FAR_PAST = datetime.min.replace(tzinfo=UTC)


def holder(trials: tuple[Trial, ...], engine: TrialEngine | None) -> Trial | None:
    """Return the Trial that holds the ID: the one whose TrialEngine exists, whatever else is true of it.

    Without a TrialEngine: of those that have no outcome and are not being deleted the one that holds it
    already, else the oldest, of equally old ones the smallest UID. None if nobody does.
    """
    if engine is not None:
        owner = owner_of(engine)
        return next((trial for trial in trials if trial.metadata.uid == owner), None)
    ranked = [(found, trial) for trial in trials if (found := rank(trial)) is not None]
    return min(ranked, key=lambda each: each[0])[1] if ranked else None


def owner_of(engine: TrialEngine) -> str:
    """Return the UID of the Trial that a TrialEngine belongs to."""
    return engine.metadata.controller_uid or engine.spec.trial_uid


def rank(trial: Trial) -> Rank | None:
    """Return how far ahead a Trial is among those of its ID, the smallest first; None: it can't hold it."""
    if trial.metadata.deletion_timestamp is not None:
        return None
    if outcome(trial) is not None and not scheduled_again(trial):
        return None
    created = trial.metadata.creation_timestamp or _FAR_PAST
    return not _holds_already(trial), created, trial.metadata.uid


def _holds_already(trial: Trial) -> bool:
    return outcome(trial) is None and conditions.is_true(trial.status.conditions, reasons.ACCEPTED)


def is_ours(engine: TrialEngine) -> bool:
    """Return whether a Trial controls it, or did: `kubectl delete --cascade=orphan` takes the owner away."""
    metadata = engine.metadata
    if metadata.controller_uid is None:
        return metadata.labels.get(names.LABEL_TRIAL) == metadata.name and not metadata.owner_references
    return any(owner.controller and owner.kind == "Trial" for owner in metadata.owner_references)
