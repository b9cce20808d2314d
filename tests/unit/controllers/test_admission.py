"""Whether the API server would admit a pod, and what is kept of a pod's log."""

import pytest
from tests.unit.controllers.applying import Harness, asked
from tests.unit.controllers.replica import KEY
from tests.unit.domain.builders import T

from lcm_operator.api import names
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import parse, rfc3339
from lcm_operator.controllers.apply import StepRejectedError
from lcm_operator.domain.actions import (
    CreateLease,
    DeletePod,
    HoldEngine,
    UnholdEngine,
)
from lcm_operator.domain.manifests import engine_lease
from lcm_operator.kube.errors import (
    AlreadyExistsError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)


@pytest.fixture
def harness():
    return Harness()


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
    asks = [each.query for each in harness.connection.requests if each.verb == "create"][-2:]
    assert asks == [{"dryRun": "All", "fieldValidation": "Strict"}] * 2


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
