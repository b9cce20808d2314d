"""What is seen of a pod as the API server shows it."""

from datetime import UTC, datetime

import pytest

from lcm_operator.controllers.pods import seen_pod


def raw(phase="Running", terminated=None, message=None, container="engine", **metadata):
    status = {"phase": phase}
    if message is not None:
        status["message"] = message
    if terminated is not None:
        status["containerStatuses"] = [
            {"name": "side", "state": {"terminated": {"exitCode": 99, "message": "not this one"}}},
            {"name": container, "state": {"terminated": terminated}},
        ]
    return {
        "metadata": {"name": "example-1", "uid": "pod-1", "creationTimestamp": "2026-11-24T10:00:00Z"}
        | metadata,
        "status": status,
    }


@pytest.mark.parametrize(
    ("phase", "ended"),
    [
        pytest.param("Pending", False, id="pending: no"),
        pytest.param("Running", False, id="running: no"),
        pytest.param("Unknown", False, id="unknown: no"),
        pytest.param("Succeeded", True, id="succeeded: yes"),
        pytest.param("Failed", True, id="failed: yes"),
    ],
)
def test_a_pod_has_ended(phase, ended):
    assert seen_pod(raw(phase)).ended is ended


@pytest.mark.parametrize(
    ("phase", "terminated", "container", "seen"),
    [
        pytest.param("Running", {"exitCode": 0}, "engine", (True, True), id="its engine has: yes"),
        pytest.param("Running", {"exitCode": 0}, "other", (False, False), id="another container has: no"),
        pytest.param("Succeeded", {"exitCode": 0}, "engine", (True, False), id="all have: yes"),
        pytest.param("Failed", {"exitCode": 1}, "engine", (True, False), id="all have, with an error: yes"),
    ],
)
def test_a_pod_with_other_containers_has_ended(phase, terminated, container, seen):
    found = seen_pod(raw(phase, terminated, container=container))
    assert (found.ended, found.lingers) == seen


def test_a_pod_without_status_has_not_ended():
    assert not seen_pod({"metadata": raw()["metadata"]}).ended


def test_a_pod_that_is_being_deleted_says_so():
    assert seen_pod(raw(deletionTimestamp="2026-11-24T10:00:01Z")).deleting
    assert not seen_pod(raw()).deleting


def test_exit_code_and_termination_message_are_of_the_engine_container():
    pod = seen_pod(raw("Failed", {"exitCode": 3, "message": " no token\n"}))
    assert (pod.exit_code, pod.message) == (3, "no token")


def test_a_pod_that_ended_without_its_containers_has_the_reason_of_the_pod():
    pod = seen_pod(raw("Failed", message="evicted"))
    assert (pod.exit_code, pod.message) == (None, "evicted")


def test_a_pod_without_an_engine_container_has_no_exit_code():
    assert seen_pod(raw("Failed", {"exitCode": 1}, container="other")).exit_code is None


def test_pod_creation_time_is_that_of_the_answer_or_else_of_its_metadata():
    created = datetime(2026, 11, 24, 10, 0, 0, 250_000, tzinfo=UTC)
    assert seen_pod(raw(), created=created).created == created
    assert seen_pod(raw()).created == datetime(2026, 11, 24, 10, tzinfo=UTC)


RUNS = {
    "containerStatuses": [{"name": "engine", "state": {"running": {"startedAt": "2026-11-24T10:00:00Z"}}}]
}
WAITS = {"containerStatuses": [{"name": "engine", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}


def evicted(reason):
    return {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason}]}


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        pytest.param(RUNS | evicted("DeletionByPodGC"), False, id="collected while its container runs: no"),
        pytest.param(RUNS, False, id="collected without a word while its container runs: no"),
        pytest.param(evicted("DeletionByPodGC"), False, id="collected before its node said anything: no"),
        pytest.param(WAITS | evicted("EvictionByEvictionAPI"), True, id="evicted before it ran: yes"),
        pytest.param({"reason": "OutOfcpu"}, True, id="not admitted by its node: yes"),
        pytest.param({"containerStatuses": None, "conditions": None}, True, id="nothing said: yes"),
    ],
)
def test_a_pod_of_phase_failed_has_ended(status, ended):
    of = raw("Failed")
    assert seen_pod(of | {"status": of["status"] | status}).ended is ended


@pytest.mark.parametrize(
    ("node", "removed", "never_ran"),
    [
        pytest.param({}, True, True, id="removed before a node had it: it never ran"),
        pytest.param({"nodeName": "local"}, True, False, id="removed from a node: nobody knows"),
        pytest.param({}, False, False, id="it waits for a node: it may run yet"),
    ],
)
def test_of_a_pod_it_is_known_that_it_never_ran(node, removed, never_ran):
    assert seen_pod(raw("Pending") | {"spec": node}, removed=removed).never_ran is never_ran


def test_a_pod_that_is_being_deleted_says_until_when_it_may_take():
    seen = seen_pod(raw(deletionTimestamp="2026-11-24T10:00:31Z"))
    assert seen.killed_by == datetime(2026, 11, 24, 10, 0, 31, tzinfo=UTC)
