"""OpenShift's SCC `restricted-v2`, whose rules are written down here, takes all pods."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.chart.conftest import CASES, RELEASE, Helm
from tests.chart.test_rendering import pod_specs
from tests.unit.domain.builders import engine, trial

from lcm_operator.controllers import settings
from lcm_operator.controllers.settings import Settings
from lcm_operator.domain.manifests import engine_pod

EXAMPLE = "as in examples/openshift.yaml"
ON_OPENSHIFT = "--api-versions=security.openshift.io/v1"
VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"),
    "secret",
}


def scc_faults(spec: dict[str, Any]) -> Iterator[str]:
    """Yield what `restricted-v2` rejects in a pod. Namespaces have different IDs: no number fits."""
    security = spec.get("securityContext", {})
    yield from (f"{field}: true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field))
    yield from (f"pod {field}" for field in ("runAsUser", "fsGroup", "seLinuxOptions") if field in security)
    if security.get("seccompProfile", {}).get("type", "RuntimeDefault") != "RuntimeDefault":
        yield "pod seccompProfile"
    for volume in spec.get("volumes", []):
        yield from (f"volume {kind}" for kind in volume.keys() - {"name"} - VOLUMES)
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        yield from (f"{container['name']} {fault}" for fault in container_faults(container))


def container_faults(container: dict[str, Any]) -> Iterator[str]:
    security = container.get("securityContext", {})
    yield from (field for field in ("runAsUser", "seLinuxOptions") if field in security)
    if security.get("privileged") or security.get("allowPrivilegeEscalation") is not False:
        yield "privileges"
    capabilities = security.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
    if security.get("seccompProfile", {}).get("type", "RuntimeDefault") != "RuntimeDefault":
        yield "seccompProfile"
    yield from ("hostPort" for port in container.get("ports", []) if "hostPort" in port)


def operator_settings(objects: list[dict[str, Any]]) -> Settings:
    """Return the settings that the operator reads from the environment that the chart gives it."""
    (container,) = (
        container
        for spec in pod_specs(objects)
        for container in spec["containers"]
        if container["name"] == "operator"
    )
    return settings.read({each["name"]: each.get("value", "a-pod") for each in container["env"]}).checked()


def rendered_on_openshift(helm: Helm) -> list[dict[str, Any]]:
    return list(
        yaml.safe_load_all(helm("template", {"crds": {"enabled": False}}, RELEASE, ON_OPENSHIFT).stdout)
    )


def engine_pod_spec(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the spec of an engine pod that the operator makes with the chart's defaults."""
    chosen = operator_settings(objects)
    made = engine(trial(engine={"template": dict(chosen.engine_template)}))
    spec: dict[str, Any] = engine_pod(made, 1, "image", user_id=chosen.engine_user_id)["spec"]
    return spec


@pytest.mark.parametrize(
    "render",
    [
        pytest.param(lambda helm: helm.objects(CASES[EXAMPLE]), id="the example"),
        pytest.param(rendered_on_openshift, id="found out by itself"),
    ],
)
def test_restricted_v2_takes_all_pods(helm: Helm, render):
    objects = render(helm)
    specs = [*pod_specs(objects), engine_pod_spec(objects)]

    assert len(specs) >= 4
    assert [fault for spec in specs for fault in scc_faults(spec)] == []
    assert all(spec["securityContext"]["runAsNonRoot"] for spec in specs)


def test_restricted_v2_would_reject_the_fixed_user_of_other_platforms(helm: Helm):
    objects = helm.objects({})

    assert set(scc_faults(engine_pod_spec(objects))) == {"pod runAsUser", "pod fsGroup"}
    assert {fault for spec in pod_specs(objects) for fault in scc_faults(spec)} == {
        "pod runAsUser",
        "pod fsGroup",
    }


def test_dns_is_reached_at_the_port_of_openshift(helm: Helm):
    policies = [found["spec"] for found in rendered_on_openshift(helm) if found["kind"] == "NetworkPolicy"]
    ports = [{port["port"] for port in spec["egress"][0]["ports"]} for spec in policies if "egress" in spec]

    assert {53, 5353} in ports


def test_the_operator_accepts_the_settings_of_every_render(helm: Helm, values):
    chosen = operator_settings(helm.objects(values))

    assert chosen.engine_template["spec"]["containers"][0]["resources"]["requests"]["memory"]
