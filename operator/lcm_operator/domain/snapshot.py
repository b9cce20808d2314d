"""The input of a decision: one slot (all Trials of one trial ID, and their engine) as it was last seen.

Frozen, so that a decision can be repeated and tested. Whatever does not come from API objects (a reported
time, a rejected create, an admission check, the state of a pod or a Lease) is an observation, with its time
and its term of leadership. Nothing irreversible may rest on an observation that is older than its purpose
allows: it is made again first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.plan import TrialPlan
from lcm_operator.api.trial import Trial

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Observation(Generic[T_co]):
    """`value` as it was at `time` (UTC), seen in the leadership `term` of this process.

    `time` is when the observation began, if known: later changes may be missing from `value`.
    """

    value: T_co
    time: datetime
    term: int = 0

    def is_within(self, age: timedelta, now: datetime) -> bool:
        """Return whether the observation is at most `age` old at `now`."""
        return now - self.time <= age


def value_of(observation: Observation[T_co] | None) -> T_co | None:
    """Return the observed value, None without an observation."""
    return observation.value if observation is not None else None


@dataclass(frozen=True)
class Settings:
    """The settings of decisions; read once in the composition root."""

    engine_image: str = "lcm-operator"
    engine_variables: tuple[tuple[str, str], ...] = ()
    """Environment variables of engines, unless `spec.engine` sets them."""
    engine_template: dict[str, Any] = field(default_factory=dict)
    """The template of engine pods that those of plans and Trials are merged with."""
    engine_user_id: int | None = 65532
    """User and group of engine pods; None: the platform's."""
    arm_lead: timedelta = timedelta(seconds=60)
    retry_arming: timedelta = timedelta(seconds=10)
    fresh_enough: timedelta = timedelta(seconds=10)
    """Maximum age of a registry's answer at arming."""
    fresh_at_start: timedelta = timedelta(seconds=30)
    """Maximum age of a registry's answer at the start, and when a trial is missed."""
    ask_again_lead: timedelta = timedelta(seconds=20)
    """How long before the start a registry is asked again, if its answer would be too old by then."""
    registry_patience: timedelta = timedelta(seconds=5)
    """How long a trial waits for the answer of a registry."""
    retry_start: timedelta = timedelta(seconds=1)
    poll_ending_pod: timedelta = timedelta(seconds=1)
    poll_lost_pod: timedelta = timedelta(seconds=10)
    """How often a pod is read that still exists after its grace period."""


@dataclass(frozen=True)
class Pod:
    """The pod of the current attempt."""

    name: str
    uid: str
    created: datetime
    """When its create was acknowledged."""
    ended: bool = False
    """Its container `engine` was seen to have ended, or all containers; it is never started again."""
    lingers: bool = False
    """Its engine has ended, and other containers run: those that a mesh injects never end by themselves."""
    never_ran: bool = False
    """It was removed before it was bound to a node."""
    deleting: bool = False
    killed_by: datetime | None = None
    """The end of its grace period, if it is being deleted."""
    disrupted: bool = False
    """It was ended by a drain, a lost node or a preemption (condition DisruptionTarget)."""
    exit_code: int | None = None
    message: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come from it."""
        return self.ended

    @property
    def last(self) -> "Pod":
        """The pod as it was last seen."""
        return self


@dataclass(frozen=True)
class PendingPod:
    """Why the pod of this UID does not run yet, in the words of the scheduler, the kubelet or the node."""

    uid: str
    why: str


@dataclass(frozen=True)
class LogTail:
    """The end of the log of the pod of this UID; empty if it wrote nothing or its log could not be read."""

    pod_uid: str
    text: str = ""


@dataclass(frozen=True)
class Renewals:
    """The renewals of a pod's Lease; see `controllers.lease_monitor`."""

    pod_uid: str
    begun: bool = False
    """The pod has renewed its Lease."""
    silent: timedelta = timedelta(0)
    """For how long its Lease was certainly not renewed, or was missing."""
    unseen: timedelta = timedelta(0)
    """For how long no renewal by the engine was seen; at least `silent`."""
    missing: bool = False
    """The pod has no Lease to renew."""


