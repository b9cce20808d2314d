"""The kind TrialEngine: the snapshot that one trial runs by (spec), and its checkpoint (status).

`activities`, `checkpoint`, `values` and `consumedSignals` are written by the engine, the rest by the operator
(and two lists by REST).
"""

from typing import Any, Literal

import msgspec
from msgspec.structs import force_setattr

from lcm_operator.api.bounds import bounded
from lcm_operator.api.conditions import Conditions
from lcm_operator.api.engine_settings import EngineSettings
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.plan import Activity, Plan, SecretKeyRef
from lcm_operator.api.storage import Moment, Record

State = Literal["Pending", "Running", "Succeeded", "Failed", "Skipped"]
CHECKPOINT_VERSION = 1
FINALLY_TOO_LATE = "finally was not done within"
"""How the message of an activity that the time-out of `finally` ended or prevented begins."""


class Parameter(Record, frozen=True, kw_only=True):
    """A resolved parameter: a value, or where the node finds it; never a Secret's value."""

    name: str
    value: str | None = None
    secret_key_ref: SecretKeyRef | None = None


class TrialEngineSpec(Plan, frozen=True, kw_only=True):
    """Everything that an engine needs: fixed at arming, replaced only by a restore with a repaired plan.

    `plan_generation` is that of the TrialPlan with `plan_uid`, or of the Trial if the plan is inline.
    """

    trial_id: str = msgspec.field(name="trialID")
    trial_uid: str = msgspec.field(name="trialUID")
    trial_generation: int
    plan_generation: int | None = None
    plan_uid: str | None = msgspec.field(name="planUID", default=None)
    start_time: Moment
    parameters: tuple[Parameter, ...] = ()
    engine: EngineSettings = msgspec.field(default_factory=EngineSettings)


class PodRef(Record, frozen=True, kw_only=True):
    """The grant: the pod of this UID may act, from `notBefore` on.

    `end_time`: when the operator saw that its container had ended; None while that was not seen.
    """

    name: str
    uid: str
    not_before: Moment
    end_time: Moment | None = None


class NextAttempt(Record, frozen=True, kw_only=True):
    """An automatic attempt: its reason and its earliest time."""

    reason: Literal["Automatic", "Disruption"]
    not_before: Moment


class ActivityStatus(Record, frozen=True, kw_only=True):
    """The state of one activity: the unit of the checkpoint.

    `run` begins at 1 and is part of the Idempotency-Key. `start_time` is when the run began; one that is
    Pending and has it was begun by an earlier attempt. `earlier_signals`: see `plan.signals`. A Pending
    activity of `finally` with `completion_time` has passed in an earlier attempt, and no attempt was granted
    since: everything that was taken is released.
    """

    name: str
    state: State
    run: int
    start_time: Moment | None = None
    earlier_signals: tuple[str, ...] = ()
    completion_time: Moment | None = None
    output: dict[str, Any] | None = None
    message: str = ""

    def __post_init__(self) -> None:
        if self.output:
            force_setattr(self, "output", bounded(self.output))

    @property
    def has_passed_before(self) -> bool:
        """Whether its last run has passed, and no attempt was granted since."""
        return self.state == "Pending" and self.completion_time is not None

    @property
    def was_begun(self) -> bool:
        """Whether its run has begun: a Pending or Skipped one may have begun earlier."""
        return self.start_time is not None or self.state not in ("Pending", "Skipped")

    @property
    def may_have_acted(self) -> bool:
        """Whether it may have acted, in this attempt or an earlier one."""
        return self.was_begun or self.state != "Pending" or self.run > 1

    @property
    def is_over(self) -> bool:
        """Whether its run has ended."""
        return self.state in ("Succeeded", "Skipped", "Failed")

    def is_passed(self, activity: Activity) -> bool:
        """Return whether the plan continues after `activity`, which may have failed with continueOnError."""
        return self.is_over and (self.state != "Failed" or activity.continue_on_error)


class CheckpointMark(Record, frozen=True, kw_only=True):
    """The identity of a checkpoint: `sequence` grows by one with each; `activity` was the last to change."""

    version: int
    sequence: int
    activity: str = ""
    saved_time: Moment


class Signal(Record, frozen=True, kw_only=True):
    """A received callback."""

    id: str
    name: str
    received_time: Moment


