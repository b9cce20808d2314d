"""What each action does to the API server, and what it brings to light."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.controllers.applying import Harness
from tests.unit.controllers.replica import KEY
from tests.unit.domain.builders import T, at, resolve_engine

from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import parse, rfc3339
from lcm_operator.domain.actions import (
    CreateEngine,
    CreateLease,
    CreatePod,
    DeletePod,
    LookUpEngine,
    LookUpPod,
)
from lcm_operator.domain.manifests import engine_lease, engine_pod
from lcm_operator.domain.snapshot import Absent, Pod, Renewals, value_of
from lcm_operator.kube.errors import (
    ConflictError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)


@pytest.fixture
def harness():
    return Harness()


def owned_by(uid, kind="TrialEngine", name="example"):
    return [{"kind": kind, "name": name, "uid": uid, "controller": True}]


def a_pod(owners):
    return {"metadata": {"name": "example-1", "labels": {}, "ownerReferences": owners}}


# --- creating


def test_a_created_engine_is_known_at_once(harness):
    harness.with_engine()
    assert harness.cache.snapshot(KEY).engine is not None


def test_an_engine_that_exists_is_read_instead(harness):
    trial = harness.with_trial()
    manifest = resolve_engine(trial)
    harness.api.create("trialengines", manifest)
    seen = harness.does(CreateEngine(manifest))
    assert seen.engine is not None


def test_a_created_pod_is_known_with_the_time_of_the_answer(harness):
    harness.clock.advance(0.3)
    harness.with_pod()
    pod = harness.cache.snapshot(KEY).pod.value
    assert isinstance(pod, Pod)
    assert pod.created == at(0.3)


def test_a_pod_of_this_engine_that_exists_is_adopted(harness):
    engine = harness.with_engine()
    harness.api.create("pods", a_pod(owned_by(engine.metadata.uid)))
    seen = harness.does(CreatePod(engine, engine_pod(engine, 1, "image")))
    assert isinstance(seen.pod.value, Pod)
    assert seen.refusal is None


@pytest.mark.parametrize(
    ("owners", "reason"),
    [
        pytest.param([], "NameTaken", id="of nobody"),
        pytest.param(owned_by("job-1", kind="Job"), "NameTaken", id="of a stranger"),
        pytest.param(owned_by("engine-0"), "Waiting", id="that an earlier engine of the name has left"),
    ],
)
def test_a_pod_is_not_adopted(harness, owners, reason):
    engine = harness.with_engine()
    harness.api.create("pods", a_pod(owners))
    seen = harness.does(CreatePod(engine, engine_pod(engine, 1, "image")))
    assert seen.pod is None
    assert seen.refusal is not None
    assert seen.refusal.value.reason == reason


@pytest.mark.parametrize("what", [pytest.param("trialengines", id="engine"), pytest.param("pods", id="pod")])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(RejectedError(403, "Forbidden", "exceeded quota"), "AdmissionRefused", id="refused"),
        pytest.param(
            RejectedError(403, "Forbidden", "because it is being terminated"),
            "NamespaceTerminating",
            id="its namespace goes",
        ),
        pytest.param(
            NotFoundError(404, "NotFound", "no namespace"), "NamespaceTerminating", id="it has gone"
        ),
        pytest.param(
            UnavailableError(429, "TooManyRequests", "later"), "APIUnavailable", id="too much at once"
        ),
        pytest.param(UnavailableError(0, "Unreachable", "no route"), "APIUnavailable", id="no answer"),
    ],
)
def test_why_a_create_failed_is_remembered_until_one_succeeds(harness, what, error, reason):
    trial = harness.with_trial()
    engine = parse(resolve_engine(trial) | {"status": {}}, TrialEngine)
    create = CreateEngine(resolve_engine(trial))
    if what == "pods":
        engine = parse(harness.api.create("trialengines", resolve_engine(trial)), TrialEngine)
        harness.cache.put_engine(harness.api.get("trialengines", "example"))
        create = CreatePod(engine, engine_pod(engine, 1, "image"))
    harness.refuses[what] = error
    refusal = harness.does(create).refusal
    assert refusal is not None
    assert refusal.value.reason == reason
    assert error.message in refusal.value.message
    harness.refuses.clear()
    assert harness.does(create).refusal is None


# --- Leases


def test_a_lease_that_this_pod_has_is_left_alone(harness):
    engine = harness.with_engine()
    lease = engine_lease(engine, "example-1", "pod-1")
    harness.does(CreateLease(lease))
    before = harness.api.get("leases", "example-1")
    harness.does(CreateLease(lease))
    assert harness.api.get("leases", "example-1") is before


@pytest.mark.parametrize(("holder", "kept"), [("pod-1", True), ("pod-2", False)])
def test_lease_made_again_is_no_sign_of_life(harness, holder, kept):
    engine = harness.with_engine()
    slot = harness.cache.slot(KEY)
    minute = timedelta(minutes=1)
    renewals = Renewals(pod_uid="pod-1", begun=True, silent=minute, unseen=minute, missing=True)
    slot.renewals = harness.cache.observed(renewals)
    harness.does(CreateLease(engine_lease(engine, "example-1", holder)))
    assert value_of(slot.renewals) == (replace(renewals, missing=False) if kept else None)


def test_a_lease_that_an_earlier_pod_has_left_is_replaced(harness):
    engine = harness.with_engine()
    harness.does(CreateLease(engine_lease(engine, "example-1", "pod-0")))
    lease = engine_lease(engine, "example-1", "pod-1")
    with pytest.raises(ConflictError):
        harness.does(CreateLease(lease))
    harness.does(CreateLease(lease))
    (owner,) = harness.api.get("leases", "example-1")["metadata"]["ownerReferences"]
    assert owner["uid"] == "pod-1"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"spec": {"holderIdentity": "somebody"}}, id="another holder"),
        pytest.param({"spec": {}}, id="nobody holds it"),
        pytest.param({"labels": {}}, id="no label"),
    ],
)
def test_a_lease_that_its_pod_can_not_renew_is_made_again(harness, change):
    engine = harness.with_pod()
    pod = harness.api.get("pods", "example-1")["metadata"]["uid"]
    lease = engine_lease(engine, "example-1", pod)
    harness.does(CreateLease(lease))
    raw = harness.api.get("leases", "example-1")
    raw["spec"] = change.get("spec", raw["spec"])
    raw["metadata"]["labels"] = change.get("labels", raw["metadata"]["labels"])
    with pytest.raises(ConflictError):
        harness.does(CreateLease(lease))
    harness.does(CreateLease(lease))
    made = harness.api.get("leases", "example-1")
    assert (made["spec"]["holderIdentity"], made["metadata"]["labels"]) == (pod, lease["metadata"]["labels"])


# --- looking


def test_a_pod_that_is_not_there_is_absent(harness):
    harness.with_engine()
    assert harness.does(LookUpPod("example-1")).pod.value == Absent("example-1")


def test_a_pod_of_somebody_else_is_as_good_as_absent(harness):
    harness.with_engine()
    harness.api.create("pods", a_pod([]))
    assert harness.does(LookUpPod("example-1")).pod.value == Absent("example-1")


def test_pod_that_replaced_the_granted_one_is_deleted_and_counts_as_absent(harness):
    engine = harness.with_engine()
    granted = {"attempt": 1, "podRef": {"name": "example-1", "uid": "gone", "notBefore": rfc3339(T)}}
    harness.api.set_status("trialengines", "example", **granted)
    harness.cache.put_engine(harness.api.get("trialengines", "example"))
    harness.api.create("pods", a_pod(owned_by(engine.metadata.uid)))
    assert harness.does(LookUpPod("example-1")).pod.value == Absent("example-1")
    assert "deletionTimestamp" in harness.api.get("pods", "example-1")["metadata"]


def without_node(harness):
    """Let the pod of the engine be one that no node has."""
    engine = harness.with_pod()
    pod = harness.api.get("pods", "example-1")
    pod["spec"].pop("nodeName")
    return engine, pod["metadata"]["uid"]


def test_deleted_pod_that_was_never_bound_to_a_node_has_never_run(harness):
    engine, uid = without_node(harness)
    granted = {"attempt": 1, "podRef": {"name": "example-1", "uid": uid, "notBefore": rfc3339(T)}}
    harness.api.set_status("trialengines", "example", **granted)
    harness.cache.put_engine(harness.api.get("trialengines", "example"))
    gone = harness.does(DeletePod("example-1", uid)).pod.value
    assert isinstance(gone, Absent)
    assert gone.last is not None
    assert gone.last.never_ran
    assert engine.metadata.name == "example"


def test_a_pod_that_a_node_had_is_looked_up_once_it_is_deleted(harness):
    harness.with_pod()
    uid = harness.api.get("pods", "example-1")["metadata"]["uid"]
    seen = harness.does(DeletePod("example-1", uid)).pod.value
    assert isinstance(seen, Pod)
    assert seen.deleting
    assert not seen.never_ran


def test_an_engine_that_is_gone_is_known_to_be(harness):
    harness.with_engine()
    harness.api.remove("trialengines", "example")
    seen = harness.does(LookUpEngine())
    assert seen.engine is None
    assert seen.engine_gone


def test_engine_is_read_after_the_end_only_if_its_pod_had_ended_before(harness):
    harness.with_pod()
    assert not harness.does(LookUpEngine()).engine_read_after_end
    harness.api.set_status("pods", "example-1", phase="Succeeded")
    harness.does(LookUpPod("example-1"))
    assert harness.does(LookUpEngine()).engine_read_after_end


def test_engine_read_while_its_pod_ended_is_not_read_after_the_end(harness):
    harness.with_pod()
    read = harness.client.get

    async def reading(resource, namespace, name):
        raw = await read(resource, namespace, name)
        known = harness.cache.slot(KEY).pod
        harness.cache.slot(KEY).set_pod(replace(known, value=replace(known.value, ended=True)))
        return raw

    harness.client.get = reading
    assert not harness.does(LookUpEngine()).engine_read_after_end


def test_a_create_that_is_to_be_tried_later_says_when(harness):
    engine = harness.with_engine()
    harness.refuses["pods"] = UnavailableError(429, "TooManyRequests", "later", 7.0)
    seen = harness.does(CreatePod(engine, engine_pod(engine, 1, "image")))
    assert seen.refusal.value.retry_after == timedelta(seconds=7)
