"""The local node is killed, stopped or left without an API server: no pod ends or begins by that."""

import signal

import pytest
from tests.cluster.node_harness import LOOK, NAME, terminated

from devcluster.cluster.components import API_SERVER
from devcluster.node.files import pod_files
from devcluster.node.reaping import reap
from devcluster.node.supervisor import Supervisor
from devcluster.waiting import wait_until

UNTIL_FILE_EXISTS = "echo begun; while ! test -e /tmp/go; do sleep 0.05; done; echo ended; exit 5"
TMP = {
    "volumes": [{"name": "tmp", "emptyDir": {}}],
    "container": {"volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]},  # noqa: S108
}


@pytest.fixture
def away(node):
    """Take the node away by this signal; it comes back at the end of the test at the latest."""
    gone = []

    def end(number=signal.SIGKILL):
        node.end(number)
        gone.append(True)

    def back():
        if gone:
            gone.clear()
            node.start()

    end.back = back
    yield end
    back()


def begin(node, pods, name, script=UNTIL_FILE_EXISTS, **spec):
    pod = pods.create(name, "sh", "-c", script, **{**TMP, **spec})
    pods.wait_phase(name, "Running")
    assert wait_until(lambda: "begun" in node.log_of(pods.namespace, name), seconds=60)
    return files_of(node, pod)


def files_of(node, pod):
    return pod_files(node.root, pod["metadata"]["uid"])


def create_file(files):
    (files.volumes / "tmp" / "go").touch()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
@pytest.mark.parametrize("ends", ["while the node is away", "after it came back"])
def test_a_pod_continues_without_the_node_and_its_exit_code_is_reported(node, pods, away, number, ends):
    files = begin(node, pods, "steady")
    away(number)
    if ends == "while the node is away":
        create_file(files)
        assert wait_until(lambda: "ended" in node.log_of(pods.namespace, "steady"), seconds=30)
        away.back()
    else:
        away.back()
        create_file(files)
    pod = pods.wait_phase("steady", "Failed")

    assert terminated(pod)["exitCode"] == 5
    assert node.log_of(pods.namespace, "steady") == "begun\nended\n"


def test_pod_whose_processes_ended_while_the_node_was_away_has_failed(node, pods, away):
    files = begin(node, pods, "lost")
    away()
    with Supervisor.of(files.container("engine")) as supervisor:
        supervisor.kill_itself()
        supervisor.wait(10)
    away.back()
    pod = pods.wait_phase("lost", "Failed")

    assert (pod["status"]["reason"], terminated(pod)["reason"]) == ("ProcessLost", "ProcessLost")
    assert node.log_of(pods.namespace, "lost") == "begun\n"


def test_pod_that_had_begun_before_its_files_were_lost_is_not_run_again(node, pods, away):
    files = begin(node, pods, "forgotten")
    away()
    reap(node.root, 0)
    files.remove()
    away.back()

    assert pods.wait_phase("forgotten", "Failed")["status"]["reason"] == "ProcessLost"
    assert node.log_of(pods.namespace, "forgotten") == "begun\n"


def test_pods_created_while_the_node_was_away_run_when_it_is_back(pods, away):
    away()
    pods.create("patient", "true")
    away.back()

    pods.wait_phase("patient", "Succeeded")


def test_pod_that_was_noted_but_not_judged_before_a_kill_is_judged_again(node, pods, away):
    away()
    pod = pods.create("refused", "true", hostPID=True, nodeName=NAME)
    files_of(node, pod).note({"startedAt": 1.0})
    away.back()

    assert pods.wait_ended("refused")["status"]["reason"] == "LocalNodeCannotRun"


def test_a_pod_deleted_while_the_node_was_away_is_ended_when_it_is_back(node, pods, away):
    begin(
        node,
        pods,
        "late",
        "trap 'exit 6' TERM; echo begun; sleep 600 & wait",
        metadata={"finalizers": [LOOK]},
    )
    away()
    pods.delete("late")
    away.back()
    pod = pods.wait("late", lambda pod: pod["metadata"].get("deletionGracePeriodSeconds") == 0)
    pods.release("late")

    assert terminated(pod)["exitCode"] == 6


def test_pod_removed_by_force_while_the_node_was_away_is_killed_later(node, pods, away):
    files = begin(node, pods, "orphan", "trap '' TERM; echo begun; while :; do sleep 600; done")
    with Supervisor.of(files.container("engine")) as supervisor:
        away()
        pods.delete("orphan", grace=0)
        away.back()

        assert supervisor.wait(30)
    assert wait_until(lambda: not files.directory.exists(), seconds=10)


def test_pod_that_was_ending_when_the_node_was_killed_is_ended_by_the_next(node, pods, away):
    begin(node, pods, "deaf", "trap 'echo told' TERM; echo begun; while :; do sleep 600 & wait; done")
    pods.delete("deaf", grace=3)
    assert wait_until(lambda: "told" in node.log_of(pods.namespace, "deaf"), seconds=30)
    away()
    away.back()

    pods.wait_gone("deaf")


def test_the_deadline_of_a_pod_counts_while_the_node_is_away(node, pods, away):
    begin(node, pods, "bounded", activeDeadlineSeconds=2)
    away()
    away.back()

    assert pods.wait_phase("bounded", "Failed")["status"]["reason"] == "DeadlineExceeded"


def test_a_hundred_pods_and_a_node_killed_in_their_midst_each_begins_once(node, pods, away):
    for number in range(100):
        pods.create(f"many-{number}", "sh", "-c", "echo begun")
        if number == 50:
            away()
    away.back()

    def over():
        return sum(pod["status"].get("phase") in ("Succeeded", "Failed") for pod in pods.all()) == 100

    assert wait_until(over, seconds=90)
    phases = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in pods.all()}
    logs = {name: node.log_of(pods.namespace, name) for name in phases}
    assert set(phases.values()) == {"Succeeded"}
    assert set(logs.values()) == {"begun\n"}


def test_pods_run_on_without_an_api_server_and_are_reported_later(node, pods, cluster):
    files = begin(node, pods, "steady")
    cluster.stop(API_SERVER, signal.SIGKILL)
    try:
        create_file(files)
        assert wait_until(lambda: "ended" in node.log_of(pods.namespace, "steady"), seconds=30)
    finally:
        cluster.start(API_SERVER)
    pod = pods.wait_phase("steady", "Failed")

    assert terminated(pod)["exitCode"] == 5
    pods.create("next", "true")
    pods.wait_phase("next", "Succeeded")


def test_a_second_node_on_the_same_root_refuses_to_begin(node):
    done = node.run_another()

    assert done.returncode == 1
    assert "another node runs on" in done.stderr


def test_reaping_ends_all_pods_and_the_next_node_reports_that(node, pods, away):
    begin(node, pods, "reaped", "trap 'echo told; exit 4' TERM; echo begun; sleep 600 & wait")
    away()

    assert node.run_another("--reap").returncode == 0
    assert "told" in node.log_of(pods.namespace, "reaped")
    away.back()
    assert terminated(pods.wait_phase("reaped", "Failed"))["exitCode"] == 4
