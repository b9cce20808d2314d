"""Who holds a trial ID when several Trials of a namespace have the same. Pure."""

from datetime import UTC, datetime

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import Trial

_FAR_PAST = datetime.min.replace(tzinfo=UTC)


def holder(trials: tuple[Trial, ...], engine: TrialEngine | None) -> Trial | None:
    """Return the Trial that holds the ID: the one whose TrialEngine exists, else the oldest.

    Of equally old ones the smallest UID. None if there is no Trial, or the TrialEngine is of none of them.
    """
    if engine is not None:
        return next((trial for trial in trials if trial.metadata.uid == engine.metadata.controller_uid), None)
    return min(
        trials,
        key=lambda trial: (trial.metadata.creation_timestamp or _FAR_PAST, trial.metadata.uid),
        default=None,
    )
