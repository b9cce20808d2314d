"""Cases about lists, watches and deletes of an API server, and about reviews."""

import asyncio

from tests.harness.api_case import POD, SPEC, case, raises, shown, version_of

from lcm_operator.kube.errors import (
    ConflictError,
    GoneError,
    RejectedError,
)
from lcm_operator.kube.resources import CONFIG_MAPS, LEASES, PODS, TOKEN_REVIEWS, TRIALS


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
