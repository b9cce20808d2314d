"""The kind Trial: the request (spec) and its state (status, written by the operator only)."""

import msgspec

from lcm_operator.api.conditions import Conditions
from lcm_operator.api.engine import Handled
from lcm_operator.api.engine_settings import EngineOptions
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.names import DEFAULT_PLAN
from lcm_operator.api.plan import Plan
from lcm_operator.api.storage import Moment, Record


class NameRef(Record, frozen=True, kw_only=True):
    """A reference to an object of the same namespace."""

    name: str


class EngineRef(NameRef, frozen=True, kw_only=True):
    """The TrialEngine that this Trial was started with; written by the latch, never changed."""

    uid: str


class TrialSpec(Plan, frozen=True, kw_only=True):
    """`spec` of a Trial; the fields of Plan are its inline plan."""

    trial_id: str | None = msgspec.field(name="trialID", default=None)
    start_time: Moment | None = None
    registry_ref: NameRef | None = None
    starting_deadline_seconds: int = 120
    suspend: bool = False
    parameters: dict[str, str] = msgspec.field(default_factory=dict)
    plan_ref: NameRef | None = None
    engine: EngineOptions = EngineOptions()
    ttl_seconds_after_finished: int | None = None


class RegistryMove(Record, frozen=True, kw_only=True):
    """A start time that changed in the registry."""

    from_: Moment | None = msgspec.field(name="from", default=None)
    to: Moment
    time: Moment


class Missed(Record, frozen=True, kw_only=True):
    """A start that did not happen, and how late it would have been."""

    start_time: Moment
    missed_time: Moment
    late_milliseconds: int
    reason: str
    message: str = ""


class TrialStatus(Record, frozen=True, kw_only=True):
    """`status` of a Trial. `phase`, `ready`, `message` and `plan` are for people, never for decisions."""

    observed_generation: int = 0
    trial_id: str = msgspec.field(name="trialID", default="")
    phase: str = ""
    ready: str = ""
    message: str = ""
    plan: str = ""
    attempt: int | None = None
    start_time: Moment | None = None
    started_time: Moment | None = None
    start_lag_milliseconds: int | None = None
    first_activity_lag_milliseconds: int | None = None
    engine_ref: EngineRef | None = None
    plan_generation: int | None = None
    progress: str = ""
    registry_moves: tuple[RegistryMove, ...] = ()
    missed: tuple[Missed, ...] = ()
    last_handled_restore: Handled | None = None
    last_handled_delete: Handled | None = None
    conditions: Conditions = ()


class Trial(Record, frozen=True, kw_only=True):
    """The kind Trial."""

    metadata: Metadata
    spec: TrialSpec
    status: TrialStatus = msgspec.field(default_factory=TrialStatus)

    @property
    def trial_id(self) -> str:
        """The effective trial ID: the one given, else the object's name."""
        return self.spec.trial_id if self.spec.trial_id is not None else self.metadata.name

    @property
    def plan_name(self) -> str | None:
        """The name of the TrialPlan that it uses; None if its plan is inline."""
        if self.spec.activities:
            return None
        return self.spec.plan_ref.name if self.spec.plan_ref is not None else DEFAULT_PLAN
