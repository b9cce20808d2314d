"""The closed union of the operator's actions. Decided in `domain`, executed in `controllers.apply`.

Each is safe to repeat: names are deterministic; writes and deletions carry the resourceVersion that they were
decided on. Only a pod is deleted by UID alone: its name identifies its attempt, and its status changes with
every report of its node.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from lcm_operator.api.engine import TrialEngine, TrialEngineSpec, TrialEngineStatus
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.trial import Trial, TrialStatus
from lcm_operator.domain.snapshot import Reference


class Urgency(IntEnum):
    """The order in which work is done."""

    START = 0
    """A step towards a start that is due now or within seconds."""
    FOLLOW = 1
    """The steps after a start: once the creates of that instant are sent, at most 1 s later."""
    RETRY = 2
    """A rejected start: retried until its deadline, but never at the cost of another start."""
    ROUTINE = 3
    """Everything else: held back while anything is due."""


@dataclass(frozen=True)
class DeleteTrial:
    """Delete a Trial whose ttlSecondsAfterFinished has passed.

    Not if it or its TrialEngine has changed since: it may have been restored.
    """

    trial: Trial


@dataclass(frozen=True)
class CreateEngine:
    """Create the TrialEngine of the trial that holds the ID."""

    manifest: dict[str, Any]


@dataclass(frozen=True)
class DeleteEngine:
    """Delete a TrialEngine. Not if it or its Trials have changed since."""

    engine: TrialEngine


@dataclass(frozen=True)
class CheckAdmission:
    """Check with a dry run whether the API server would admit the pod."""

    engine: TrialEngine
    manifest: dict[str, Any]


@dataclass(frozen=True)
class CreatePod:
    """Create the pod of an attempt; adopt an existing one that this TrialEngine controls."""

    engine: TrialEngine
    manifest: dict[str, Any]


@dataclass(frozen=True)
class CreateLease:
    """Create the Lease that a pod's engine renews; the garbage collector deletes it with the pod."""

    manifest: dict[str, Any]


@dataclass(frozen=True)
class DeletePod:
    """Read the end of a pod's log and delete the pod by UID; its processes get SIGTERM."""

    name: str
    uid: str


@dataclass(frozen=True)
class LookUpPod:
    """Read the pod of an attempt: whether it exists and has ended."""

    name: str


@dataclass(frozen=True)
class LookUpEngine:
    """Read the TrialEngine: the watch may lag behind. If its pod has ended, read the end of its log too."""


@dataclass(frozen=True)
class LookUpPlan:
    """Read a Trial and its TrialPlan as they are now, for a request; `purpose` identifies the request."""

    trial: Trial
    purpose: str


@dataclass(frozen=True)
class WatchReferences:
    """Read the unknown ones of the objects that an engine refers to, and decide again on changes."""

    trial: Trial
    objects: frozenset[Reference]


@dataclass(frozen=True)
class LatchTrial:
    """Write the start into the Trial's status: the decision that is never taken back."""

    trial: Trial
    status: TrialStatus


@dataclass(frozen=True)
class WriteTrial:
    """Write a Trial's status."""

    trial: Trial
    status: TrialStatus


@dataclass(frozen=True)
class GrantEngine:
    """Write `podRef` into the TrialEngine's status: that pod may act from then on."""

    engine: TrialEngine
    status: TrialEngineStatus


@dataclass(frozen=True)
class WriteEngine:
    """Write the operator's part of a TrialEngine's status."""

    engine: TrialEngine
    status: TrialEngineStatus


@dataclass(frozen=True)
class ReplaceSpec:
    """Replace the spec of a TrialEngine, while nothing is granted."""

    engine: TrialEngine
    spec: TrialEngineSpec


@dataclass(frozen=True)
class HoldEngine:
    """Add our finalizer to a TrialEngine that is about to act and has a `finally`."""

    engine: TrialEngine


@dataclass(frozen=True)
class UnholdEngine:
    """Remove our finalizer from a TrialEngine that owes nothing any more."""

    engine: TrialEngine


@dataclass(frozen=True)
class EndUnreadableEngine:
    """Release an unreadable TrialEngine that is being deleted, once none of its pods runs; record an Event.

    `end_pods`: delete the running ones.
    """

    metadata: Metadata
    end_pods: bool


@dataclass(frozen=True)
class AskRegistry:
    """Have the TrialRegistry of a trial asked at once: a decision depends on its answer."""

    trial: Trial


@dataclass(frozen=True)
class ReleaseImport:
    """Record the import or deletion of a Trial, then remove the finalizer of earlier versions."""

    trial: Trial


@dataclass(frozen=True)
class RecordEvent:
    """Record an Event after the write that it reports.

    `first`: record it before the actions that follow, because nothing else will report it.
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
    | WatchReferences
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
"""Trials, by name, that only wait for their ID, and until when."""


@dataclass(frozen=True)
class Act:
    """Do this now, in order. `wake_at`: when to decide again even if the actions are held back."""

    actions: tuple[Action, ...]
    urgency: Urgency = Urgency.ROUTINE
    wake_at: datetime | None = None
    wake_urgency: Urgency = Urgency.ROUTINE
    rests: Rests = field(default=(), compare=False)

    def about(self) -> set[str]:
        """Return the names of the Trials that the actions concern."""
        return {action.trial.metadata.name for action in self.actions if hasattr(action, "trial")}


@dataclass(frozen=True)
class Wait:
    """Do nothing until `wake_at` or the next change; None: until the next change."""

    reason: str
    wake_at: datetime | None = None
    wake_urgency: Urgency = Urgency.ROUTINE
    rests: Rests = field(default=(), compare=False)


Decision = Act | Wait
"""The decision about a slot. A rule that does not apply returns None: then the next one is tried."""


def act(*actions: Action, urgency: Urgency = Urgency.ROUTINE) -> Act:
    """Return the decision to act."""
    return Act(actions, urgency)


def wait(reason: str, until: datetime | None = None, urgency: Urgency = Urgency.ROUTINE) -> Wait:
    """Return the decision to wait until `until` or the next change."""
    return Wait(reason, until, urgency)
