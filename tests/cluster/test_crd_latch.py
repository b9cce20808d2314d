"""The latch: once `status.startedTime` is set, the API server itself refuses to move the start."""

import pytest
from tests.cluster.crd_api import NOW, START, Api, client, trial

UNSEEN = {"observedGeneration": -1}
"""The status of an object that no operator has seen."""


@pytest.fixture(scope="module")
def api(cluster):
    return Api(cluster)


@pytest.fixture
def latched(api, namespace):
    """Return the name of a Trial whose start has been latched."""
    api.admit(trial("started"), namespace, dry_run=False)
    api.patch_status("Trial", namespace, "started", {"startedTime": NOW, "phase": "Running"})
    return "started"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param({"startTime": "2026-11-24T10:00:01+02:00"}, "spec.startTime", id="moved"),
        pytest.param({"startTime": "2099-01-01T00:00:00Z"}, "spec.startTime", id="put off"),
        pytest.param({"suspend": True}, "spec.suspend", id="suspended"),
        pytest.param(
            {"startTime": None, "registryRef": {"name": "default"}},
            "spec.registryRef",
            id="left to a registry",
        ),
    ],
)
def test_a_started_trial_cannot_be(api, namespace, latched, change, field):
    said = api.patch_refusal("Trial", namespace, latched, {"spec": change})

    assert f"{field}: Forbidden: {field} can't be changed: the trial has started" in said


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"registryRef": {"name": "other"}}, id="another registry"),
        pytest.param({"registryRef": None, "startTime": START}, id="a start time instead"),
    ],
)
def test_a_started_trial_of_a_registry_cannot_get(api, namespace, change):
    api.admit(trial("of-registry", startTime=None, registryRef={"name": "default"}), namespace, dry_run=False)
    api.patch_status("Trial", namespace, "of-registry", {"startedTime": NOW})

    said = api.patch_refusal("Trial", namespace, "of-registry", {"spec": change})

    assert "spec.registryRef: Forbidden: spec.registryRef can't be changed: the trial has started" in said


def test_a_suspended_trial_that_was_latched_cannot_be_resumed(api, namespace):
    api.admit(trial("held", suspend=True), namespace, dry_run=False)
    api.patch_status("Trial", namespace, "held", {"startedTime": NOW})

    said = api.patch_refusal("Trial", namespace, "held", {"spec": {"suspend": None}})

    assert "spec.suspend: Forbidden" in said


def test_the_same_instant_written_otherwise_is_no_change(api, namespace, latched):
    patch = {"spec": {"startTime": "2026-11-24T08:00:00Z"}}

    assert api.patch("Trial", namespace, latched, patch)["spec"] == api.admit(trial())["spec"] | patch["spec"]


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"metadata": {"annotations": {"lcm.5gdrones.eu/restore": "1"}}}, id="an annotation"),
        pytest.param({"metadata": {"labels": {"team": "a"}}}, id="a label"),
        pytest.param({"metadata": {"finalizers": ["example.com/f"]}}, id="a finalizer"),
        pytest.param({"spec": {"ttlSecondsAfterFinished": 5}}, id="another field of the spec"),
        pytest.param({"spec": {"startTime": START, "suspend": False}}, id="what stands there already"),
    ],
)
def test_a_started_trial_still_takes(api, namespace, latched, patch):
    api.patch("Trial", namespace, latched, patch)
    api.patch("Trial", namespace, latched, {"metadata": {"finalizers": None}})


def test_the_status_of_a_started_trial_still_changes(api, namespace, latched):
    changed = api.patch_status("Trial", namespace, latched, {"phase": "Succeeded", "progress": "5/5"})

    assert changed["status"] == UNSEEN | {"startedTime": NOW, "phase": "Succeeded", "progress": "5/5"}


def test_a_started_trial_can_be_deleted(api, namespace, latched):
    api.delete("Trial", namespace, latched)

    assert api.names("Trial", namespace, f"metadata.name={latched}") == []


def test_a_latch_computed_from_an_older_version_is_a_conflict(api, namespace):
    old = api.admit(trial("raced"), namespace, dry_run=False)
    api.patch("Trial", namespace, "raced", {"spec": {"suspend": True}})

    late = {
        "metadata": {"resourceVersion": old["metadata"]["resourceVersion"]},
        "status": {"startedTime": NOW},
    }
    with pytest.raises(client.ApiException) as refused:
        api.patch_status_raw("Trial", namespace, "raced", late)

    assert refused.value.status == 409


def test_a_change_of_the_main_resource_cannot_latch(api, namespace):
    api.admit(trial("open"), namespace, dry_run=False)

    assert api.patch("Trial", namespace, "open", {"status": {"startedTime": NOW}})["status"] == UNSEEN


def test_a_change_of_the_status_cannot_touch_the_spec(api, namespace, latched):
    patch = {"spec": {"suspend": True}, "status": {"phase": "Failed"}}

    assert api.patch_status_raw("Trial", namespace, latched, patch)["spec"]["suspend"] is False
