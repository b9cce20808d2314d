"""What `Apply` writes and deletes, and on which version it does so."""

import pytest
from tests.unit.controllers.applying import Harness
from tests.unit.controllers.replica import KEY
from tests.unit.domain.builders import T, nap

from lcm_operator.api.storage import parse, rfc3339
from lcm_operator.domain.actions import (
    DeleteEngine,
    DeletePod,
    DeleteTrial,
    WriteTrial,
)
from lcm_operator.domain.imports import noted
from lcm_operator.domain.snapshot import Pod
from lcm_operator.kube.errors import (
    ConflictError,
)


@pytest.fixture
def harness():
    return Harness()


# --- writing and deleting


def test_a_status_is_written_only_on_the_version_that_it_was_made_from(harness):
    trial = harness.with_trial()
    harness.api.edit("trials", "example", suspend=True)
    with pytest.raises(ConflictError):
        harness.does(WriteTrial(trial, trial.status))


def test_a_written_status_is_known_at_once(harness):
    trial = harness.with_trial()
    status = parse({"phase": "Scheduled"}, type(trial.status))
    seen = harness.does(WriteTrial(trial, status))
    assert seen.trials[0].status.phase == "Scheduled"


def test_only_the_pod_of_that_uid_is_deleted(harness):
    harness.with_pod()
    with pytest.raises(ConflictError):
        harness.does(DeletePod("example-1", "another"))
    uid = harness.api.get("pods", "example-1")["metadata"]["uid"]
    seen = harness.does(DeletePod("example-1", uid))
    assert isinstance(seen.pod.value, Pod)
    assert seen.pod.value.deleting


def test_deleting_what_is_gone_is_no_fault(harness):
    engine = harness.with_engine()
    harness.api.remove("trialengines", "example")
    assert harness.does(DeleteEngine(engine)).engine is None
    assert harness.does(DeletePod("example-1", "pod-1")).pod is None


def test_a_trial_that_has_changed_since_is_not_deleted_and_read_instead(harness):
    trial = harness.with_trial()
    harness.api.edit("trials", "example", annotations={"lcm.5gdrones.eu/restore": "r1"})
    with pytest.raises(ConflictError):
        harness.does(DeleteTrial(trial))
    assert harness.api.find("trials", "example") is not None


def test_a_trial_whose_engine_was_restored_unseen_is_not_deleted(harness):
    harness.with_engine()
    trial = harness.cache.snapshot(KEY).trials[0]
    harness.api.edit("trialengines", "example", annotations={"lcm.5gdrones.eu/restore": "r1"})
    with pytest.raises(ConflictError):
        harness.does(DeleteTrial(trial))
    assert harness.api.find("trials", "example") is not None
    seen = harness.cache.snapshot(KEY).engine
    assert seen is not None
    assert seen.metadata.annotations == {"lcm.5gdrones.eu/restore": "r1"}


def test_trial_is_decided_again_before_its_delete_if_its_engine_went_unseen(harness):
    harness.with_engine()
    trial = harness.cache.snapshot(KEY).trials[0]
    harness.api.remove("trialengines", "example")
    with pytest.raises(ConflictError):
        harness.does(DeleteTrial(trial))
    assert harness.cache.snapshot(KEY).engine is None


def test_an_engine_that_was_granted_unseen_is_not_deleted(harness):
    engine = harness.with_engine()
    harness.api.set_status("trialengines", "example", podRef={"name": "example-1", "uid": "pod-1"})
    with pytest.raises(ConflictError):
        harness.does(DeleteEngine(engine))
    assert "deletionTimestamp" not in harness.api.get("trialengines", "example")["metadata"]


def test_an_engine_whose_trial_was_latched_unseen_is_not_deleted(harness):
    engine = harness.with_engine()
    harness.api.set_status("trials", "example", startedTime=rfc3339(T))
    with pytest.raises(ConflictError):
        harness.does(DeleteEngine(engine))
    assert "deletionTimestamp" not in harness.api.get("trialengines", "example")["metadata"]
    assert harness.cache.snapshot(KEY).trials[0].status.started_time == T


@pytest.mark.parametrize(
    ("reason", "ignored", "imports"),
    [("Cancelled", ["example"], 1), ("Missed", [], 0)],
)
def test_what_becomes_of_an_import_is_noted_before_it_is_removed(harness, reason, ignored, imports):
    (entry,) = noted({}, [("example", T)])
    spec = {"url": "http://registry", "import": "All"}
    registry = {"metadata": {"name": "default"}, "spec": spec, "status": {"imports": [entry]}}
    harness.api.put("trialregistries", registry)
    since = {"message": "", "lastTransitionTime": rfc3339(T)}
    over = {"type": "Succeeded", "status": "False", "reason": reason} | since
    metadata = {"name": "example", "annotations": {"lcm.5gdrones.eu/imported-by": "default"}}
    spec = {"registryRef": {"name": "default"}, "activities": [nap("one")]}
    harness.api.put("trials", {"metadata": metadata, "spec": spec, "status": {"conditions": [over]}})
    harness.cache.put_trial(harness.api.get("trials", "example"))

    harness.does(DeleteTrial(harness.cache.snapshot(KEY).trials[0]))

    status = harness.api.get("trialregistries", "default")["status"]
    assert (list(status.get("ignored", [])), len(status.get("imports", []))) == (ignored, imports)
    assert harness.api.find("trials", "example") is None


def test_what_is_deleted_is_known_to_be_gone(harness):
    trial = harness.with_trial()
    assert harness.does(DeleteTrial(trial)).trials == ()
