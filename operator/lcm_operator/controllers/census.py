"""The state of all trials in numbers, by namespace, as a scrape finds it in the cache.

It comes from what the API server keeps, so each replica shows the same, and a new leader or a restart loses
nothing: alerts rest on these numbers, not on counters.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lcm_operator.api import conditions, reasons
from lcm_operator.api.conditions import Condition
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.domain.attempt_end import heartbeat_timeout
from lcm_operator.domain.snapshot import Renewals
from lcm_operator.domain.status import outcome
from lcm_operator.domain.verdict import may_still_matter

RECENT = timedelta(minutes=15)
OTHER = "Other"
NOT_READY = (
    reasons.DUPLICATE_TRIAL_ID,
    reasons.TRIAL_ID_NOT_FREE,
    reasons.WAITING,
    reasons.PLAN_NOT_FOUND,
    reasons.PLAN_INVALID,
    reasons.PLAN_MALFORMED,
    reasons.PLAN_TOO_LARGE,
    reasons.PLAN_UNSUPPORTED,
    reasons.PARAMETERS_INVALID,
    reasons.TEMPLATE_REFUSED,
    reasons.SECRET_NOT_FOUND,
    reasons.CONFIG_MAP_NOT_FOUND,
    reasons.AWAITING_REGISTRY,
    reasons.REGISTRY_NOT_FOUND,
    reasons.NAME_TAKEN,
    reasons.ADMISSION_REFUSED,
    reasons.SERVICE_ACCOUNT_NOT_FOUND,
    reasons.ROLE_BINDING_NOT_FOUND,
    reasons.API_UNAVAILABLE,
    reasons.NAMESPACE_TERMINATING,
    reasons.POD_PENDING,
)
FAILED = (
    reasons.ACTIVITY_FAILED,
    reasons.ENGINE_ENDED,
    reasons.ENGINE_NOT_READY,
    reasons.ENGINE_NOT_GRANTED,
    reasons.ENGINE_SILENT,
    reasons.RESTORE_REFUSED,
    reasons.DEADLINE_EXCEEDED,
    reasons.ENGINE_LOST,
)


def label(reason: str, known: Iterable[str]) -> str:
    """Return a reason as the value of a label: anybody may write a status, and values must be bounded."""
    return reason if reason in known else OTHER


@dataclass
class Census:
    """The numbers of one namespace.

    `due`: Trials that should have been started by now. `next_not_ready`: the earliest start time of one that
    is not ready. `start_lag`: the longest of those that are due or started recently. `silence` and
    `silent_share`, a share of the time-out: since an engine was last seen to renew its Lease.
    """

    phases: Counter[str] = field(default_factory=Counter)
    due: int = 0
    not_ready: Counter[str] = field(default_factory=Counter)
    next_not_ready: datetime | None = None
    start_lag: timedelta = timedelta(0)
    missed: datetime | None = None
    failed: dict[str, datetime] = field(default_factory=dict)
    unreleased: datetime | None = None
    silence: timedelta = timedelta(0)
    silent_share: float = 0.0
    checkpoint_age: timedelta = timedelta(0)

    def add(self, trial: Trial, start_time: datetime | None, now: datetime) -> None:
        """Count a Trial."""
        self.phases[trial.status.phase or "Pending"] += 1
        found = {each.type: each for each in trial.status.conditions}
        ended = outcome(trial)
        if ended is not None:
            self._add_end(ended)
        elif not trial.spec.suspend:
            self._add_open(trial, found, start_time, now)
        released = found.get(reasons.RELEASED)
        if released is not None and released.status == "False":
            self.unreleased = _later(self.unreleased, released.last_transition_time)
        started, lag = trial.status.started_time, trial.status.start_lag_milliseconds
        if started is not None and lag is not None and now - started <= RECENT:
            self.start_lag = max(self.start_lag, timedelta(milliseconds=lag))

    def _add_end(self, ended: Condition) -> None:
        when = ended.last_transition_time
        if ended.status == "True" or ended.reason == reasons.CANCELLED:
            return
        if ended.reason == reasons.MISSED:
            self.missed = _later(self.missed, when)
        else:
            reason = label(ended.reason, FAILED)
            self.failed[reason] = _later(self.failed.get(reason), when)

    def _add_open(
        self, trial: Trial, found: dict[str, Condition], start_time: datetime | None, now: datetime
    ) -> None:
        started = trial.status.started_time is not None
        if (reason := _not_ready(found, started=started)) is not None:
            self.not_ready[label(reason, NOT_READY)] += 1
        if started or start_time is None:
            return
        if reason is not None:
            self.next_not_ready = min(self.next_not_ready or start_time, start_time)
        if start_time <= now and not conditions.is_false(found.values(), reasons.ACCEPTED):
            self.due += 1
            self.start_lag = max(self.start_lag, now - start_time)

    def add_engine(self, engine: TrialEngine, renewals: Renewals | None, now: datetime) -> None:
        """Count a TrialEngine; `renewals`: what this replica knows of its Lease, if it monitors it."""
        granted = engine.status.pod_ref
        if granted is None or granted.end_time is not None or not may_still_matter(engine):
            return
        saved = engine.status.checkpoint
        since = granted.not_before if saved is None else max(granted.not_before, saved.saved_time)
        self.checkpoint_age = max(self.checkpoint_age, now - since)
        if renewals is not None and renewals.pod_uid == granted.uid:
            self.silence = max(self.silence, renewals.unseen)
            self.silent_share = max(self.silent_share, renewals.unseen / heartbeat_timeout(engine))


def _not_ready(found: dict[str, Condition], *, started: bool) -> str | None:
    """Return why a trial could not start, or its pod does not run; None if nothing is known against it."""
    for kind in (reasons.ARMED,) if started else (reasons.ACCEPTED, reasons.ARMED):
        condition = found.get(kind)
        if condition is not None and condition.status == "False":
            return condition.reason
    open_ = found.get(reasons.SUCCEEDED)
    if started and open_ is not None and open_.reason in NOT_READY:
        return open_.reason
    return None


def _later(known: datetime | None, new: datetime) -> datetime:
    return new if known is None else max(known, new)