class ConsumedSignal(Record, frozen=True, kw_only=True):
    """A signal and the activity that consumed it."""

    id: str
    activity: str


class Handled(Record, frozen=True, kw_only=True):
    """The answer to a request by annotation: Done, Refused, Ignored or Merged."""

    id: str
    time: Moment
    result: Literal["Done", "Refused", "Ignored", "Merged"]
    message: str = ""


class TrialRequest(Handled, frozen=True, kw_only=True):
    """A handled request on the Trial; after a crash, the Trial's answer is repeated from here."""

    type: Literal["Restore", "Delete"]


class PendingRequest(Record, frozen=True, kw_only=True):
    """A request that was accepted and is not answered yet."""

    id: str
    on_trial: bool = False


class ResetCheckpoint(Record, frozen=True, kw_only=True):
    """The parts of the checkpoint that a restore has reset, as they were before."""

    activities: tuple[ActivityStatus, ...] = ()
    values: dict[str, str] = msgspec.field(default_factory=dict)
    consumed_signals: tuple[ConsumedSignal, ...] = ()


class PendingPlan(Record, frozen=True, kw_only=True):
    """The plan that the spec must have before the next grant, and its requests.

    `before` is put back if the plan cannot be used.
    """

    trial_generation: int
    plan_generation: int | None = None
    plan_uid: str | None = msgspec.field(name="planUID", default=None)
    requests: tuple[PendingRequest, ...] = ()
    before: ResetCheckpoint | None = None


class Attempt(Record, frozen=True, kw_only=True):
    """One entry of the lineage."""

    number: int
    reason: str
    from_activity: str = ""
    prepared_time: Moment | None = None
    """When the attempt was recorded: from then on its pod may be created. None for the first."""
    start_time: Moment | None = None
    completion_time: Moment | None = None
    outcome: str = ""
    message: str = ""
    log: str | None = None
    """The end of its pod's log; only the last attempts keep it."""


class Stop(Record, frozen=True, kw_only=True):
    """The operator's request that the engine runs `finally` now.

    Cancel: the TrialEngine is being removed. Deadline: activeDeadlineSeconds have passed. Release: the plan
    has completed, but the pod ended before `finally` did. GiveUp: the failed engine was not restored within
    giveUpAfterSeconds; its outcome stays, and `completion_time` is when `finally` was over.
    """

    mode: Literal["Cancel", "Deadline", "Release", "GiveUp"]
    request_time: Moment
    completion_time: Moment | None = None


class CallbackToken(Record, frozen=True, kw_only=True):
    """A token of a partner, as sha256 in hex."""

    hash: str
    expiration_time: Moment


class TrialEngineStatus(Record, frozen=True, kw_only=True):
    """`status` of a TrialEngine."""

    phase: str = ""
    attempt: int = 0
    pod_ref: PodRef | None = None
    plan_generation: int | None = None
    pending_plan: PendingPlan | None = None
    activities: tuple[ActivityStatus, ...] = ()
    checkpoint: CheckpointMark | None = None
    values: dict[str, str] = msgspec.field(default_factory=dict)
    signals: tuple[Signal, ...] = ()
    consumed_signals: tuple[ConsumedSignal, ...] = ()
    trial_requests: tuple[TrialRequest, ...] = ()
    callback_tokens: tuple[CallbackToken, ...] = ()
    stop: Stop | None = None
    next_attempt: NextAttempt | None = None
    attempts: tuple[Attempt, ...] = ()
    attempts_total: int = 0
    automatic_restores: int = 0
    last_handled_restore: Handled | None = None
    last_handled_delete: Handled | None = None
    conditions: Conditions = ()

    @property
    def is_giving_up(self) -> bool:
        """Whether `finally` of a failed engine is run, since nobody has restored it in time."""
        stop = self.stop
        return stop is not None and stop.mode == "GiveUp" and stop.completion_time is None

    def activity(self, name: str) -> ActivityStatus:
        """Return the state of an activity; one that was never saved is Pending."""
        found = next((activity for activity in self.activities if activity.name == name), None)
        return found or ActivityStatus(name=name, state="Pending", run=1)


class TrialEngine(Record, frozen=True, kw_only=True):
    """The kind TrialEngine."""

    metadata: Metadata
    spec: TrialEngineSpec
    status: TrialEngineStatus = msgspec.field(default_factory=TrialEngineStatus)
