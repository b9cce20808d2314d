"""Counters of what this process did, by the actions that succeeded.

Objects in the API server are counted by `census`, at the scrape, from the cache.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram

from lcm_operator.api import conditions, reasons
from lcm_operator.api.engine import Handled, TrialEngine, TrialEngineStatus
from lcm_operator.api.trial import Trial, TrialStatus
from lcm_operator.controllers.census import FAILED, label
from lcm_operator.domain.actions import Action, GrantEngine, LatchTrial, WriteEngine, WriteTrial
from lcm_operator.domain.checkpoint import AUTOMATIC, DISRUPTION, RESTORE, RESTORE_FROM, RESTORE_PLAN

RESTORES = (RESTORE, RESTORE_FROM, RESTORE_PLAN, AUTOMATIC, DISRUPTION)
_REQUESTS = ("restore", "delete")
_LAG_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60, 120, 600)


class Observer:
    """The counters of one process; they start at 0 with it, as Prometheus expects."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, ["namespace", *labels], registry=registry)

        def lag(name: str, text: str) -> Histogram:
            return Histogram(name, text, ["namespace"], buckets=_LAG_BUCKETS, registry=registry)

        self._start_lag = lag(
            "lcm_trial_start_lag_seconds", "From a trial's start time to the acknowledged create of its pod."
        )
        self._first_lag = lag(
            "lcm_trial_first_activity_lag_seconds",
            "From a trial's start time to the beginning of its first activity.",
        )
        self._grant_lag = lag(
            "lcm_trial_latch_to_grant_seconds",
            "From the recorded start of a trial to the acknowledged grant of its first attempt.",
        )
        self._missed = counter("lcm_trials_missed", "Trials that were not started in time.")
        self._failed = counter("lcm_trials_failed", "Trials that failed, by reason.", "reason")
        self._unreleased = counter(
            "lcm_trials_unreleased",
            "Trials that ended with releases (finally) that failed, timed out or were not run.",
        )
        self._restores = counter(
            "lcm_restores", "Attempts that began from a checkpoint, by their reason.", "reason"
        )
        self._refused = counter("lcm_requests_refused", "Requests by annotation that were refused.", "type")
        self._known: set[str] = set()

    def know(self, namespaces: Iterable[str]) -> None:
        """Begin the series of namespaces at 0: a first event that no 0 precedes would be no increase."""
        for namespace in set(namespaces) - self._known:
            self._known.add(namespace)
            for plain in (self._missed, self._unreleased):
                plain.labels(namespace)
            for lag in (self._start_lag, self._first_lag, self._grant_lag):
                lag.labels(namespace)
            for counter, values in (
                (self._failed, FAILED),
                (self._restores, RESTORES),
                (self._refused, _REQUESTS),
            ):
                for value in values:
                    counter.labels(namespace, value)

    def applied(self, action: Action, trial: Trial | None, now: datetime) -> None:
        """Note an action that the API server has acknowledged; `trial`: the one that holds the ID."""
        match action:
            case LatchTrial(trial=before, status=status):
                lag = timedelta(milliseconds=status.start_lag_milliseconds or 0)
                self._start_lag.labels(before.metadata.namespace).observe(lag.total_seconds())
                self._trial(before, status)
            case WriteTrial(trial=before, status=status):
                self._trial(before, status)
            case GrantEngine(engine=engine, status=status):
                self._granted(engine, status, trial, now)
                self._engine(engine, status)
            case WriteEngine(engine=engine, status=status):
                self._engine(engine, status)
            case _:
                pass

    def _trial(self, trial: Trial, status: TrialStatus) -> None:
        namespace, before = trial.metadata.namespace, trial.status
        if status.missed[-1:] != before.missed[-1:]:
            self._missed.labels(namespace).inc()
        first_lag = status.first_activity_lag_milliseconds
        if first_lag is not None and before.first_activity_lag_milliseconds is None:
            self._first_lag.labels(namespace).observe(first_lag / 1000)
        ended = conditions.find(status.conditions, reasons.SUCCEEDED)
        if ended is not None and ended.status == "False":
            known = conditions.is_false(before.conditions, reasons.SUCCEEDED)
            if not known and ended.reason not in (reasons.MISSED, reasons.CANCELLED):
                self._failed.labels(namespace, label(ended.reason, FAILED)).inc()
        self._answers(namespace, before, status)

    def _engine(self, engine: TrialEngine, status: TrialEngineStatus) -> None:
        namespace, before = engine.metadata.namespace, engine.status
        known = conditions.is_false(before.conditions, reasons.RELEASED)
        if conditions.is_false(status.conditions, reasons.RELEASED) and not known:
            self._unreleased.labels(namespace).inc()
        reason = status.attempts[-1].reason if status.attempts else ""
        if status.attempts_total > before.attempts_total and reason in RESTORES:
            self._restores.labels(namespace, reason).inc()
        self._answers(namespace, before, status)

    def _granted(
        self, engine: TrialEngine, status: TrialEngineStatus, trial: Trial | None, now: datetime
    ) -> None:
        started = trial.status.started_time if trial is not None else None
        if started is not None and status.attempt == 1:
            lag = max((now - started).total_seconds(), 0.0)
            self._grant_lag.labels(engine.metadata.namespace).observe(lag)

    def _answers(
        self, namespace: str, before: TrialStatus | TrialEngineStatus, after: TrialStatus | TrialEngineStatus
    ) -> None:
        """Count refusals. A Trial repeats the answers to its own requests only, so none is counted twice."""
        pairs: tuple[tuple[Handled | None, Handled | None], ...] = (
            (before.last_handled_restore, after.last_handled_restore),
            (before.last_handled_delete, after.last_handled_delete),
        )
        for kind, (old, new) in zip(_REQUESTS, pairs, strict=True):
            if new is not None and new != old and new.result == "Refused":
                self._refused.labels(namespace, kind).inc()
