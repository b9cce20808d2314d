"""One slot of the operator's cache: the objects of one trial ID, and observations about them.

An observation counts in the term in which it was made: a slot drops those of earlier terms when it is first
used in a new one.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.metadata import Metadata
from lcm_operator.controllers.members import Members
from lcm_operator.domain.grant import attempt_of
from lcm_operator.domain.snapshot import (
    Absent,
    Admission,
    LogTail,
    Observation,
    PendingPod,
    Pod,
    Problem,
    Renewals,
    value_of,
)

Identity = tuple[str, str, str]
"""Namespace, name and UID."""


class Thing(NamedTuple):
    """An object, whether it can be parsed or not."""

    kind: str
    identity: Identity


@dataclass
class Slot:
    """One trial ID: its objects as watched, and our own observations."""

    trials: Members = field(default_factory=Members)
    engine: TrialEngine | None = None
    unreadable: dict[Thing, str] = field(default_factory=dict)
    unreadable_engine: Metadata | None = None
    unreadable_runs: Observation[bool] | None = None
    stranger: str = ""
    """The UID of an object under our name that is not ours."""
    plan_read: Observation[str] | None = None
    pod: Observation[Pod | Absent] | None = None
    renewals: Observation[Renewals] | None = None
    admission: Observation[Admission] | None = None
    refusal: Observation[Problem] | None = None
    pending: PendingPod | None = None
    log: Observation[LogTail] | None = None
    engine_gone: bool = False
    departed: TrialEngine | None = None
    engine_read_after_end: bool = False
    last_pod: Pod | None = None
    """The last one that was seen, in any term: that a container has ended stays true."""
    term: int = 0
    """The term of the observations."""

    def begin_term(self, term: int) -> None:
        """Drop the observations of an earlier term."""
        self.term = term
        self.set_pod(None)
        self.admission = self.refusal = self.renewals = None
        self.pending = self.log = None
        self.unreadable_runs = self.plan_read = None
        self.engine_gone = False

    def set_pod(self, pod: Observation[Pod | Absent] | None) -> None:
        """Note an observation of the current attempt's pod."""
        if pod is not None and isinstance(pod.value, Pod):
            self.last_pod = pod.value
        if pod is None or not _same_end(value_of(self.pod), pod.value):
            self.engine_read_after_end = False
        self.pod = pod

    def note_lease_made(self, pod_uid: str) -> None:
        """Remember that a pod has a Lease: its engine may renew it, and has not done so by that."""
        renewals = value_of(self.renewals)
        if self.renewals is None or renewals is None or renewals.pod_uid != pod_uid:
            self.renewals = None
        else:
            self.renewals = replace(self.renewals, value=replace(renewals, missing=False))

    def current_pod(self) -> Observation[Pod | Absent] | None:
        """Return the pod if it is the current attempt's; another replica may have begun a new one."""
        pod, engine = value_of(self.pod), self.engine
        if pod is None or engine is None:
            return None
        if pod.name != names.pod_name(engine.metadata.name, attempt_of(engine)):
            return None
        granted, last = engine.status.pod_ref, self.last_pod
        if isinstance(pod, Pod):
            return self.pod if granted is None or pod.uid == granted.uid else None
        if self.pod is not None and granted is not None and last is not None and last.uid == granted.uid:
            return replace(self.pod, value=Absent(pod.name, last))
        return self.pod

    def pod_uids(self) -> set[str]:
        """Return the UIDs by which the pod of the current attempt is known."""
        pod = value_of(self.pod)
        granted = self.engine.status.pod_ref if self.engine is not None else None
        return {each.uid for each in (pod, granted) if each is not None and not isinstance(each, Absent)}

    def may_be_judged(self) -> bool:
        """Return whether a Trial was started with the TrialEngine and does not show its outcome."""
        uid = self.engine.metadata.uid if self.engine is not None else None
        return any(
            trial.status.engine_ref is not None
            and trial.status.engine_ref.uid == uid
            and not conditions.is_true(trial.status.conditions, reasons.SUCCEEDED)
            for trial in self.trials.values()
        )


def identity(metadata: Metadata) -> Identity:
    """Return the identity of an object."""
    return metadata.namespace, metadata.name, metadata.uid


def _same_end(old: Pod | Absent | None, new: Pod | Absent) -> bool:
    if isinstance(old, Pod) and isinstance(new, Pod):
        return old.uid == new.uid and old.ended == new.ended
    return isinstance(old, Absent) and isinstance(new, Absent) and old.name == new.name
