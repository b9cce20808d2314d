"""Where the API server serves a kind."""

import pytest

from lcm_operator.kube.resources import NODES, PODS, TRIALS


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(PODS.path("lab"), "/api/v1/namespaces/lab/pods", id="the pods of a namespace"),
        pytest.param(PODS.path("lab", "p"), "/api/v1/namespaces/lab/pods/p", id="a pod"),
        pytest.param(PODS.path(), "/api/v1/pods", id="all pods"),
        pytest.param(
            TRIALS.path("lab", "t", "status"),
            "/apis/lcm.5gdrones.eu/v1alpha1/namespaces/lab/trials/t/status",
            id="the status of a Trial",
        ),
        pytest.param(NODES.path("lab", "n"), "/api/v1/nodes/n", id="a node, which has no namespace"),
    ],
)
def test_the_path_of(path, expected):
    assert path == expected
