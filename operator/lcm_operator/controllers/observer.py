"""Counters of what this process did, by the actions that succeeded.

Objects in the API server are counted by `metrics`, at the scrape, from the cache.
"""

from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram

from lcm_operator.api import conditions, reasons
from lcm_operator.domain.actions import Action, LatchTrial, WriteEngine, WriteTrial

_LAG_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60, 120, 600)


class Observer:
    """The counters of one process; they start at 0 with it, as Prometheus expects."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._start_lag = Histogram(
            "lcm_trial_start_lag_seconds",
            "From a trial's start time to the acknowledged create of its pod.",
            buckets=_LAG_BUCKETS,
            registry=registry,
        )
        self._missed = Counter(
            "lcm_trials_missed", "Trials that were not started in time.", registry=registry
        )
        self._unreleased = Counter(
            "lcm_trials_unreleased",
            "Trials that ended with releases (finally) that failed, timed out or were not run.",
            registry=registry,
        )

    def applied(self, action: Action) -> None:
        """Note an action that the API server has acknowledged."""
        match action:
            case LatchTrial(status=status):
                lag = timedelta(milliseconds=status.start_lag_milliseconds or 0)
                self._start_lag.observe(lag.total_seconds())
            case WriteTrial(trial=trial, status=status) if status.missed[-1:] != trial.status.missed[-1:]:
                self._missed.inc()
            case WriteEngine(engine=engine, status=status):
                before = conditions.is_false(engine.status.conditions, reasons.RELEASED)
                if conditions.is_false(status.conditions, reasons.RELEASED) and not before:
                    self._unreleased.inc()
            case _:
                pass
