"""How pods end on the local node when somebody deletes them."""

import time

import pytest
from tests.cluster.node_harness import LOOK, terminated

from devcluster.waiting import wait_until

POLITE = "trap 'echo told; exit 3' TERM; echo begun; sleep 600 & wait"
DEAF = "trap '' TERM; echo begun; while :; do sleep 600; done"


@pytest.fixture
def begin(node, pods):
    """Create a pod that stays readable after its end, and wait until its script has begun."""
    names = []

    def create(name, script, **spec):
        names.append(name)
        created = pods.create(name, "sh", "-c", script, metadata={"finalizers": [LOOK]}, **spec)
        assert wait_until(lambda: "begun" in node.log_of(pods.namespace, name), seconds=60)
        return created

    yield create
    for name in names:
        pods.release(name)


def wait_for_end(pods, name):
    """Return the pod when the node is through with it."""
    return pods.wait(name, lambda pod: pod["metadata"].get("deletionGracePeriodSeconds") == 0)


def test_deleted_pod_gets_sigterm_and_its_end_is_reported_before_removal(node, pods, begin):
    begin("polite", POLITE)
    pods.delete("polite")
    pod = wait_for_end(pods, "polite")

    assert (pod["status"]["phase"], terminated(pod)["exitCode"]) == ("Failed", 3)
    assert "told" in node.log_of(pods.namespace, "polite")


def test_a_deleted_pod_that_ends_well_has_succeeded(pods, begin):
    begin("good", "trap 'exit 0' TERM; echo begun; sleep 600 & wait")
    pods.delete("good")

    assert wait_for_end(pods, "good")["status"]["phase"] == "Succeeded"


def test_a_deleted_pod_that_does_not_listen_is_killed_after_its_grace_period(pods, begin):
    begin("deaf", DEAF)
    deleted = time.monotonic()
    pods.delete("deaf", grace=2)
    pod = wait_for_end(pods, "deaf")

    assert time.monotonic() - deleted >= 2
    assert (terminated(pod)["exitCode"], terminated(pod)["signal"]) == (137, 9)


def test_a_second_deletion_makes_the_grace_period_shorter(pods, begin):
    begin("hurried", DEAF)
    pods.delete("hurried", grace=600)
    pods.wait("hurried", lambda pod: "deletionTimestamp" in pod["metadata"])
    pods.delete("hurried", grace=1)

    assert terminated(wait_for_end(pods, "hurried"))["exitCode"] == 137


def test_a_pod_removed_by_force_is_killed_at_once(node, pods):
    pods.create("forced", "sh", "-c", DEAF)
    pod = pods.wait_phase("forced", "Running")
    assert wait_until(lambda: "begun" in node.log_of(pods.namespace, "forced"), seconds=60)
    pods.delete("forced", grace=0)

    pods.wait_gone("forced")
    assert wait_until(lambda: not (node.root / "pods" / pod["metadata"]["uid"]).exists(), seconds=10)


def test_a_pod_deleted_while_it_waits_is_simply_removed(pods):
    missing = {"configMapRef": {"name": "missing"}}
    pods.create("waiting", "true", metadata={"finalizers": [LOOK]}, container={"envFrom": [missing]})
    pods.wait("waiting", lambda pod: bool(pod["status"].get("containerStatuses")))
    pods.delete("waiting")
    pod = wait_for_end(pods, "waiting")
    pods.release("waiting")

    assert pod["status"]["phase"] == "Pending"


@pytest.mark.parametrize(
    ("command", "phase"),
    [
        pytest.param(("true",), "Succeeded", id="after it ended"),
        pytest.param((), "Failed", id="after it was refused"),
    ],
)
def test_a_pod_that_is_over_is_removed_when_it_is_deleted(pods, command, phase):
    pods.create("over", *command)
    pods.wait_phase("over", phase)
    pods.delete("over")

    pods.wait_gone("over", seconds=5)


def test_a_new_pod_of_the_same_name_is_another_pod(node, pods):
    for text in ("first", "second"):
        pods.create("again", "echo", text)
        pods.wait_phase("again", "Succeeded")
        pods.delete("again")
        pods.wait_gone("again")

    assert node.log_of(pods.namespace, "again") == "first\nsecond\n"


def test_what_the_pod_left_in_other_sessions_ends_with_it(node, pods, begin):
    begin("messy", "setsid sleep 600 & echo $! begun; wait")
    pids = [word for word in node.log_of(pods.namespace, "messy").split() if word.isdigit()]
    pods.delete("messy")
    wait_for_end(pods, "messy")

    assert len(pids) == 1
    assert not node.lives(int(pids[0]))
