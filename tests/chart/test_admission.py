"""A real API server takes what the chart renders, in a namespace that enforces Pod Security `restricted`."""

import copy
import json
from collections.abc import Iterator

import pytest
import yaml
from tests.chart.conftest import NAMESPACE, Helm
from tools.chart.generate import INSTALL, INSTALL_NAMESPACE

from devcluster.cluster.cluster import Cluster
from devcluster.failure import LocalClusterError
from devcluster.waiting import wait_until

SECURED = "pod-security.kubernetes.io/enforce=restricted"


@pytest.fixture(scope="module")
def secured(cluster: Cluster) -> Iterator[Cluster]:
    """A control plane with the namespaces of all cases."""
    for name in (NAMESPACE, "lab-a", "lab-b"):
        cluster.kubectl("create", "namespace", name)
        cluster.kubectl("label", "namespace", name, SECURED)
        account = ("serviceaccount", "default", f"--namespace={name}")
        assert wait_until(lambda account=account: bool(cluster.kubectl.get(*account)), seconds=60)
    yield cluster
    for name in (NAMESPACE, "lab-a", "lab-b"):
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def test_every_object_passes_strict_validation(secured: Cluster, helm: Helm, values):
    objects = helm.objects(values)
    make_accounts(secured, objects)
    check = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    said = secured.kubectl(*check, "--filename=-", stdin=yaml.safe_dump_all(objects)).stdout

    assert len(said.splitlines()) == len(objects)


def test_install_yaml_passes_as_well(secured: Cluster):
    secured.kubectl("create", "namespace", INSTALL_NAMESPACE)
    make_accounts(
        secured, [found for found in yaml.safe_load_all(INSTALL.read_text(encoding="utf-8")) if found]
    )

    check = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    secured.kubectl(*check, f"--filename={INSTALL}")


def test_every_pod_is_admitted_under_restricted(secured: Cluster, helm: Helm, values):
    objects = helm.objects(values)
    make_accounts(secured, objects)
    pods = list(pods_of(objects))

    assert len(pods) >= 3
    for pod in pods:
        secured.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))


def make_accounts(cluster: Cluster, objects) -> None:
    """Make the namespaces of the release, and the ServiceAccounts, without which no pod is looked at."""
    for kind in ("Namespace", "ServiceAccount"):
        found = [each for each in objects if each["kind"] == kind]
        if found:
            cluster.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(found))


def pods_of(objects):
    """Yield each pod that the objects lead to."""
    for found in objects:
        template = found if found["kind"] == "Pod" else found.get("spec", {}).get("template")
        if template and "containers" in template.get("spec", {}):
            pod = copy.deepcopy(template)
            name = f"{found['kind'].lower()}-{found['metadata']['name']}"
            pod["metadata"] = {"name": name, "namespace": NAMESPACE, "labels": template["metadata"]["labels"]}
            yield {"apiVersion": "v1", "kind": "Pod"} | pod


def test_a_pod_that_is_privileged_would_not_be(secured: Cluster, helm: Helm):
    pod = next(pods_of(helm.objects({})))
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True

    with pytest.raises(LocalClusterError, match="restricted"):
        secured.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
