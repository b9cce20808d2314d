"""Every value of the chart does what its description says, where it says."""

import json
import re
from typing import Any

import pytest
from tests.chart.conftest import Helm
from tests.chart.value_cases import ABSENT, Case, Group
from tests.chart.value_groups import GROUPS, values_of
from tools.chart import values

CASES = [pytest.param(group, case, id=case.value) for group in GROUPS.values() for case in group.cases]


@pytest.fixture
def rendered(helm: Helm):
    """Return the objects that values lead to, by kind and name."""
    return lambda given: {f"{each['kind']}/{each['metadata']['name']}": each for each in helm.objects(given)}


def found(objects: dict[str, Any], place: str) -> Any:
    """Return what is at a place in the render, or ABSENT."""
    name, _, path = place.partition(":")
    at: Any = objects.get(name, ABSENT)
    for inside, key in re.findall(r"\[([^\]]+)\]|([^.\[]+)", path):
        at = item(at, inside or key)
    return at


def item(at: Any, key: str) -> Any:
    if isinstance(at, str) and at.startswith("{"):  # the engines' template
        at = json.loads(at)
    if isinstance(at, list):
        if key.isdecimal():
            return at[int(key)] if int(key) < len(at) else ABSENT
        return next((each for each in at if each.get("name") == key), ABSENT)
    return at.get(key, ABSENT) if isinstance(at, dict) else ABSENT


@pytest.mark.parametrize(("group", "case"), CASES)
def test_a_value_changes_the_render_where_it_says(rendered, group: Group, case: Case):
    assert found(rendered(values_of(group)), case.place) == case.expected
    assert found(rendered(group.needs), case.place) != case.expected


@pytest.mark.parametrize(
    "key", ["no", False, "false"], ids=["quoted", "as YAML 1.1 reads it", "as Helm has it"]
)
def test_hosts_without_proxy_can_be_given_by_a_key_without_quotes(rendered, key):
    objects = rendered({"proxy": {"http": "http://proxy.example:3128", key: "registry.lab,10.0.0.0/8"}})
    place = "Deployment/lcm-lcm-operator:spec.template.spec.containers[operator].env[NO_PROXY].value"

    assert found(objects, place).startswith("registry.lab,10.0.0.0/8,localhost,")


def test_ports_of_proxy_and_registry_are_open_for_operator_and_rest(rendered):
    objects = rendered(
        {
            "proxy": {"https": "http://proxy.example:3128"},
            "rest": {"standalone": True},
            "trialRegistry": {"enabled": True, "spec": {"url": "https://[fd00::1]:8443/api"}},
        }
    )
    for name in ("lcm-lcm-operator", "lcm-lcm-operator-rest"):
        ports = found(objects, f"NetworkPolicy/{name}:spec.egress[1].ports")
        assert {3128, 8443} <= {each["port"] for each in ports}


@pytest.mark.parametrize(("url", "port"), [("http://registry.lab", 80), ("https://[fd00::1]/api", 443)])
def test_ports_that_a_url_leaves_out_are_open_too(rendered, url, port):
    objects = rendered(
        {
            "networkPolicy": {"registryPorts": [8443], "apiServerPorts": [6443]},
            "trialRegistry": {"enabled": True, "spec": {"url": url}},
        }
    )
    ports = found(objects, "NetworkPolicy/lcm-lcm-operator:spec.egress[1].ports")

    assert [each["port"] for each in ports] == [6443, 8443, port]


def test_a_proxy_from_a_secret_replaces_that_of_the_values(rendered):
    secret = {"name": "HTTPS_PROXY", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}}
    proxy = {"https": "http://proxy.example:3128"}
    objects = rendered({"proxy": proxy, "operator": {"extraEnv": [secret]}})
    place = "Deployment/lcm-lcm-operator:spec.template.spec.containers[operator].env"

    assert found(objects, f"{place}[HTTPS_PROXY]") == secret
    assert found(objects, f"{place}[https_proxy]") is ABSENT  # it would count before


def test_hosts_without_proxy_count_for_a_proxy_from_a_secret(rendered):
    objects = rendered({"proxy": {"no": ["lab.example"]}})
    place = "Deployment/lcm-lcm-operator:spec.template.spec.containers[operator].env[NO_PROXY].value"

    assert found(objects, place).startswith("lab.example,localhost,")


def test_a_proxy_that_is_itself_reached_by_https_is_rejected(helm: Helm):
    done = helm("template", {"proxy": {"https": "https://proxy.example:3129"}}, "lcm")

    assert done.returncode != 0
    assert "/proxy/https" in done.stderr


def test_a_registry_without_an_address_is_rejected(helm: Helm):
    done = helm("template", {"trialRegistry": {"enabled": True}}, "lcm")

    assert done.returncode != 0
    assert "trialRegistry.spec.url: set the address" in done.stderr


def test_labels_of_pods_cannot_replace_those_that_select_them(helm: Helm):
    text = helm.text({"podLabels": {"app.kubernetes.io/name": "other"}})

    assert "app.kubernetes.io/name: other" not in text
    for deployment in re.findall(r"kind: Deployment\n.*?(?=\n---|\Z)", text, re.DOTALL):
        labels = re.findall(r"\n      labels:((?:\n {8}.*)+)", deployment)
        assert labels[0].count("app.kubernetes.io/name:") == 1


def test_common_labels_and_annotations_are_on_all_objects(helm: Helm, values):
    common = {"commonLabels": {"team": "lab"}, "commonAnnotations": {"owner": "ops"}}
    for each in helm.objects(values | common):
        if not each["metadata"]["name"].endswith("-trusted-ca"):  # of extraObjects, which are the user's own
            assert each["metadata"]["labels"]["team"] == "lab", each["metadata"]["name"]
            assert each["metadata"]["annotations"]["owner"] == "ops", each["metadata"]["name"]


def test_nothing_is_in_the_release_s_namespace_if_another_one_is_chosen(helm: Helm, values):
    objects = helm.objects(values | {"namespaceOverride": "elsewhere"})
    places = {each["metadata"].get("namespace", "") for each in objects}

    assert "elsewhere" in places
    assert "lcm-home" not in places


def test_every_value_has_a_case():
    named = [case.value for group in GROUPS.values() for case in group.cases]

    assert sorted(named) == sorted(path for path, _ in values.leaves(values.load()))


def test_every_value_has_a_default_and_a_description():
    leaves = dict(values.leaves(values.load()))

    assert [path for path, field in leaves.items() if not {"default", "description"} <= field.keys()] == []
