"""A namespace in memory, with the rules of our CRDs, and what people and the kubelet do in it."""

from typing import Any

from tests.harness.api_server import ApiServer, Json

from lcm_operator.api import names
from lcm_operator.kube.errors import RejectedError

_FIXED_AFTER_THE_START = ("startTime", "registryRef", "suspend")
_FIXED_IN_AN_ENGINE = ("trialID", "trialUID", "startTime")
_ENDED = ("Succeeded", "Failed")


def latch(plural: str, before: Json | None, after: Json) -> None:
    """Refuse what the CRDs refuse once a trial was started, an attempt granted."""
    if before is None or before.get("spec") == after.get("spec"):
        return
    old, new = before["spec"], after["spec"]
    changed = {key for key in old | new if old.get(key) != new.get(key)}
    status = before.get("status", {})
    if plural == "trials" and status.get("startedTime") and changed & {*_FIXED_AFTER_THE_START}:
        raise RejectedError(422, "Invalid", f"the trial has started: {sorted(changed)}")
    if plural == "trialengines" and ("podRef" in status or changed & {*_FIXED_IN_AN_ENGINE}):
        raise RejectedError(422, "Invalid", f"spec: Forbidden: {sorted(changed)}")


class Cluster(ApiServer):
    """All lies in one namespace. Nothing in it waits."""

    counts_deletion = False
    """Else the status of a Trial that is being deleted is written once more, for its generation alone."""

    def __init__(self) -> None:
        super().__init__(latch)
        self.ended_pods: list[Json] = []
        """What a watch on pods that have ended has shown so far."""
        self.forced: dict[str, str] = {}
        """UID and name of the pods that were removed by force."""
        for plural in ("serviceaccounts", "rolebindings"):
            self.put(plural, {"metadata": {"name": names.ENGINE_SERVICE_ACCOUNT}})

    def edit(self, plural: str, name: str, *, annotations: Json | None = None, **spec: Any) -> None:
        """Change an object as a person does. Raises RejectedError where the latch rule forbids it."""

        def change(raw: Json) -> Json:
            metadata = raw["metadata"]
            if annotations:
                metadata = metadata | {"annotations": metadata.get("annotations", {}) | annotations}
            return raw | {"metadata": metadata, "spec": raw.get("spec", {}) | spec}

        self.change(plural, name, change)

    def set_status(self, plural: str, name: str, **status: Any) -> None:
        """Change fields of the status as an engine or the node does, who write their own only."""
        stored = self.change(
            plural, name, lambda raw: raw | {"status": raw.get("status", {}) | status}, subresource="status"
        )
        if plural == "pods" and stored["status"].get("phase") in _ENDED:
            self.ended_pods.append(stored)

    def set_finalizers(self, plural: str, name: str, *finalizers: str) -> None:
        """Put these finalizers in the place of those that an object has."""
        self.merge_patch(plural, name, {"metadata": {"finalizers": list(finalizers)}})

    def remove_by_force(self, name: str) -> None:
        """Remove a pod as `kubectl delete --force` does: the object is removed, and its programs continue."""
        self.forced[uid_of(self.get("pods", name))] = name
        self.delete("pods", name, grace_period_seconds=0)

    def collect_garbage(self) -> bool:
        """Delete what belongs to an owner that is deleted; kopf takes its own finalizer off by itself."""
        for plural in ("trials", "trialengines", "trialregistries"):
            for raw in self.all(plural):
                kept = raw["metadata"].get("finalizers", [])
                if "deletionTimestamp" in raw["metadata"] and names.FINALIZER_TIMER in kept:
                    left = [each for each in kept if each != names.FINALIZER_TIMER]
                    self.set_finalizers(plural, raw["metadata"]["name"], *left)
                    return True
        return super().collect_garbage()


def uid_of(raw: Json) -> str:
    """Return the UID of an object."""
    uid: str = raw["metadata"]["uid"]
    return uid
