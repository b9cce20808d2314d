"""Everything that a template may have is admitted by a real API server that enforces `restricted`."""

import json
from copy import deepcopy
from typing import Any

import pytest
from tests.unit.domain.builders import engine, trial
from tests.unit.domain.templates import ALLOWED

from devcluster.cluster.cluster import Cluster
from lcm_operator.domain.manifests import engine_pod

CLASSES = (
    {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 5},
    {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "handler": "runsc"},
)
CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def pod_of(template: dict[str, Any], user_id: int | None, namespace: str) -> dict[str, Any]:
    pod = engine_pod(engine(trial(engine={"template": template})), 1, "lcm-operator", (), user_id)
    pod["metadata"]["namespace"] = namespace
    return pod


@pytest.mark.parametrize("user_id", [65532, None], ids=["a fixed user", "the platform's user"])
@pytest.mark.parametrize("whole", [True, False], ids=["the largest template", "no template"])
def test_pod_is_admitted_with(cluster: Cluster, namespace: str, whole: bool, user_id: int | None):
    template = deepcopy(ALLOWED) if whole else {}
    if whole:
        template["spec"]["containers"][1]["securityContext"] = CONFINED
        template["spec"]["volumes"][4] = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": CLAIM}}
        for name, manifest in zip(("flights", "gvisor"), CLASSES, strict=True):
            cluster.kubectl(
                "apply", "--filename=-", stdin=json.dumps(manifest | {"metadata": {"name": name}})
            )
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, restricted)
    pod = json.dumps(pod_of(template, user_id, namespace))
    cluster.kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=pod)


CLAIM = {
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
