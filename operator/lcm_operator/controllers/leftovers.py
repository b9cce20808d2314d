"""Pods of deleted TrialEngines that were not seen to end: their engines may still act.

A new TrialEngine of the same trial ID waits for them. They are noted when their TrialEngine is deleted, or
found in the list of pods. They are over once they were seen to end, or have been missing for as long as an
engine without the API server may act. Kept over terms: that a pod was not seen to end stays true.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from lcm_operator.api.engine import TrialEngine
from lcm_operator.controllers.key import Key
from lcm_operator.domain.attempt_end import longest_silence
from lcm_operator.domain.snapshot import Leftover, Pod

_REMEMBERED = 1000
_UNKNOWN_SECONDS = 120.0
"""How long an engine of unknown settings may act after its pod was removed."""


@dataclass
class TrackedPod:
    """One pod. `seconds`: how long its engine may act after the pod was removed."""

    key: Key
    name: str
    owner: str
    seconds: float
    missing_since: float | None = None


class Leftovers:
    """All of them, by UID."""

    def __init__(self) -> None:
        self._pods: dict[str, TrackedPod] = {}
        self._never_granted: deque[str] = deque(maxlen=_REMEMBERED)
        """UIDs of TrialEngines that no longer exist and never had a grant: nothing of theirs acted."""
        self.listed_in: int | None = None
        """In which term all pods were listed last."""

    def __iter__(self) -> Iterator[tuple[str, TrackedPod]]:
        return iter(list(self._pods.items()))

    def __contains__(self, uid: str) -> bool:
        return uid in self._pods

    def leave(self, key: Key, engine: TrialEngine, last_pod: Pod | None) -> None:
        """Remember the granted pod of a deleted TrialEngine, unless its end is known."""
        granted = engine.status.pod_ref
        if granted is None and not engine.status.attempts:
            self._never_granted.append(engine.metadata.uid)
        if granted is None or granted.end_time is not None:
            return
        if last_pod is not None and last_pod.uid == granted.uid and (last_pod.ended or last_pod.never_ran):
            return
        seconds = longest_silence(engine).total_seconds()
        self._pods[granted.uid] = TrackedPod(key, granted.name, engine.metadata.uid, seconds)

    def see(self, key: Key, uid: str, name: str, owner: str) -> None:
        """Remember a pod that carries the label of a slot, and that has not ended."""
        if owner in self._never_granted:
            return
        self._pods.setdefault(uid, TrackedPod(key, name, owner, _UNKNOWN_SECONDS)).missing_since = None

    def miss(self, uid: str, now: float) -> bool:
        """Note that a pod no longer exists; return whether its engine can no longer act."""
        leftover = self._pods[uid]
        if leftover.missing_since is None:
            leftover.missing_since = now
        return now - leftover.missing_since > leftover.seconds

    def end(self, uid: str) -> Key | None:
        """Forget a pod whose engine can no longer act; return the key of its slot."""
        leftover = self._pods.pop(uid, None)
        return leftover.key if leftover is not None else None

    def of(self, key: Key, engine: TrialEngine | None) -> tuple[Leftover, ...]:
        """Return the pods that a new engine must wait for: those that `engine` doesn't control."""
        if not self._pods:
            return ()
        own = engine.metadata.uid if engine is not None else ""
        return tuple(
            Leftover(pod.name, pod.owner)
            for pod in self._pods.values()
            if pod.key == key and pod.owner != own
        )
