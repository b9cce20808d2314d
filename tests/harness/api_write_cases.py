"""Cases about creates and patches of an API server."""

from tests.harness.api_case import SPEC, case, guard, raises, version_of
from tests.harness.api_server import UNSEEN

from lcm_operator.kube.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    RejectedError,
)
from lcm_operator.kube.resources import CONFIG_MAPS, TRIALS


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
    assert made["status"] == UNSEEN
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
    await subject.create(TRIALS, spec=SPEC)
    trial = await subject.merge(TRIALS, {"metadata": {"labels": {"a": "b"}}})  # stores the default status
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
    assert status["status"] == UNSEEN | {"phase": "Scheduled"}
    assert status["spec"] == made["spec"]
    assert status["metadata"]["generation"] == 1
    changed = await subject.merge(TRIALS, both | {"status": {"phase": "Failed"}})
    assert changed["status"] == UNSEEN | {"phase": "Scheduled"}
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
async def annotation_changes_no_generation(subject):
    made = await subject.create(TRIALS, spec=SPEC)
    changed = await subject.merge(TRIALS, {"metadata": {"annotations": {"a": "b"}}})
    assert changed["metadata"]["generation"] == 1
    assert version_of(changed) != version_of(made)
