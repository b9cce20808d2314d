"""The closed union of what the operator can do. Decided in `domain`, carried out in `controllers.apply`.

Each is safe to repeat: names are deterministic, writes and deletions carry the resourceVersion that they were
decided on. Only a pod is deleted by UID alone: its name says which attempt it is of, and its status changes
with every word of its node.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from lcm_operator.api.engine import TrialEngine, TrialEngineSpec, TrialEngineStatus
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.trial import Trial, TrialStatus


class Urgency(IntEnum):
    """In which order work is done when there is more than one thing to do."""

    START = 0
    """A step towards a start that is due now or within seconds."""
    FOLLOW = 1
    """What follows a start: as soon as that instant's creates are out, at most 1 s later."""
    RETRY = 2
    """A start that was refused before: tried until its deadline, but never at the cost of another start."""
    ROUTINE = 3
    """Nobody waits for it: held back while anything is due."""


@dataclass(frozen=True)
class DeleteTrial:
    """Delete one Trial, as it was seen: it has been kept for its time.

    Not if anything about it or its TrialEngine has changed unseen: it may have been restored.
    """

    trial: Trial


@dataclass(frozen=True)
class CreateEngine:
    """Create the TrialEngine of the trial that holds the ID."""

    manifest: dict[str, Any]


@dataclass(frozen=True)
class DeleteEngine:
    """Delete one TrialEngine, as it was seen. Not if anything about its Trials has changed unseen."""

    engine: TrialEngine


@dataclass(frozen=True)
class CheckAdmission:
    """Ask the API server, without a trace, whether the pod could be created now."""

    engine: TrialEngine
    manifest: dict[str, Any]


@dataclass(frozen=True)
class CreatePod:
    """Create the pod of an attempt; one that exists is adopted if this TrialEngine controls it."""

    engine: TrialEngine
    manifest: dict[str, Any]


@dataclass(frozen=True)
class CreateLease:
    """Create the Lease that the engine of a pod renews as its sign of life; it goes with the pod."""

    manifest: dict[str, Any]


@dataclass(frozen=True)
class DeletePod:
    """Delete a pod by UID; its processes get SIGTERM."""

    name: str
    uid: str


@dataclass(frozen=True)
class LookUpPod:
    """Read the pod of an attempt, to know whether it is there and has ended."""

    name: str


@dataclass(frozen=True)
class LookUpEngine:
    """Read the TrialEngine itself: what the watch showed may be older than what has just been seen."""


@dataclass(frozen=True)
class LookUpPlan:
    """Read a Trial and its TrialPlan: a request asks for them as they stand now. `purpose`: which request."""

    trial: Trial
    purpose: str


@dataclass(frozen=True)
class LatchTrial:
    """Write the start into the Trial's status: the decision that can't be taken back."""

    trial: Trial
    status: TrialStatus


@dataclass(frozen=True)
class WriteTrial:
    """Write a Trial's status."""

    trial: Trial
    status: TrialStatus


@dataclass(frozen=True)
class GrantEngine:
    """Write `podRef` into the TrialEngine's status: from now on that pod may act."""

    engine: TrialEngine
    status: TrialEngineStatus


@dataclass(frozen=True)
class WriteEngine:
    """Write the operator's part of a TrialEngine's status."""

    engine: TrialEngine
    status: TrialEngineStatus


@dataclass(frozen=True)
class ReplaceSpec:
    """Replace what a TrialEngine runs by, while nothing is granted."""

    engine: TrialEngine
    spec: TrialEngineSpec


@dataclass(frozen=True)
class HoldEngine:
    """Put our finalizer on a TrialEngine: it is about to act, and has a `finally` that may be owed then."""

    engine: TrialEngine


@dataclass(frozen=True)
class UnholdEngine:
    """Take our finalizer off a TrialEngine: nothing is owed any more."""

    engine: TrialEngine


@dataclass(frozen=True)
class EndUnreadableEngine:
    """Let a TrialEngine go that can't be read and is being deleted, once no pod of it runs.

    An Event says so. `end_pods`: those that run are deleted.
    """

    metadata: Metadata
    end_pods: bool


@dataclass(frozen=True)
class AskRegistry:
    """Have the TrialRegistry of a trial asked at once: something is about to rest on what it reports."""

    trial: Trial


@dataclass(frozen=True)
class ReleaseImport:
    """Note that a Trial was imported, or is being deleted, then take the earlier versions' finalizer off."""

    trial: Trial


@dataclass(frozen=True)
class RecordEvent:
    """Tell people, after the write that it is about.

    `first`: before it instead, and what follows waits until it is recorded: nothing else will tell of it.
    """

    regarding: Trial | TrialEngine
    reason: str
    message: str
    warning: bool = False
    first: bool = False


Action = (
    DeleteTrial
    | CreateEngine
    | DeleteEngine
    | CheckAdmission
    | CreatePod
    | CreateLease
    | DeletePod
    | LookUpPod
    | LookUpEngine
    | LookUpPlan
    | LatchTrial
    | WriteTrial
    | GrantEngine
    | WriteEngine
    | ReplaceSpec
    | HoldEngine
    | UnholdEngine
    | EndUnreadableEngine
    | AskRegistry
    | ReleaseImport
    | RecordEvent
)


Rests = tuple[tuple[str, datetime | None], ...]
"""Trials, by name, that only wait for their ID, and until when: nothing is to be done about them."""


@dataclass(frozen=True)
class Act:
    """Do this now, in order.

    `wake_at` is when to look again even if it is held back, as a status that nobody waits for may be.
    """

    actions: tuple[Action, ...]
    urgency: Urgency = Urgency.ROUTINE
    wake_at: datetime | None = None
    wake_urgency: Urgency = Urgency.ROUTINE
    rests: Rests = field(default=(), compare=False)

    def about(self) -> set[str]:
        """Return the names of the Trials that something is to be done about."""
        return {action.trial.metadata.name for action in self.actions if hasattr(action, "trial")}


@dataclass(frozen=True)
class Wait:
    """Do nothing until `wake_at`, or until something changes; None: only that can bring something to do."""

    reason: str
    wake_at: datetime | None = None
    wake_urgency: Urgency = Urgency.ROUTINE
    rests: Rests = field(default=(), compare=False)


Decision = Act | Wait
"""What to do about a slot. A rule that has nothing to say returns None: then the next one is asked."""


def act(*actions: Action, urgency: Urgency = Urgency.ROUTINE) -> Act:
    """Return the decision to do something."""
    return Act(actions, urgency)


def wait(reason: str, until: datetime | None = None, urgency: Urgency = Urgency.ROUTINE) -> Wait:
    """Return the decision to do nothing until `until`, or until something changes."""
    return Wait(reason, until, urgency)
