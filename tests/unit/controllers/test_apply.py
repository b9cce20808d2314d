"""What each action does to the API server, and what it brings to light."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.harness.cluster import Cluster
from tests.unit.controllers.clock import HandClock
from tests.unit.controllers.replica import KEY, connect, finish, no_limit, quiet
from tests.unit.domain.builders import T, at, nap, resolve_engine

from lcm_operator.api import names
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import parse, rfc3339
from lcm_operator.api.trial import Trial
from lcm_operator.controllers.admission import check
from lcm_operator.controllers.apply import Apply, StepRejectedError
from lcm_operator.controllers.recorder import Recorder
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.actions import (
    CreateEngine,
    CreateLease,
    CreatePod,
    DeleteEngine,
    DeletePod,
    DeleteTrial,
    HoldEngine,
    LookUpEngine,
    LookUpPod,
    UnholdEngine,
    WriteTrial,
)
from lcm_operator.domain.imports import noted
from lcm_operator.domain.manifests import engine_lease, engine_pod
from lcm_operator.domain.snapshot import Absent, Pod, Renewals, Settings, value_of
from lcm_operator.kube.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)


class Harness:
    """`Apply` on an API server that refuses what `refuse` names."""

    def __init__(self):
        self.api = Cluster()
        self.refuses = {}
        self.clock = HandClock()
        self.connection = connect(self.api, lambda: None)
        self.connection.before = self._refuse
        self.client = client = self.connection.client()
        self.cache = SlotCache(Settings(), self.clock)
        self.apply = Apply(client, self.cache, Recorder(client, quiet, self.clock), self.clock, no_limit)

    def _refuse(self, request):
        """Refuse what is created of a kind, or what is got of it as `get pods`."""
        asked = {"create": request.plural, "get": f"get {request.plural}"}.get(request.verb)
        asked = request.subresource if request.subresource == "log" else asked
        if asked in self.refuses:
            raise self.refuses[asked]

    def does(self, action):
        finish(self.apply(KEY, action))
        return self.cache.snapshot(KEY)

    def with_trial(self):
        spec = {"startTime": rfc3339(T), "activities": [nap("one")]}
        self.api.create("trials", {"metadata": {"name": "example"}, "spec": spec, "status": {}})
        self.cache.put_trial(self.api.get("trials", "example"))
        return parse(self.api.get("trials", "example"), Trial)

    def with_engine(self):
        trial = self.with_trial()
        self.does(CreateEngine(resolve_engine(trial)))
        return parse(self.api.get("trialengines", "example"), TrialEngine)

    def with_pod(self):
        engine = self.with_engine()
        self.does(CreatePod(engine, engine_pod(engine, 1, "image")))
        return engine


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


# --- admission


@pytest.mark.parametrize(
    ("refuses", "error", "reason"),
    [
        pytest.param("pods", RejectedError(403, "Forbidden", "quota"), "AdmissionRefused", id="refused"),
        pytest.param(
            "pods", AlreadyExistsError(409, "AlreadyExists", ""), "NameTaken", id="its name is taken"
        ),
        pytest.param(
            "pods", UnavailableError(500, "InternalError", "webhook"), "APIUnavailable", id="no answer"
        ),
        pytest.param(
            "leases", RejectedError(403, "Forbidden", "quota"), "AdmissionRefused", id="its Lease is refused"
        ),
        pytest.param(
            "leases", UnavailableError(500, "InternalError", "webhook"), "APIUnavailable", id="nor its Lease"
        ),
    ],
)
def test_a_pod_is_not_admitted(harness, refuses, error, reason):
    engine = harness.with_engine()
    harness.refuses[refuses] = error
    admission = asked(harness, engine)
    assert admission.problem is not None
    assert (admission.problem.reason, admission.engine_uid) == (reason, engine.metadata.uid)


def test_a_pod_is_admitted_without_a_trace(harness):
    engine = harness.with_engine()
    assert asked(harness, engine).problem is None
    assert harness.api.all("pods") == []


def test_nothing_is_said_while_the_api_server_does_not_answer(harness):
    engine = harness.with_engine()
    harness.refuses["pods"] = UnavailableError(0, "Unreachable", "no")
    with pytest.raises(UnavailableError):
        asked(harness, engine)


def test_a_lease_that_an_earlier_pod_left_does_not_matter(harness):
    engine = harness.with_engine()
    harness.refuses["leases"] = AlreadyExistsError(409, "AlreadyExists", "")
    assert asked(harness, engine).problem is None


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RejectedError(403, "Forbidden", "exceeded quota"), id="refused"),
        pytest.param(UnavailableError(500, "InternalError", "webhook"), id="not answered"),
    ],
)
def test_what_refuses_a_lease_is_known_and_the_grant_is_not_given(harness, error):
    engine = harness.with_pod()
    harness.refuses["leases"] = error
    with pytest.raises(StepRejectedError):
        harness.does(CreateLease(engine_lease(engine, "example-1", "pod-1")))
    seen = harness.cache.snapshot(KEY).refusal
    assert seen is not None
    assert error.message in seen.value.message
    harness.refuses.clear()
    assert harness.does(CreateLease(engine_lease(engine, "example-1", "pod-1"))).refusal is None


def test_an_engine_is_held_and_let_go_and_what_others_hold_it_by_stays(harness):
    engine = harness.with_engine()
    harness.api.set_finalizers("trialengines", "example", "example.com/hold")
    engine = parse(harness.api.get("trialengines", "example"), TrialEngine)
    held = harness.does(HoldEngine(engine)).engine
    assert held is not None
    assert held.metadata.finalizers == ("example.com/hold", names.FINALIZER_ENGINE)
    left = harness.does(UnholdEngine(held)).engine
    assert left is not None
    assert left.metadata.finalizers == ("example.com/hold",)


def asked(harness, engine):
    found = []

    async def asking():
        found.append(await check(harness.client, engine, engine_pod(engine, 1, "image")))

    finish(asking())
    return found[0]


# --- logs


def logged(harness, text):
    """Return what is known of the log after the pod, which has logged `text`, is deleted."""
    engine = harness.with_pod()
    uid = harness.api.get("pods", "example-1")["metadata"]["uid"]
    granted = {"attempt": 1, "podRef": {"name": "example-1", "uid": uid, "notBefore": rfc3339(T)}}
    harness.api.set_status("trialengines", engine.metadata.name, **granted)
    harness.cache.put_engine(harness.api.get("trialengines", "example"))
    harness.connection.logs["example-1"] = text
    found = harness.does(DeletePod("example-1", uid)).log.value
    assert found.pod_uid == uid
    return found.text


def test_the_end_of_a_log_is_kept_from_the_beginning_of_a_line(harness):
    found = logged(harness, "".join(f"line {number} äöü\n" for number in range(1000)))
    assert len(found.encode()) <= 4096
    assert found.startswith("line ")
    assert found.endswith("line 999 äöü")


def test_a_log_is_kept_without_control_characters(harness):
    assert logged(harness, "\x1b[31mred\x00\n\tplain\n") == "?[31mred?\n\tplain"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(NotFoundError(404, "NotFound", "no pod"), id="no pod"),
        pytest.param(UnavailableError(500, "InternalError", "the node does not answer"), id="no answer"),
        pytest.param(RejectedError(403, "Forbidden", "no right"), id="no right"),
    ],
)
def test_a_log_that_can_not_be_read_is_empty_and_stops_nothing(harness, error):
    harness.refuses["log"] = error
    assert logged(harness, "some") == ""
    assert "deletionTimestamp" in harness.api.find("pods", "example-1")["metadata"]


def test_fewer_lines_are_read_where_the_last_would_be_cut_off(harness):
    logged(harness, "x" * 300_000)
    asked = [r.query["tailLines"] for r in harness.connection.requests if r.subresource == "log"]
    assert asked == ["200", "20", "1"]
