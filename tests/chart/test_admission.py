"""A real API server takes what the chart renders, in a namespace that enforces Pod Security `restricted`."""

import copy
import json
from collections.abc import Iterator

import pytest
import yaml
from tests.chart.conftest import CASES, NAMESPACE, Helm
from tests.chart.test_openshift import engine_pod_spec
from tests.chart.value_groups import GROUPS, values_of
from tools.chart.generate import INSTALL, INSTALL_NAMESPACE
from tools.chart.programs import GATEWAY_API, PROMETHEUS_OPERATOR

from devcluster.cluster.cluster import Cluster
from devcluster.failure import LocalClusterError
from devcluster.programs.building import downloaded
from devcluster.waiting import wait_until

SECURED = "pod-security.kubernetes.io/enforce=restricted"
NAMESPACES = (NAMESPACE, "lab-a", "lab-b", "leases", "elsewhere")
CHECK = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
RUNTIME_CLASS = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "gvisor"},
    "handler": "runsc",
}


@pytest.fixture(scope="module")
def secured(cluster: Cluster) -> Iterator[Cluster]:
    """A control plane with the namespaces of all cases, and what else they refer to."""
    foreign = [downloaded(GATEWAY_API, print) / "gateway.networking.k8s.io_httproutes.yaml"]
    monitoring = downloaded(PROMETHEUS_OPERATOR, print)
    foreign += [
        monitoring / f"monitoring.coreos.com_{kind}.yaml" for kind in ("servicemonitors", "prometheusrules")
    ]
    crds = [f"--filename={file}" for file in foreign]
    cluster.kubectl("apply", "--server-side", *crds)
    cluster.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(RUNTIME_CLASS))
    for name in NAMESPACES:
        cluster.kubectl("create", "namespace", name)
        cluster.kubectl("label", "namespace", name, SECURED)
        account = ("serviceaccount", "default", f"--namespace={name}")
        assert wait_until(lambda account=account: bool(cluster.kubectl.get(*account)), seconds=60)
    cluster.kubectl("wait", "--for=condition=Established", *crds)
    yield cluster
    cluster.kubectl("delete", "--wait=false", *crds)
    cluster.kubectl("delete", "runtimeclass/gvisor")
    for name in NAMESPACES:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def objects(helm: Helm):
    """Return all objects of all cases, each different one once: a check of each render takes too long."""
    rendered = [each for given in CASES.values() for each in helm.objects(given)]
    rendered += [each for group in GROUPS.values() for each in helm.objects(values_of(group))]
    return list({json.dumps(each, sort_keys=True): each for each in rendered}.values())


def test_every_object_passes_strict_validation(secured: Cluster, objects):
    make_accounts(secured, objects)
    said = secured.kubectl(*CHECK, "--filename=-", stdin=as_yaml(objects)).stdout

    assert len(said.splitlines()) == len(objects) > 200


def test_install_yaml_passes_as_well(secured: Cluster):
    secured.kubectl("create", "namespace", INSTALL_NAMESPACE)
    make_accounts(
        secured, [found for found in yaml.safe_load_all(INSTALL.read_text(encoding="utf-8")) if found]
    )

    secured.kubectl(*CHECK, f"--filename={INSTALL}")


def test_every_pod_is_admitted_under_restricted(secured: Cluster, objects):
    make_accounts(secured, objects)
    pods = list(pods_of(objects))

    assert len(pods) > 30
    said = secured.kubectl(
        "create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump_all(pods)
    ).stdout
    assert len(said.splitlines()) == len(pods)


def test_the_default_pod_of_an_engine_passes_strict_validation(secured: Cluster, helm: Helm):
    objects = helm.objects({})
    make_accounts(secured, objects)
    metadata = {"name": "engine", "namespace": NAMESPACE}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": engine_pod_spec(objects)}

    secured.kubectl("create", *CHECK[-2:], "--filename=-", stdin=json.dumps(pod))


def as_yaml(objects) -> str:
    return yaml.dump_all(objects, Dumper=yaml.CSafeDumper)


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
