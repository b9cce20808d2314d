"""What a pod finds on the local node, and what the node reports of it."""

# ruff: noqa: S108 - mount paths of pods; they lie elsewhere in truth

import json
import sys
from pathlib import Path

import pytest
from tests.cluster.node_harness import NAME, conditions, terminated

from devcluster.waiting import wait_until

SHOW_ENVIRONMENT = ("python", "-c", "import json, os; print(json.dumps(dict(os.environ)))")


def environment(node, pods, name):
    pods.wait_phase(name, "Succeeded")
    return json.loads(node.log_of(pods.namespace, name))


def test_a_pod_that_nobody_placed_is_bound_runs_and_succeeds(pods):
    pods.create("simple", "true")
    pod = pods.wait_phase("simple", "Succeeded")

    assert pod["spec"]["nodeName"] == NAME
    assert (pod["status"]["podIP"], pod["status"]["hostIP"]) == ("127.0.0.1", "127.0.0.1")
    end = terminated(pod)
    assert (end["exitCode"], end["reason"]) == (0, "Completed")
    assert pod["status"]["startTime"] <= end["startedAt"] <= end["finishedAt"]
    assert conditions(pod) == {
        "PodScheduled": "True",
        "PodReadyToStartContainers": "False",
        "Initialized": "True",
        "ContainersReady": "False",
        "Ready": "False",
    }


def test_a_pod_of_another_scheduler_is_left_alone(pods):
    pods.create("foreign", "true", schedulerName="another")
    pods.create("ours", "true")
    pods.wait_phase("ours", "Succeeded")

    assert "nodeName" not in pods.get("foreign")["spec"]


def test_a_running_pod_is_ready(pods):
    pods.create("running", "sleep", "600")
    pod = pods.wait_phase("running", "Running")

    assert conditions(pod)["Ready"] == "True"
    assert "startedAt" in pod["status"]["containerStatuses"][0]["state"]["running"]


@pytest.mark.parametrize(
    ("script", "code", "by_signal"),
    [
        pytest.param("exit 7", 7, None, id="an exit code"),
        pytest.param("kill -KILL $$$$", 137, 9, id="a signal"),
    ],
)
def test_a_pod_that_fails_says_how(pods, script, code, by_signal):
    pods.create("failing", "sh", "-c", script)
    end = terminated(pods.wait_phase("failing", "Failed"))

    assert (end["exitCode"], end.get("signal"), end["reason"]) == (code, by_signal, "Error")


def test_output_is_written_to_the_log_of_the_container_in_its_order(node, pods):
    pods.create("talking", "sh", "-c", "echo one; echo two >&2; echo three")
    pods.wait_ended("talking")

    assert node.log_of(pods.namespace, "talking") == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("path", "policy", "message"),
    [
        pytest.param("/dev/termination-log", "File", "written", id="written to where Kubernetes expects it"),
        pytest.param("/run/last-words", "File", "written", id="written to a file of the pod's choice"),
        pytest.param("/none", "FallbackToLogsOnError", "logged\n", id="the end of the log"),
    ],
)
def test_the_termination_message(pods, path, policy, message):
    script = f"test {path} = /none || printf written >{path}; echo logged; exit 1"
    pods.create(
        "speaking",
        "sh",
        "-c",
        script,
        container={"terminationMessagePolicy": policy}
        | ({} if path == "/none" else {"terminationMessagePath": path}),
    )

    assert terminated(pods.wait_ended("speaking"))["message"] == message


