"""What a decision is made from: one slot, that is one trial ID of a namespace, as it was last seen.

Frozen, so that a decision can be repeated and tested. What is not in API objects is an observation: a value
with its age and its term. A registry's reported time, a refused create, an admission check, a look at a pod
or a Lease: each is true of the time and of the term of leadership in which it was made. Nothing irreversible
may rest on one that is older than its purpose allows: it is made again first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.plan import TrialPlan
from lcm_operator.api.trial import Trial

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Observation(Generic[T_co]):
    """`value` as it was at `time` (UTC), seen in the leadership `term` of this process.

    `time` is when the look began, where that is known: what happened after it may be missing from `value`.
    """

    value: T_co
    time: datetime
    term: int = 0

    def is_within(self, age: timedelta, now: datetime) -> bool:
        """Return whether the observation is at most `age` old at `now`."""
        return now - self.time <= age


def value_of(observation: Observation[T_co] | None) -> T_co | None:
    """Return what was observed, None if nobody looked."""
    return observation.value if observation is not None else None


@dataclass(frozen=True)
class Settings:
    """What the decisions depend on besides the snapshot; read once in the composition root."""

    engine_image: str = "lcm-operator"
    engine_variables: tuple[tuple[str, str], ...] = ()
    """What engines get in their environment, unless `spec.engine` says otherwise."""
    arm_lead: timedelta = timedelta(seconds=60)
    retry_arming: timedelta = timedelta(seconds=10)
    fresh_enough: timedelta = timedelta(seconds=10)
    """How old a registry's answer may be when a trial is armed by it."""
    fresh_at_start: timedelta = timedelta(seconds=30)
    """How old it may be when a trial is started or missed by it."""
    ask_again_lead: timedelta = timedelta(seconds=20)
    """How long before the start a registry is asked again whose answer would be too old by then."""
    registry_patience: timedelta = timedelta(seconds=5)
    """How long a trial waits for a registry that was asked."""
    retry_start: timedelta = timedelta(seconds=1)
    poll_ending_pod: timedelta = timedelta(seconds=1)
    poll_lost_pod: timedelta = timedelta(seconds=10)
    """How often a pod is looked at whose grace period is over and that is still there."""


@dataclass(frozen=True)
class Pod:
    """What we know of the pod of the current attempt."""

    name: str
    uid: str
    created: datetime
    """When its create was acknowledged."""
    ended: bool = False
    """It was seen that nothing of it runs any more."""
    never_ran: bool = False
    """It was removed before any node had it."""
    deleting: bool = False
    killed_by: datetime | None = None
    """When its grace period is over, if it is being deleted."""
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
class Renewals:
    """What we know of the signs of life of the pod of this UID."""

    pod_uid: str
    begun: bool = False
    """The pod has renewed its Lease."""
    silent: timedelta = timedelta(0)
    """For how long its Lease was certainly not renewed, or was missing; see `controllers.lease_monitor`."""
    unseen: timedelta = timedelta(0)
    """For how long no renewal by the engine was seen, whatever became of its Lease; at least `silent`."""
    missing: bool = False
    """There is no Lease that the pod could renew."""


@dataclass(frozen=True)
class Absent:
    """The pod was looked up and does not exist, which is no sign that its container has ended."""

    name: str
    last: Pod | None = None
    """The pod as it was last seen, if it was the granted one."""
    is_over: bool = field(default=True, init=False)


@dataclass(frozen=True)
class Leftover:
    """A pod of a TrialEngine that no longer exists; it was not seen to end."""

    name: str
    engine_uid: str


@dataclass(frozen=True)
class Problem:
    """Why a trial can't be armed or started as things are; `reason` is one of api.reasons."""

    reason: str
    message: str
    retry_after: timedelta = field(default=timedelta(0), compare=False)
    """For how long the API server wants not to be asked again."""


@dataclass(frozen=True)
class Admission:
    """What the API server said of the pod of one TrialEngine; `problem` is None if it would be admitted."""

    engine_uid: str
    problem: Problem | None = None


@dataclass(frozen=True)
class RegistryLook:
    """What came of asking for one Trial's start time, in this term."""

    answered: datetime | None = None
    """When the last request was begun that said something of the trial, be it that the registry lacks it."""
    failed: Observation[str] | None = None
    """Why the last request failed, if none has succeeded since."""
    wanted: datetime | None = None
    """When the registry was last to be asked for this trial."""
    queued: Observation[int] | None = None
    """That the request waits for its turn: so many other requests are under way."""
    sent: datetime | None = None
    """When the last request for the list went out."""


@dataclass(frozen=True)
class Snapshot:
    """One slot. What is not in API objects is an observation of this term, None until somebody looked."""

    name: str
    trials: tuple[Trial, ...] = ()
    engine: TrialEngine | None = None
    unreadable: str = ""
    """What of the slot this version can't parse."""
    unreadable_engine: Metadata | None = None
    """The metadata of a TrialEngine that can't be parsed."""
    unreadable_runs: Observation[bool] | None = None
    """That a pod of it was running."""
    stranger: bool = False
    """The name of the TrialEngine is taken by an object that is not ours."""
    plan: TrialPlan | Problem | None = None
    """The TrialPlan that the holder uses; None if it uses none."""
    plan_read: Observation[str] | None = None
    """For which purpose Trial and TrialPlan were read; see `actions.LookUpPlan`."""
    pod: Observation[Pod | Absent] | None = None
    leftovers: tuple[Leftover, ...] = ()
    """Pods of earlier TrialEngines of the trial ID that were not seen to end."""
    pods_listed: bool = True
    """The pods were listed in this term: `leftovers` has those that an earlier process has left, too."""
    renewals: Observation[Renewals] | None = None
    admission: Observation[Admission] | None = None
    refusal: Observation[Problem] | None = None
    """Why the last create of a TrialEngine or pod was refused."""
    reported: Mapping[str, Observation[datetime]] = field(default_factory=dict)
    """The start times, by the UIDs of the Trials, that registries reported last."""
    looks: Mapping[str, RegistryLook] = field(default_factory=dict)
    """By the UIDs of the Trials, what came of asking for their start times."""
    engine_gone: bool = False
    """The API server itself said that the TrialEngine that was latched is not there."""
    departed: TrialEngine | None = None
    """The TrialEngine as it was seen last before it went, if this process has seen it."""
    engine_read_after_end: bool = False
    """The TrialEngine was read after its pod was seen to have ended."""
    settings: Settings = field(default_factory=Settings)
