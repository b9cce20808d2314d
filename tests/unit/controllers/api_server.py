"""An API server in memory: just so much of its rules as exactly-once depends on.

Resource versions and UIDs as preconditions, names that are taken, finalizers, the status subresource, the
latch rule of the CRD, graceful deletion of pods, the garbage collector. Nothing in it waits.
"""

import itertools
from typing import Any

from tests.unit.domain.builders import T

from lcm_operator.api import names
from lcm_operator.api.storage import rfc3339
from lcm_operator.kube.errors import AlreadyExists, Conflict, NotFound, Refused

Raw = dict[str, Any]
Place = tuple[str, str]
"""Plural and name: all lies in one namespace."""


class ApiServer:
    """The objects by place. A version is never changed once it stands there: a write puts a new one."""

    def __init__(self) -> None:
        self._objects: dict[Place, Raw] = {}
        self._numbers = itertools.count(1)
        self.version = 0
        self.ended_pods: list[Raw] = []
        """What a watch on pods that have ended has shown so far."""
        self.forced: dict[str, str] = {}
        """UID and name of the pods that were removed by force."""

    def all(self, plural: str) -> list[Raw]:
        return [raw for (kind, _), raw in self._objects.items() if kind == plural]

    def find(self, plural: str, name: str) -> Raw | None:
        return self._objects.get((plural, name))

    def get(self, plural: str, name: str) -> Raw:
        found = self.find(plural, name)
        if found is None:
            raise NotFound(404, "NotFound", f"{plural} {name}")
        return found

    def create(self, plural: str, body: Raw, *, dry_run: bool = False) -> Raw:
        made = body | {"metadata": dict(body["metadata"])}
        place = plural, made["metadata"]["name"]
        if place in self._objects:
            raise AlreadyExists(409, "AlreadyExists", f"{plural} {place[1]}")
        made["metadata"] |= {
            "namespace": "lab",
            "uid": f"{plural}-{next(self._numbers)}",
            "generation": 1,
            "creationTimestamp": rfc3339(T),
        }
        if plural == "pods":
            made["spec"] = made.get("spec", {}) | {"nodeName": "local"}
        if not dry_run:
            self._store(place, made)
        return made

    def patch_status(self, plural: str, name: str, operations: list[Raw]) -> Raw:
        """Apply a JSON patch to `status`; the resourceVersion that it replaces is its precondition."""
        raw = self._copy(plural, name)
        for operation in operations:
            path, value = operation["path"].split("/")[1:], operation.get("value")
            if path == ["metadata", "resourceVersion"]:
                self._expect(raw, {"resourceVersion": value})
            elif operation["op"] == "remove":
                del raw["status"][path[1]]
            elif path == ["status"]:
                raw["status"] = value
            else:
                raw["status"][path[1]] = value
        return self._store((plural, name), raw)

    def replace_spec(self, plural: str, name: str, operations: list[Raw]) -> Raw:
        """Apply a JSON patch that replaces the spec of a TrialEngine, as its CRD allows it."""
        raw = self._copy(plural, name)
        (version, spec) = operations
        self._expect(raw, {"resourceVersion": version["value"]})
        if "podRef" in raw["status"]:
            raise Refused(422, "Invalid", "spec: Forbidden: an attempt is granted")
        for field in ("trialID", "trialUID", "startTime"):
            if spec["value"][field] != raw["spec"][field]:
                raise Refused(422, "Invalid", f"spec: Forbidden: {field}")
        if raw["spec"] != spec["value"]:
            raw["spec"] = spec["value"]
            raw["metadata"]["generation"] += 1
        return self._store((plural, name), raw)

    def patch_finalizers(self, plural: str, name: str, metadata: Raw) -> Raw:
        """Apply a merge patch that sets finalizers; the object goes with the last one if it is to go."""
        raw = self._copy(plural, name)
        self._expect(raw, metadata)
        raw["metadata"]["finalizers"] = metadata["finalizers"]
        return self._store((plural, name), raw)

    def edit(self, plural: str, name: str, *, annotations: Raw | None = None, **spec: Any) -> None:
        """Change an object as a person does. Raises Refused where the latch rule forbids it."""
        raw = self._copy(plural, name)
        if plural == "trials" and raw.get("status", {}).get("startedTime"):
            frozen = {"startTime", "registryRef", "suspend"} & spec.keys()
            if frozen:
                raise Refused(422, "Invalid", f"the trial has started: {frozen}")
        if spec:
            raw["spec"] |= spec
            raw["metadata"]["generation"] += 1
        if annotations:
            raw["metadata"]["annotations"] = raw["metadata"].get("annotations", {}) | annotations
        self._store((plural, name), raw)

    def set_status(self, plural: str, name: str, **status: Any) -> None:
        """Change the status as an engine or the node does, who write their own fields only."""
        raw = self._copy(plural, name)
        raw["status"] = raw.get("status", {}) | status
        stored = self._store((plural, name), raw)
        if plural == "pods" and stored["status"].get("phase") in ("Succeeded", "Failed"):
            self.ended_pods.append(stored)

    def delete(
        self, plural: str, name: str, uid: str | None = None, resource_version: str | None = None
    ) -> Raw:
        """Delete an object and return it: at once, or marked, where finalizers or a grace period hold it."""
        raw = self._copy(plural, name)
        guards = {"uid": uid, "resourceVersion": resource_version}
        self._expect(raw, {key: value for key, value in guards.items() if value is not None})
        if raw["metadata"].get("finalizers") or plural == "pods":
            raw["metadata"].setdefault("deletionTimestamp", rfc3339(T))
            self._store((plural, name), raw)
        else:
            self.remove(plural, name)
        return raw | {"kind": "Pod"} if plural == "pods" else raw

    def remove(self, plural: str, name: str) -> None:
        """Take an object away, as the kubelet does with a pod that has ended."""
        self.version += 1
        del self._objects[plural, name]

    def remove_by_force(self, name: str) -> None:
        """Remove a pod as `kubectl delete --force` does: the object goes, and what it ran goes on."""
        self.forced[uid_of(self.get("pods", name))] = name
        self.remove("pods", name)

    def collect_garbage(self) -> bool:
        """Delete what belongs to an owner that is gone; return whether there was something."""
        known = {raw["metadata"]["uid"] for raw in self._objects.values()}
        for (plural, name), raw in list(self._objects.items()):
            owners = {owner["uid"] for owner in raw["metadata"].get("ownerReferences", [])}
            if owners and not owners & known and "deletionTimestamp" not in raw["metadata"]:
                self.delete(plural, name)
                return True
            if "deletionTimestamp" in raw["metadata"] and names.FINALIZER_TIMER in raw["metadata"].get(
                "finalizers", []
            ):  # kopf takes its own off by itself
                left = [each for each in raw["metadata"]["finalizers"] if each != names.FINALIZER_TIMER]
                self.patch_finalizers(plural, name, {"finalizers": left})
                return True
        return False

    def _copy(self, plural: str, name: str) -> Raw:
        """Return an object of which metadata, spec and status may be changed, but nothing within them."""
        raw = self.get(plural, name)
        return raw | {part: dict(raw.get(part, {})) for part in ("metadata", "spec", "status")}

    def _expect(self, raw: Raw, preconditions: Raw) -> None:
        for key in ("uid", "resourceVersion"):
            if key in preconditions and preconditions[key] != raw["metadata"][key]:
                raise Conflict(409, "Conflict", f"{key} is {raw['metadata'][key]}")

    def _store(self, place: Place, raw: Raw) -> Raw:
        """Keep a new version; writing what stands there already is none, as on a real server."""
        before = self._objects.get(place)
        if before is not None and before == raw:
            return before
        self.version += 1
        raw["metadata"]["resourceVersion"] = str(self.version)
        if (
            "deletionTimestamp" in raw["metadata"]
            and place[0] != "pods"
            and not raw["metadata"]["finalizers"]
        ):
            del self._objects[place]
        else:
            self._objects[place] = raw
        return raw


def uid_of(raw: Raw) -> str:
    """Return the UID of an object."""
    uid: str = raw["metadata"]["uid"]
    return uid