def test_the_environment_is_the_pods_and_nothing_of_the_nodes(node, pods, cluster):
    pods.create("clean", *SHOW_ENVIRONMENT)
    found = environment(node, pods, "clean")

    assert set(found) == {
        *("PATH", "HOME", "LANG", "HOSTNAME", "KUBERNETES_SERVICE_HOST"),
        *("KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS"),
    }
    assert found["HOSTNAME"] == "clean"
    assert found["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert cluster.server.endswith(f"//{found['KUBERNETES_SERVICE_HOST']}:{found['KUBERNETES_SERVICE_PORT']}")


def test_environment_from_everywhere(node, pods, cluster):
    where = f"--namespace={pods.namespace}"
    cluster.kubectl("create", "configmap", "settings", "--from-literal=COLOUR=red", where)
    cluster.kubectl("create", "secret", "generic", "keys", "--from-literal=password=xyz", where)
    field = lambda path: {"valueFrom": {"fieldRef": {"fieldPath": path}}}  # noqa: E731
    pod = pods.create(
        "asking",
        *SHOW_ENVIRONMENT,
        metadata={"labels": {"a/b": "label"}, "annotations": {"note": "annotated"}},
        container={
            "envFrom": [
                {"configMapRef": {"name": "settings"}, "prefix": "MY_"},
                {"secretRef": {"name": "missing", "optional": True}},
            ],
            "env": [
                {"name": "NAME", **field("metadata.name")},
                {"name": "NAMESPACE", **field("metadata.namespace")},
                {"name": "UID", **field("metadata.uid")},
                {"name": "LABEL", **field("metadata.labels['a/b']")},
                {"name": "ANNOTATION", **field("metadata.annotations['note']")},
                {"name": "NODE", **field("spec.nodeName")},
                {"name": "ACCOUNT", **field("spec.serviceAccountName")},
                {"name": "ADDRESS", **field("status.podIP")},
                {"name": "HOST", **field("status.hostIP")},
                {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOUR"}}},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
                {
                    "name": "ABSENT",
                    "valueFrom": {"secretKeyRef": {"name": "keys", "key": "none", "optional": True}},
                },
                {"name": "JOINED", "value": "$(NAME)/$(MY_COLOUR)/$$(NAME)/$(LATER)"},
                {"name": "LATER", "value": "x"},
            ],
        },
    )
    found = environment(node, pods, "asking")

    expected = {
        "NAME": "asking",
        "NAMESPACE": pods.namespace,
        "UID": pod["metadata"]["uid"],
        "LABEL": "label",
        "ANNOTATION": "annotated",
        "NODE": NAME,
        "ACCOUNT": "default",
        "ADDRESS": "127.0.0.1",
        "HOST": "127.0.0.1",
        "COLOUR": "red",
        "MY_COLOUR": "red",
        "PASSWORD": "xyz",
        "JOINED": "asking/red/$(NAME)/$(LATER)",
        "LATER": "x",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "ABSENT" not in found


def test_command_and_args_are_expanded(node, pods):
    pods.create(
        "expanding",
        *("echo", "$(WHO)"),
        container={"args": ["$(WHO)", "$$(WHO)"], "env": [{"name": "WHO", "value": "me"}]},
    )
    pods.wait_ended("expanding")

    assert node.log_of(pods.namespace, "expanding") == "me me $(WHO)\n"


def test_a_pod_waits_for_what_it_refers_to_and_says_so(pods, cluster):
    settings = {"configMapKeyRef": {"name": "late", "key": "a"}}
    pods.create(
        "waiting", "sh", "-c", "test $A = 1", container={"env": [{"name": "A", "valueFrom": settings}]}
    )

    def waits(pod):
        return [item["state"].get("waiting", {}) for item in pod["status"].get("containerStatuses", [])]

    why = waits(pods.wait("waiting", lambda pod: bool(waits(pod))))[0]
    assert (why["reason"], why["message"]) == ("CreateContainerConfigError", 'ConfigMap "late" not found')
    cluster.kubectl("create", "configmap", "late", "--from-literal=a=1", f"--namespace={pods.namespace}")
    pods.wait_phase("waiting", "Succeeded")


def test_init_containers_run_one_by_one_before_the_others(node, pods):
    inits = [
        {"name": f"init-{n}", "image": "none", "command": ["sh", "-c", f"echo {n} >>/tmp/x"]} for n in (1, 2)
    ]
    tmp = {"volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}
    pods.create(
        "stepwise",
        *("cat", "/tmp/x"),
        initContainers=[item | tmp for item in inits],
        volumes=[{"name": "tmp", "emptyDir": {}}],
        container=tmp,
    )
    pod = pods.wait_phase("stepwise", "Succeeded")

    assert node.log_of(pods.namespace, "stepwise") == "1\n2\n"
    codes = [item["state"]["terminated"]["exitCode"] for item in pod["status"]["initContainerStatuses"]]
    assert codes == [0, 0]


def test_after_a_failed_init_container_nothing_else_begins(node, pods):
    failing = {"name": "init", "image": "none", "command": ["sh", "-c", "exit 4"]}
    pods.create("stuck", "echo", "begun", initContainers=[failing])
    pod = pods.wait_phase("stuck", "Failed")

    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert "waiting" in pod["status"]["containerStatuses"][0]["state"]
    assert node.log_of(pods.namespace, "stuck") == ""


def test_several_containers_run_at_the_same_time_and_all_must_succeed(pods):
    tmp = {"volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}
    meet = "touch /tmp/{0}; while ! test -e /tmp/{1}; do sleep 0.05; done; exit {2}"
    both = [
        {"name": name, "image": "none", "command": ["sh", "-c", meet.format(name, other, code)], **tmp}
        for name, other, code in (("a", "b", 0), ("b", "a", 9))
    ]
    pods.create("pair", containers=both, volumes=[{"name": "tmp", "emptyDir": {}}])
    pod = pods.wait_phase("pair", "Failed")

    assert [terminated(pod, n)["exitCode"] for n in (0, 1)] == [0, 9]


def test_a_pod_past_its_deadline_is_ended_and_failed(pods):
    pods.create("long", "sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait", activeDeadlineSeconds=1)
    pod = pods.wait_phase("long", "Failed")

    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert terminated(pod)["exitCode"] == 0


def test_a_hundred_pods_at_once_all_run_once(node, pods):
    for number in range(100):
        pods.create(f"many-{number}", "sh", "-c", "echo begun")

    assert wait_until(
        lambda: sum(pod["status"].get("phase") == "Succeeded" for pod in pods.all()) == 100, seconds=90
    )
    assert {node.log_of(pods.namespace, f"many-{number}") for number in range(100)} == {"begun\n"}
