"""How many Trials stand where: what a new leader looks at first, and what the gauges show. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lcm_operator.api import conditions, reasons
from lcm_operator.api.trial import Trial
from lcm_operator.domain.trial_status import outcome, start_time


@dataclass(frozen=True)
class Census:
    """One count. `phases`: Trials by what `kubectl get trials` shows; `due`: to be started by now."""

    phases: Counter[str]
    due: int


def count(trials: Iterable[Trial], now: datetime) -> Census:
    """Count Trials. Cheap: it is done at each scrape, in the loop that starts trials."""
    phases: Counter[str] = Counter()
    due = 0
    for trial in trials:
        phases[trial.status.phase or "Pending"] += 1
        due += is_due(trial, now)
    return Census(phases, due)


def is_due(trial: Trial, now: datetime) -> bool:
    """Return whether the start time has come, and the trial was neither started, missed nor cancelled."""
    if trial.status.started_time is not None or trial.spec.suspend:
        return False
    begin = start_time(trial)
    if begin is None or begin > now:
        return False
    refused = conditions.is_false(trial.status.conditions, reasons.ACCEPTED)
    return not refused and outcome(trial) is None
