"""An API server in memory, checked against the real one by the same cases (`api_server_cases`).

It keeps the rules that our code relies on: resourceVersions and UIDs as preconditions, taken names, the
status subresource, finalizers, graceful deletion of pods, owners, watches from a version. Admission of custom
objects is up to the test (`rules`). Two things are other than on a real server: pods are bound to a node as
they are created, and garbage is collected when the test says so.

`client` makes a real `kube.client` for it. Without an event loop its own methods do the same at once.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct
from tests.harness.patches import PatchError, merged, patched, selects

from lcm_operator.kube import errors

Json = dict[str, Any]
CREATED = "2026-11-24T10:00:00Z"
UNSEEN = {"observedGeneration": -1}
"""The status that their CRDs give to Trials and TrialRegistries until the operator writes one."""
_UNSEEN_AT_FIRST = {"trials", "trialregistries"}
_WITH_STATUS = {"trials", "trialengines", "trialregistries", "pods"}
_CUSTOM = {"trials", "trialengines", "trialplans", "trialregistries"}
_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
Rule = Callable[[str, Json | None, Json], None]
"""Is given the plural and an object before and after; raises RejectedError where that may not be."""


class Place(Struct, frozen=True):
    """Where an object is."""

    plural: str
    namespace: str
    name: str


class Change(Struct, frozen=True):
    """What a watch shows of one version: the object, and as it was before (None: it is new)."""

    version: int
    kind: str
    place: Place
    object: Json
    before: Json | None


class ApiServer:
    """The objects by place. A version of an object is never changed: each write puts a new one."""

    counts_deletion = True
    """Whether a new deletionTimestamp of a custom object is a new generation, as on a real server."""

    def __init__(self, *rules: Rule, namespace: str = "lab") -> None:
        """`namespace`: the one that is meant where a method is given none."""
        self.version = 0
        self.changes: list[Change] = []
        self.compacted = 0
        """The last version from which no watch can go on any more."""
        self.objects: dict[Place, Json] = {}
        self._numbers = itertools.count(1)
        self._rules = rules
        self.namespace = namespace
        self._watchers: set[asyncio.Event] = set()

    def all(self, plural: str, namespace: str | None = None) -> list[Json]:
        """Return the objects of a kind, of all namespaces if None."""
        return [
            raw
            for place, raw in self.objects.items()
            if place.plural == plural and namespace in (None, place.namespace)
        ]

    def find(self, plural: str, name: str, namespace: str | None = None) -> Json | None:
        """Return an object, None if it does not exist."""
        return self.objects.get(self._place(plural, name, namespace))

    def get(self, plural: str, name: str, namespace: str | None = None) -> Json:
        """Return an object. Raises NotFoundError."""
        found = self.find(plural, name, namespace)
        if found is None:
            raise errors.NotFoundError(404, "NotFound", f'{plural} "{name}" not found')
        return found

    def create(self, plural: str, body: Json, namespace: str | None = None, *, dry_run: bool = False) -> Json:
        """Create an object. Its status is dropped, as of everything that is written elsewhere than there."""
        metadata = dict(body["metadata"])
        if not metadata.get("name"):
            metadata["name"] = f"{metadata['generateName']}{next(self._numbers):05}"
        place = self._place(plural, metadata["name"], namespace)
        if place in self.objects:
            raise errors.AlreadyExistsError(409, "AlreadyExists", f'{plural} "{place.name}" already exists')
        metadata |= {
            "namespace": place.namespace,
            "uid": f"{plural}-{next(self._numbers)}",
            "creationTimestamp": CREATED,
        }
        made = {key: value for key, value in body.items() if key != "status" or plural not in _WITH_STATUS}
        made["metadata"] = metadata
        if plural in _CUSTOM:
            metadata["generation"] = 1
            if plural in _UNSEEN_AT_FIRST:
                made["status"] = dict(UNSEEN)
        if plural == "pods":
            made["spec"] = {"nodeName": "local"} | made.get("spec", {})
        self._admit(plural, None, made)
        return made if dry_run else self._store(place, made)

    def merge_patch(
        self, plural: str, name: str, patch: Json, namespace: str | None = None, *, subresource: str = ""
    ) -> Json:
        """Apply a JSON merge patch; a resourceVersion or UID in it is a precondition."""
        return self.change(plural, name, lambda raw: merged(raw, patch), namespace, subresource=subresource)

    def json_patch(
        self,
        plural: str,
        name: str,
        operations: list[Json],
        namespace: str | None = None,
        *,
        subresource: str = "",
    ) -> Json:
        """Apply a JSON patch; a resourceVersion or UID that it writes is a precondition."""
        try:
            return self.change(
                plural, name, lambda raw: patched(raw, operations), namespace, subresource=subresource
            )
        except PatchError as error:
            raise errors.RejectedError(422, "Invalid", str(error)) from error

    def change(
        self,
        plural: str,
        name: str,
        change: Callable[[Json], Json],
        namespace: str | None = None,
        *,
        subresource: str = "",
    ) -> Json:
        """Store what `change` makes of an object, which it must not change in place."""
        place = self._place(plural, name, namespace)
        before = self.get(plural, name, namespace)
        after = change(before)
        version = after["metadata"].get("resourceVersion")
        _expect(before, {"resourceVersion": version} if version else {})
        if after["metadata"].get("uid") != before["metadata"]["uid"]:
            raise errors.RejectedError(422, "Invalid", "metadata.uid: Invalid value: field is immutable")
        _expect_no_new_finalizers(before["metadata"], after["metadata"])
        if subresource:
            after = before | {subresource: after.get(subresource, {})}
        elif place.plural in _WITH_STATUS:
            after = {key: value for key, value in after.items() if key != "status"}
            after |= {"status": before["status"]} if "status" in before else {}
        self._admit(place.plural, before, after)
        if place.plural in _CUSTOM and _without_metadata(after) != _without_metadata(before):
            generation = before["metadata"]["generation"] + 1
            after |= {"metadata": after["metadata"] | {"generation": generation}}
        return self._store(place, after)

    def delete(
        self,
        plural: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_seconds: int | None = None,
        propagation: str = "Background",
    ) -> Json:
        """Delete an object and return its last state: at once, or marked where something keeps it."""
        raw = self.get(plural, name, namespace)
        expected = {"uid": uid, "resourceVersion": resource_version}
        _expect(raw, {key: value for key, value in expected.items() if value is not None})
        metadata = dict(raw["metadata"])
        if propagation in _FINALIZERS and "deletionTimestamp" not in metadata:
            metadata["finalizers"] = [*metadata.get("finalizers", []), _FINALIZERS[propagation]]
        graceful = plural == "pods" and grace_period_seconds != 0 and raw["spec"].get("nodeName")
        place = self._place(plural, name, namespace)
        if not graceful and not metadata.get("finalizers"):
            self._remove(place)
            return raw
        if "deletionTimestamp" not in metadata:
            metadata |= {
                "deletionTimestamp": CREATED,
                "deletionGracePeriodSeconds": 30 if graceful else 0,
            }
            if plural in _CUSTOM and self.counts_deletion:
                metadata["generation"] += 1
        return self._store(place, raw | {"metadata": metadata}, keep=True)

    def put(self, plural: str, raw: Json, namespace: str | None = None) -> Json:
        """Store an object with all its parts as it is, past rules and preconditions."""
        metadata = raw["metadata"]
        place = self._place(plural, metadata["name"], metadata.get("namespace") or namespace)
        before = self.objects.get(place, {"metadata": {"uid": f"{plural}-{next(self._numbers)}"}})
        kept = {"namespace": place.namespace, "uid": before["metadata"]["uid"], "generation": 1}
        return self._store(place, raw | {"metadata": kept | metadata}, keep=True)

    def remove(self, plural: str, name: str, namespace: str | None = None) -> None:
        """Remove an object at once, as the kubelet does with a pod that has ended."""
        self.get(plural, name, namespace)
        self._remove(self._place(plural, name, namespace))

    def collect_garbage(self) -> bool:
        """Delete one object whose owners no longer exist; return whether there was one."""
        known = {raw["metadata"]["uid"] for raw in self.objects.values()}
        for place, raw in self.objects.items():
            owners = {owner["uid"] for owner in raw["metadata"].get("ownerReferences", [])}
            if owners and not owners & known and "deletionTimestamp" not in raw["metadata"]:
                self.delete(place.plural, place.name, place.namespace)
                return True
        return False

    def compact(self) -> None:
        """Forget all versions before this one: watches from there on are too old."""
        self.compacted = self.version

    def since(
        self, version: int, plural: str, namespace: str | None, label_selector: str, field_selector: str
    ) -> Iterator[tuple[str, Json]]:
        """Yield (type, object) of all that has happened after `version` to what is selected."""
        selected = selects(label_selector, field_selector)
        for change in self.changes:
            place = change.place
            if (
                change.version <= version
                or place.plural != plural
                or namespace not in (None, place.namespace)
            ):
                continue
            was = change.before is not None and selected(change.before)
            match change.kind != "DELETED" and selected(change.object), was:
                case True, was:
                    yield "MODIFIED" if was else "ADDED", change.object
                case False, True:
                    yield "DELETED", change.object

    def at(self, version: int, plural: str, namespace: str | None) -> list[Json]:
        """Return the objects of a kind as they were at a version, by namespace and name."""
        found = dict(self.objects)
        for change in reversed(self.changes):
            if change.version <= version:
                break
            if change.before is None:
                found.pop(change.place, None)
            else:
                found[change.place] = change.before
        wanted = [p for p in found if p.plural == plural and namespace in (None, p.namespace)]
        return [found[place] for place in sorted(wanted, key=lambda p: (p.namespace, p.name))]

    async def newer(self, seen: int) -> None:
        """Wait until there is a version after `seen`."""
        event = asyncio.Event()
        self._watchers.add(event)
        try:
            while self.version <= seen:
                event.clear()
                await event.wait()
        finally:
            self._watchers.discard(event)

    def wake(self) -> None:
        """Wake the watches, which look around."""
        for event in self._watchers:
            event.set()

    def _place(self, plural: str, name: str, namespace: str | None) -> Place:
        return Place(plural, self.namespace if namespace is None else namespace, name)

    def _admit(self, plural: str, before: Json | None, after: Json) -> None:
        for rule in self._rules:
            rule(plural, before, after)

    def _store(self, place: Place, raw: Json, *, keep: bool = False) -> Json:
        """Store a new version; to write what exists already is no change.

        `keep`: also where nothing keeps a deleted object any more.
        """
        before = self.objects.get(place)
        if before is not None and before == raw:
            return before
        self.version += 1
        raw = raw | {"metadata": raw["metadata"] | {"resourceVersion": str(self.version)}}
        deleted = "deletionTimestamp" in raw["metadata"] and place.plural != "pods"
        if deleted and not keep and not raw["metadata"].get("finalizers"):
            del self.objects[place]
            self._happened("DELETED", place, raw, before)
        else:
            self.objects[place] = raw
            self._happened("MODIFIED" if before else "ADDED", place, raw, before)
        return raw

    def _remove(self, place: Place) -> None:
        before = self.objects.pop(place)
        self.version += 1
        metadata = before["metadata"] | {"resourceVersion": str(self.version)}
        self._happened("DELETED", place, before | {"metadata": metadata}, before)

    def _happened(self, kind: str, place: Place, raw: Json, before: Json | None) -> None:
        self.changes.append(Change(self.version, kind, place, raw, before))
        self.wake()


def _without_metadata(raw: Json) -> Json:
    return {key: value for key, value in raw.items() if key not in ("metadata", "status")}


def _expect(raw: Json, metadata: Json) -> None:
    """Raise ConflictError for a write that is meant for another UID or version."""
    for key in ("uid", "resourceVersion"):
        if key in metadata and metadata[key] != raw["metadata"].get(key):
            text = f"{key} is {raw['metadata'].get(key)}, not {metadata[key]}"
            raise errors.ConflictError(409, "Conflict", text)


def _expect_no_new_finalizers(before: Json, after: Json) -> None:
    added = set(after.get("finalizers") or ()) - set(before.get("finalizers") or ())
    if added and "deletionTimestamp" in before:
        raise errors.RejectedError(422, "Invalid", f"finalizers added to a deleted object: {sorted(added)}")
