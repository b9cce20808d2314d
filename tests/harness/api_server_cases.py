"""What the real API server and the one in memory have in common: each case runs against both."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from msgspec import Struct

from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    GoneError,
    NotFoundError,
    RejectedError,
)
from lcm_operator.kube.resources import CONFIG_MAPS, LEASES, PODS, TOKEN_REVIEWS, TRIALS

Json = dict[str, Any]
CASES: list[Any] = []


class Subject(Struct, frozen=True):
    """An API server: a client, a namespace of the case's own, and a way to wait for the garbage collector.

    `settle` waits until a condition holds; the one in memory collects its garbage meanwhile.
    """

    client: Client
    namespace: str
    settle: Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]

    async def get(self, resource, name="example"):
        return await self.client.get(resource, self.namespace, name)

    async def create(self, resource, name="example", **parts):
        metadata = {"name": name} | parts.pop("metadata", {})
        body = {"apiVersion": resource.api, "kind": resource.kind, "metadata": metadata} | parts
        return await self.client.create(resource, self.namespace, body)

    async def merge(self, resource, patch, name="example", *, subresource=""):
        return await self.client.merge_patch(resource, self.namespace, name, patch, subresource=subresource)

    async def json(self, resource, *operations, name="example", subresource=""):
        return await self.client.json_patch(
            resource, self.namespace, name, operations, subresource=subresource
        )

    async def delete(self, resource, name="example", **options):
        return await self.client.delete(resource, self.namespace, name, **options)

    async def exists(self, resource, name="example"):
        try:
            await self.get(resource, name)
        except NotFoundError:
            return False
        return True

    async def names(self, resource, **selectors):
        items, _ = await self.client.list(resource, self.namespace, **selectors)
        return sorted(item["metadata"]["name"] for item in items)

    async def watched(self, resource, version, *, seconds=2, **selectors):
        """Return the types and names, versions and parts of what a watch shows until it ends."""
        watch = self.client.watch(
            resource, self.namespace, resource_version=version, timeout_seconds=seconds, **selectors
        )
        async with aclosing(watch) as events:
            return [event async for event in events]


def case(function):
    CASES.append(pytest.param(function, id=function.__name__.replace("_", " ")))
    return function


SPEC = {"startTime": "2031-07-01T08:00:00Z", "activities": [{"name": "one", "sleep": {"seconds": 1}}]}
POD = {"containers": [{"name": "main", "image": "example"}], "nodeName": "nowhere"}


def version_of(raw):
    return raw["metadata"]["resourceVersion"]


def guard(version):
    return {"op": "replace", "path": "/metadata/resourceVersion", "value": version}


def shown(events):
    return [(kind, raw["metadata"]["name"]) for kind, raw in events if kind != "BOOKMARK"]


async def raises(error, awaitable, *texts):
    with pytest.raises(ApiError) as caught:
        await awaitable
    assert type(caught.value) is error, caught.value
    assert all(text in str(caught.value) for text in texts), caught.value
    return caught.value


@case
async def created_object_is_returned_as_it_is_read(subject):
    made = await subject.create(CONFIG_MAPS, data={"a": "1"}, metadata={"labels": {"x": "y"}})
    assert made["data"] == {"a": "1"}
    assert made["metadata"]["labels"] == {"x": "y"}
    assert made["metadata"]["namespace"] == subject.namespace
    assert {"uid", "resourceVersion", "creationTimestamp"} <= made["metadata"].keys()
    assert await subject.get(CONFIG_MAPS) == made


@case
async def missing_object_is_not_found(subject):
    error = await raises(NotFoundError, subject.get(CONFIG_MAPS))
    assert (error.status, error.reason) == (404, "NotFound")
    await raises(NotFoundError, subject.merge(CONFIG_MAPS, {"data": {}}))
    await raises(NotFoundError, subject.json(CONFIG_MAPS, {"op": "add", "path": "/data", "value": {}}))
    await raises(NotFoundError, subject.delete(CONFIG_MAPS))


@case
async def name_is_taken_once(subject):
    await subject.create(CONFIG_MAPS)
    error = await raises(AlreadyExistsError, subject.create(CONFIG_MAPS))
    assert (error.status, error.reason) == (409, "AlreadyExists")


@case
async def dry_run_creates_nothing(subject):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "example"}, "data": {"a": "1"}}
    made = await subject.client.create(CONFIG_MAPS, subject.namespace, body, dry_run=True)
    assert made["data"] == {"a": "1"}
    assert not await subject.exists(CONFIG_MAPS)


@case
async def name_is_generated(subject):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "example-"}}
    names = [
        (await subject.client.create(CONFIG_MAPS, subject.namespace, body))["metadata"]["name"] for _ in "ab"
    ]
    assert names[0] != names[1]
    assert all(name.startswith("example-") for name in names)


@case
async def status_is_dropped_on_create(subject):
    made = await subject.create(TRIALS, spec=SPEC, status={"phase": "Scheduled"})
    assert "status" not in made
    assert made["metadata"]["generation"] == 1


@case
async def merge_patch_merges_maps_and_removes_nulls(subject):
    await subject.create(CONFIG_MAPS, data={"a": "1", "b": "2"})
    patch = {"data": {"b": None, "c": "3"}, "metadata": {"annotations": {"x": "y"}}}
    changed = await subject.merge(CONFIG_MAPS, patch)
    assert changed["data"] == {"a": "1", "c": "3"}
    assert changed["metadata"]["annotations"] == {"x": "y"}
    assert await subject.get(CONFIG_MAPS) == changed


@case
async def merge_patch_replaces_lists(subject):
    await subject.create(TRIALS, spec=SPEC)
    other = [{"name": "two", "sleep": {"seconds": 2}}]
    changed = await subject.merge(TRIALS, {"spec": {"activities": other}})
    assert [each["name"] for each in changed["spec"]["activities"]] == ["two"]


@case
async def merge_patch_meets_only_the_version_it_names(subject):
    made = await subject.create(CONFIG_MAPS, data={"a": "1"})
    guarded = {"metadata": {"resourceVersion": version_of(made)}, "data": {"a": "2"}}
    changed = await subject.merge(CONFIG_MAPS, guarded)
    assert version_of(changed) != version_of(made)
    error = await raises(ConflictError, subject.merge(CONFIG_MAPS, guarded | {"data": {"a": "3"}}))
    assert (error.status, error.reason) == (409, "Conflict")
    assert (await subject.get(CONFIG_MAPS))["data"] == {"a": "2"}


@case
async def merge_patch_meets_only_the_uid_it_names(subject):
    made = await subject.create(CONFIG_MAPS)
    uid = {"uid": made["metadata"]["uid"]}
    await subject.merge(CONFIG_MAPS, {"metadata": uid, "data": {"a": "1"}})
    another = {"metadata": {"uid": "another"}, "data": {"a": "2"}}
    error = await raises(RejectedError, subject.merge(CONFIG_MAPS, another))
    assert (error.status, error.reason) == (422, "Invalid")
    await subject.create(TRIALS, spec=SPEC)
    error = await raises(RejectedError, subject.merge(TRIALS, another))
    assert (error.status, error.reason) == (422, "Invalid")


@case
async def write_of_what_exists_already_changes_no_version(subject):
    made = await subject.create(CONFIG_MAPS, data={"a": "1"})
    assert version_of(await subject.merge(CONFIG_MAPS, {"data": {"a": "1"}})) == version_of(made)
    trial = await subject.create(TRIALS, spec=SPEC)
    same = await subject.merge(TRIALS, {"spec": {"activities": trial["spec"]["activities"]}})
    assert same["metadata"] == trial["metadata"]


@case
async def json_patch_adds_replaces_and_removes(subject):
    await subject.create(CONFIG_MAPS, data={"a": "1", "b": "2"}, metadata={"annotations": {"b/c": "x"}})
    changed = await subject.json(
        CONFIG_MAPS,
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "3"},
        {"op": "remove", "path": "/data/b"},
        {"op": "replace", "path": "/metadata/annotations/b~1c", "value": "y"},
        {"op": "add", "path": "/data/d", "value": "4"},
    )
    assert changed["data"] == {"a": "3", "d": "4"}
    assert changed["metadata"]["annotations"] == {"b/c": "y"}


@case
async def json_patch_changes_lists(subject):
    await subject.create(CONFIG_MAPS, metadata={"finalizers": ["example.com/a", "example.com/b"]})
    path = "/metadata/finalizers"
    added = await subject.json(CONFIG_MAPS, {"op": "add", "path": f"{path}/-", "value": "example.com/c"})
    assert added["metadata"]["finalizers"] == ["example.com/a", "example.com/b", "example.com/c"]
    removed = await subject.json(
        CONFIG_MAPS,
        {"op": "test", "path": f"{path}/0", "value": "example.com/a"},
        {"op": "remove", "path": f"{path}/0"},
    )
    assert removed["metadata"]["finalizers"] == ["example.com/b", "example.com/c"]
    await subject.merge(CONFIG_MAPS, {"metadata": {"finalizers": None}})


@case
async def json_patch_whose_test_fails_writes_nothing(subject):
    await subject.create(CONFIG_MAPS, data={"a": "1"})
    write = {"op": "replace", "path": "/data/a", "value": "3"}
    error = await raises(
        RejectedError, subject.json(CONFIG_MAPS, {"op": "test", "path": "/data/a", "value": "2"}, write)
    )
    assert (error.status, error.reason) == (422, "Invalid")
    assert (await subject.get(CONFIG_MAPS))["data"] == {"a": "1"}


@case
async def json_patch_of_a_missing_path_is_refused(subject):
    await subject.create(CONFIG_MAPS, data={"a": "1"})
    for operation in (
        {"op": "test", "path": "/data/b", "value": "2"},
        {"op": "remove", "path": "/data/b"},
        {"op": "remove", "path": "/binaryData/b"},
        {"op": "replace", "path": "/binaryData/b", "value": "2"},
        {"op": "add", "path": "/binaryData/b", "value": "2"},
    ):
        error = await raises(RejectedError, subject.json(CONFIG_MAPS, operation))
        assert (error.status, error.reason) == (422, "Invalid"), operation


@case
async def json_patch_replaces_a_missing_key_by_adding_it(subject):
    await subject.create(CONFIG_MAPS, data={"a": "1"})
    changed = await subject.json(CONFIG_MAPS, {"op": "replace", "path": "/data/b", "value": "2"})
    assert changed["data"] == {"a": "1", "b": "2"}


@case
async def json_patch_meets_only_the_version_it_writes(subject):
    made = await subject.create(CONFIG_MAPS, data={"a": "1"})
    write = {"op": "replace", "path": "/data/a", "value": "2"}
    await subject.json(CONFIG_MAPS, guard(version_of(made)), write)
    await raises(ConflictError, subject.json(CONFIG_MAPS, guard(version_of(made)), write | {"value": "3"}))
    assert (await subject.get(CONFIG_MAPS))["data"] == {"a": "2"}


@case
async def status_is_written_under_its_subresource_alone(subject):
    made = await subject.create(TRIALS, spec=SPEC)
    both = {"spec": {"suspend": True}, "status": {"phase": "Scheduled"}}
    status = await subject.merge(TRIALS, both, subresource="status")
    assert status["status"] == {"phase": "Scheduled"}
    assert status["spec"] == made["spec"]
    assert status["metadata"]["generation"] == 1
    changed = await subject.merge(TRIALS, both | {"status": {"phase": "Failed"}})
    assert changed["status"] == {"phase": "Scheduled"}
    assert changed["spec"]["suspend"] is True
    assert changed["metadata"]["generation"] == 2


@case
async def status_is_written_by_json_patch_with_a_guard(subject):
    made = await subject.create(TRIALS, spec=SPEC)
    operations = guard(version_of(made)), {"op": "add", "path": "/status", "value": {"phase": "Scheduled"}}
    written = await subject.json(TRIALS, *operations, subresource="status")
    assert written["status"] == {"phase": "Scheduled"}
    await raises(ConflictError, subject.json(TRIALS, *operations, subresource="status"))


@case
async def field_of_a_missing_status_is_refused(subject):
    await subject.create(TRIALS, spec=SPEC)
    operation = {"op": "add", "path": "/status/phase", "value": "Scheduled"}
    await raises(RejectedError, subject.json(TRIALS, operation, subresource="status"))


@case
async def annotation_changes_no_generation(subject):
    made = await subject.create(TRIALS, spec=SPEC)
    changed = await subject.merge(TRIALS, {"metadata": {"annotations": {"a": "b"}}})
    assert changed["metadata"]["generation"] == 1
    assert version_of(changed) != version_of(made)


@case
async def list_is_selected_by_labels(subject):
    for name, labels in (("one", {"a": "1"}), ("two", {"a": "2", "b": "1"}), ("three", {})):
        await subject.create(LEASES, name, metadata={"labels": labels})
    for selector, names in (
        ("a=1", ["one"]),
        ("a", ["one", "two"]),
        ("a!=1", ["three", "two"]),
        ("!a", ["three"]),
        ("a=2,b==1", ["two"]),
        ("", ["one", "three", "two"]),
    ):
        assert await subject.names(LEASES, label_selector=selector) == names, selector


@case
async def list_is_selected_by_fields(subject):
    for name in ("one", "two"):
        await subject.create(PODS, name, spec=POD)
    await subject.merge(PODS, {"status": {"phase": "Failed"}}, "one", subresource="status")
    assert await subject.names(PODS, field_selector="metadata.name=two") == ["two"]
    assert await subject.names(PODS, field_selector="status.phase!=Failed") == ["two"]
    assert await subject.names(PODS, field_selector="status.phase=Failed,spec.nodeName=nowhere") == ["one"]


@case
async def list_comes_in_pages_of_one_version(subject):
    for number in range(5):
        await subject.create(LEASES, f"lease-{number}")
    pages, names = [], []
    async for page in subject.client.listed(LEASES, subject.namespace, limit=2):
        if not pages:
            await subject.create(LEASES, "lease-9")
            await subject.delete(LEASES, "lease-4")
        pages.append((len(page), page.resource_version))
        names += [each.head.name for each in page]
    assert names == [f"lease-{number}" for number in range(5)]
    assert [length for length, _ in pages] == [2, 2, 1]
    assert len({version for _, version in pages}) == 1
    assert await subject.names(LEASES) == ["lease-0", "lease-1", "lease-2", "lease-3", "lease-9"]


@case
async def list_of_metadata_holds_nothing_else(subject):
    await subject.create(CONFIG_MAPS, data={"text": "x"}, metadata={"labels": {"a": "b"}})
    pages = subject.client.listed(CONFIG_MAPS, subject.namespace, label_selector="a=b", metadata_only=True)
    (found,) = [await item.read() async for page in pages for item in page]
    assert found["metadata"]["name"] == "example"
    assert "data" not in found


@case
async def watch_shows_what_happens_after_a_version(subject):
    before = await subject.create(LEASES, "before")
    made = await subject.create(LEASES)
    changed = await subject.merge(LEASES, {"spec": {"holderIdentity": "me"}})
    await subject.delete(LEASES)
    events = await subject.watched(LEASES, version_of(before))
    assert shown(events) == [("ADDED", "example"), ("MODIFIED", "example"), ("DELETED", "example")]
    versions = [int(version_of(raw)) for kind, raw in events if kind != "BOOKMARK"]
    assert versions[:2] == [int(version_of(made)), int(version_of(changed))]
    assert versions[2] > versions[1]
    assert [raw["spec"].get("holderIdentity") for kind, raw in events if kind == "DELETED"] == ["me"]


@case
async def watch_shows_what_happens_while_it_is_open(subject):
    made = await subject.create(LEASES)
    watching = asyncio.create_task(subject.watched(LEASES, version_of(made)))
    await subject.merge(LEASES, {"spec": {"holderIdentity": "me"}})
    events = await watching
    while not shown(events):  # it has ended before the write
        events = await subject.watched(LEASES, version_of(made))
    assert shown(events) == [("MODIFIED", "example")]
    assert [raw["spec"]["holderIdentity"] for kind, raw in events if kind != "BOOKMARK"] == ["me"]


@case
async def watch_of_selected_objects_shows_them_come_and_leave(subject):
    made = await subject.create(LEASES, metadata={"labels": {"a": "1"}})
    await subject.create(LEASES, "other")
    for value in ("2", "1"):
        await subject.merge(LEASES, {"metadata": {"labels": {"a": value}}})
    events = await subject.watched(LEASES, version_of(made), label_selector="a=1")
    assert shown(events) == [("DELETED", "example"), ("ADDED", "example")]
    events = await subject.watched(LEASES, version_of(made), field_selector="metadata.name=other")
    assert shown(events) == [("ADDED", "other")]


@case
async def watch_is_given_a_bookmark_before_it_ends(subject):
    await subject.create(LEASES)
    _, version = await subject.client.list(LEASES, subject.namespace)
    events = await subject.watched(LEASES, version, seconds=15)
    assert shown(events) == []
    assert events
    assert all(int(version_of(raw)) >= int(version) for _, raw in events)


@case
async def watch_from_a_version_that_is_too_old_is_gone(subject):
    await subject.create(TRIALS, spec=SPEC)
    error = await raises(GoneError, subject.watched(TRIALS, "1"))
    assert (error.status, error.reason) == (410, "Expired")


@case
async def delete_meets_only_the_uid_and_version_it_names(subject):
    made = await subject.create(CONFIG_MAPS)
    await subject.merge(CONFIG_MAPS, {"data": {"a": "1"}})
    await raises(ConflictError, subject.delete(CONFIG_MAPS, uid="another"))
    await raises(ConflictError, subject.delete(CONFIG_MAPS, resource_version=version_of(made)))
    uid = made["metadata"]["uid"]
    assert (await subject.delete(CONFIG_MAPS, uid=uid))["kind"] == "Status"
    assert not await subject.exists(CONFIG_MAPS)


@case
async def finalizer_keeps_a_deleted_object(subject):
    await subject.create(TRIALS, spec=SPEC, metadata={"finalizers": ["example.com/a"]})
    deleted = await subject.delete(TRIALS)
    assert deleted["kind"] == "Trial"
    assert deleted["metadata"]["deletionTimestamp"]
    assert deleted["metadata"]["generation"] == 2
    again = await subject.delete(TRIALS)
    assert again["metadata"] == deleted["metadata"]
    await subject.merge(TRIALS, {"metadata": {"finalizers": []}})
    assert not await subject.exists(TRIALS)


@case
async def last_finalizer_that_is_removed_ends_a_deleted_object(subject):
    made = await subject.create(TRIALS, spec=SPEC, metadata={"finalizers": ["example.com/a"]})
    await subject.delete(TRIALS)
    removed = await subject.merge(TRIALS, {"metadata": {"finalizers": None}})
    assert removed["metadata"]["name"] == "example"
    events = await subject.watched(TRIALS, version_of(made))
    assert shown(events) == [("MODIFIED", "example"), ("DELETED", "example")]


@case
async def finalizers_are_not_added_to_a_deleted_object(subject):
    await subject.create(TRIALS, spec=SPEC, metadata={"finalizers": ["example.com/a"]})
    await subject.delete(TRIALS)
    more = {"metadata": {"finalizers": ["example.com/a", "example.com/b"]}}
    await raises(RejectedError, subject.merge(TRIALS, more))
    await subject.merge(TRIALS, {"metadata": {"finalizers": None}})


@case
async def foreground_deletion_waits_as_a_finalizer(subject):
    await subject.create(TRIALS, spec=SPEC)
    deleted = await subject.delete(TRIALS, propagation="Foreground")
    assert deleted["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert deleted["metadata"]["deletionTimestamp"]


@case
async def pod_on_a_node_is_deleted_gracefully(subject):
    made = await subject.create(PODS, spec=POD)
    deleted = await subject.delete(PODS, uid=made["metadata"]["uid"])
    assert deleted["kind"] == "Pod"
    assert deleted["metadata"]["deletionTimestamp"]
    assert await subject.exists(PODS)
    assert (await subject.delete(PODS, grace_period_seconds=0))["kind"] == "Pod"
    assert not await subject.exists(PODS)


@case
async def dependents_are_deleted_after_their_owner(subject):
    owner = await subject.create(TRIALS, spec=SPEC)
    reference = {
        "apiVersion": TRIALS.api,
        "kind": "Trial",
        "name": "example",
        "uid": owner["metadata"]["uid"],
    }
    await subject.create(CONFIG_MAPS, metadata={"ownerReferences": [reference]})
    await subject.create(CONFIG_MAPS, "other")
    await subject.delete(TRIALS)

    async def are_deleted():
        return not await subject.exists(CONFIG_MAPS)

    await subject.settle(are_deleted)
    assert await subject.exists(CONFIG_MAPS, "other")


@case
async def token_of_nobody_is_not_authenticated(subject):
    body = {
        "apiVersion": TOKEN_REVIEWS.api,
        "kind": TOKEN_REVIEWS.kind,
        "metadata": {},
        "spec": {"token": "x"},
    }
    reviewed = await subject.client.create(TOKEN_REVIEWS, None, body)
    assert not reviewed["status"].get("authenticated")