@dataclass(frozen=True)
class Absent:
    """The pod was looked up and does not exist, which is no sign that its container has ended."""

    name: str
    last: Pod | None = None
    """The pod as it was last seen, if it was the granted one."""
    is_over: bool = field(default=True, init=False)


@dataclass(frozen=True)
class Leftover:
    """A pod that was not seen to end, of a TrialEngine that no longer exists."""

    name: str
    engine_uid: str


@dataclass(frozen=True)
class Problem:
    """Why a trial cannot be armed or started now; `reason` is one of api.reasons."""

    reason: str
    message: str
    retry_after: timedelta = field(default=timedelta(0), compare=False)
    """The API server's Retry-After."""


class Reference(NamedTuple):
    """An object that an engine refers to, in the trial's namespace."""

    kind: str
    name: str


Keys = frozenset[str]
"""The keys in the data of a Secret or ConfigMap; empty for other kinds."""


@dataclass(frozen=True)
class Admission:
    """The result of an admission check for a TrialEngine's pod; `problem` is None if it would be admitted."""

    engine_uid: str
    problem: Problem | None = None


@dataclass(frozen=True)
class RegistryLook:
    """The requests for one Trial's start time in this term."""

    answered: datetime | None = None
    """When the last answered request for the trial began, even if the registry does not list it."""
    failed: Observation[str] | None = None
    """Why the last request failed, if none has succeeded since."""
    wanted: datetime | None = None
    """When a request for this trial was last needed."""
    queued: Observation[int] | None = None
    """The request waits behind so many others."""
    sent: datetime | None = None
    """When the last request for the list was sent."""


@dataclass(frozen=True)
class Snapshot:
    """One slot. Observations are of this term, None until they are made."""

    name: str
    trials: tuple[Trial, ...] = ()
    engine: TrialEngine | None = None
    unreadable: str = ""
    """Why objects of the slot cannot be parsed."""
    unreadable_engine: Metadata | None = None
    """The metadata of a TrialEngine that cannot be parsed."""
    unreadable_runs: Observation[bool] | None = None
    """A pod of it was running."""
    stranger: bool = False
    """An object that is not ours has the name of the TrialEngine."""
    plan: TrialPlan | Problem | None = None
    """The TrialPlan that the holder uses; None if it uses none."""
    plan_faults: str = ""
    """The faults in the expressions and rules of the holder's plan, as `lcm plan check` reports them."""
    plan_read: Observation[str] | None = None
    """The purpose for which Trial and TrialPlan were read; see `actions.LookUpPlan`."""
    pod: Observation[Pod | Absent] | None = None
    leftovers: tuple[Leftover, ...] = ()
    """Pods, not seen to end, of earlier TrialEngines of this trial ID."""
    pods_listed: bool = True
    """The pods were listed in this term: `leftovers` includes those of an earlier process."""
    pending: PendingPod | None = None
    """A pod of the current attempt that does not run, and why."""
    log: Observation[LogTail] | None = None
    renewals: Observation[Renewals] | None = None
    admission: Observation[Admission] | None = None
    refusal: Observation[Problem] | None = None
    """Why the last create of a TrialEngine or pod was rejected."""
    reported: Mapping[str, Observation[datetime]] = field(default_factory=dict)
    """The last reported start times, by the UIDs of the Trials."""
    looks: Mapping[str, RegistryLook] = field(default_factory=dict)
    """The requests for start times, by the UIDs of the Trials."""
    references: Mapping[Reference, Observation[Keys | None]] = field(default_factory=dict)
    """The objects of the namespace that engines refer to; None: it does not exist."""
    watched: frozenset[Reference] = frozenset()
    """The objects whose changes lead to a new decision about this slot."""
    engine_gone: bool = False
    """A read has shown that the latched TrialEngine does not exist."""
    departed: TrialEngine | None = None
    """The deleted TrialEngine as this process last saw it."""
    engine_read_after_end: bool = False
    """The TrialEngine was read after its pod was seen to end."""
    settings: Settings = field(default_factory=Settings)
