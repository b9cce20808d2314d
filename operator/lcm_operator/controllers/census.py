"""How many Trials are in which phase: what the gauges show. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from lcm_operator.api import conditions, reasons
from lcm_operator.api.trial import Trial
from lcm_operator.domain.status import outcome


@dataclass
class Census:
    """One count. `phases`: Trials by what `kubectl get trials` shows; `due`: to be started by now."""

    phases: Counter[str] = field(default_factory=Counter)
    due: int = 0

    def add(self, trial: Trial, start_time: datetime | None, now: datetime) -> None:
        """Count a Trial."""
        self.phases[trial.status.phase or "Pending"] += 1
        self.due += is_due(trial, start_time, now)


def is_due(trial: Trial, start_time: datetime | None, now: datetime) -> bool:
    """Return whether the start time has come, and the trial was neither started, missed nor cancelled."""
    if trial.status.started_time is not None or trial.spec.suspend:
        return False
    if start_time is None or start_time > now:
        return False
    refused = conditions.is_false(trial.status.conditions, reasons.ACCEPTED)
    return not refused and outcome(trial) is None
