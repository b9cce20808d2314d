"""Pods that the local node can't run honestly are Failed with a reason that says so; nothing of them begins.

Field by field this is tests/unit/devcluster/node/test_refusals.py; here are the cases that people meet.
"""

import pytest


@pytest.mark.parametrize(
    ("command", "spec", "said"),
    [
        pytest.param((), {}, "the image none is not here", id="an image's own command"),
        pytest.param(
            ("/opt/engine/run",),
            {},
            "/opt/engine/run is not a program",
            id="a foreign path",
        ),
        pytest.param(
            ("no-such-engine",), {}, "no-such-engine does not exist on this machine", id="a foreign name"
        ),
        pytest.param(
            ("/etc/passwd",),
            {},
            "/etc/passwd is not a program",
            id="a file that is no program",
        ),
        pytest.param(
            ("true",),
            {"container": {"workingDir": "/opt/engine"}},
            "workingDir /opt/engine does not exist on this machine",
            id="a foreign working directory",
        ),
        pytest.param(("true",), {"restartPolicy": "Always"}, "only Never", id="restartPolicy Always"),
        pytest.param(("true",), {"hostNetwork": True}, "hostNetwork", id="the network of the host"),
        pytest.param(
            ("true",),
            {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]},
            "volume root: hostPath is not available here",
            id="a folder of the host",
        ),
        pytest.param(
            ("true",),
            {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]},
            "volume data: persistentVolumeClaim is not available here",
            id="a claimed volume",
        ),
        pytest.param(
            ("true",),
            {"initContainers": [{"name": "s", "image": "i", "command": ["true"], "restartPolicy": "Always"}]},
            "sidecars and restarts are not implemented yet",
            id="a native sidecar",
        ),
        pytest.param(
            ("true",),
            {"nodeSelector": {"disk": "ssd"}},
            "nodeSelector disk=ssd: the labels of this node don't fit",
            id="a label that the node hasn't",
        ),
    ],
)
def test_it_is_failed_with_the_reason(node, pods, command, spec, said):
    pods.create("refused", *command, **spec)
    status = pods.wait_ended("refused")["status"]

    assert (status["phase"], status["reason"]) == ("Failed", "LocalNodeCannotRun")
    assert said in status["message"]
    assert "containerStatuses" not in status
    assert node.log_of(pods.namespace, "refused") == ""


def test_a_refused_pod_shows_its_reason_where_people_look_first(pods, cluster):
    pods.create("refused")
    pods.wait_ended("refused")

    assert "LocalNodeCannotRun" in cluster.kubectl("get", "pods", f"--namespace={pods.namespace}").stdout
