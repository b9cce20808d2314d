"""The operator's settings, as they are read from the environment."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from lcm_operator.addresses import Address
from lcm_operator.controllers import settings
from lcm_operator.controllers.settings import Settings
from lcm_operator.settings import SettingsError


def read(environment: dict[str, str]) -> Settings:
    return settings.read(environment).checked()


def test_an_empty_environment_gives_the_defaults():
    assert read({}) == Settings()


def test_variables_that_are_empty_count_as_not_set():
    names = (
        "LCM_KUBECONFIG",
        "LCM_CONTEXT",
        "LCM_ARM_LEAD_SECONDS",
        "LCM_ENGINE_IMAGE",
        "LCM_HEALTH_ADDRESS",
        "LCM_POD_NAME",
        "LCM_WATCH_NAMESPACES",
    )
    assert read(dict.fromkeys(names, "")) == Settings()


def test_every_variable_is_read(tmp_path: Path):
    kubeconfig = tmp_path / "config"
    kubeconfig.touch()
    found = read(
        {
            "LCM_KUBECONFIG": str(kubeconfig),
            "LCM_CONTEXT": "lab",
            "LCM_ARM_LEAD_SECONDS": "300",
            "LCM_ENGINE_IMAGE": "registry/lcm:1",
            "LCM_HEALTH_ADDRESS": "127.0.0.1:8081",
            "LCM_POD_NAME": "operator-1",
            "LCM_WATCH_NAMESPACES": "trials-b, trials-a",
        }
    )
    assert found.kubeconfig == kubeconfig
    assert found.context == "lab"
    assert found.domain.engine_image == "registry/lcm:1"
    assert found.domain.arm_lead == timedelta(minutes=5)
    assert found.health == Address("127.0.0.1", 8081)
    assert found.pod_name == "operator-1"
    assert found.watch_namespaces == ("trials-b", "trials-a")


def test_all_namespaces_are_watched_unless_some_are_named():
    assert read({}).namespaces("lcm") == ()


def test_namespace_of_the_lease_is_watched_besides_those_that_are_named():
    found = read({"LCM_WATCH_NAMESPACES": "trials-b,trials-a,trials-b"})

    assert found.namespaces("lcm") == ("lcm", "trials-a", "trials-b")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param("a,,b", id="an empty name"),
        pytest.param("Trials", id="a capital"),
        pytest.param("trials*", id="a pattern"),
        pytest.param("!trials", id="what kopf takes for a negation"),
    ],
)
def test_no_namespace_is(names):
    with pytest.raises(SettingsError, match="LCM_WATCH_NAMESPACES"):
        read({"LCM_WATCH_NAMESPACES": names})


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("8080", id="a port alone"),
        pytest.param(":8080", id="no host"),
        pytest.param("host:", id="no port"),
        pytest.param("host:http", id="a port by name"),
        pytest.param("host:-1", id="a port below zero"),
        pytest.param("host:0", id="port zero"),
        pytest.param("host:99999", id="a port beyond the last"),
    ],
)
def test_an_address_is_refused_that_is(address):
    with pytest.raises(SettingsError, match="LCM_HEALTH_ADDRESS"):
        read({"LCM_HEALTH_ADDRESS": address})


def test_a_kubeconfig_that_is_no_file_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="LCM_KUBECONFIG"):
        read({"LCM_KUBECONFIG": str(tmp_path)})


def test_all_faults_are_reported_together():
    with pytest.raises(SettingsError) as refused:
        read({"LCM_KUBECONFIG": "/nowhere", "LCM_HEALTH_ADDRESS": "nowhere"})
    assert "LCM_KUBECONFIG" in str(refused.value)
    assert "LCM_HEALTH_ADDRESS" in str(refused.value)


def test_engines_log_as_the_operator_does():
    assert read({"LCM_LOG_FORMAT": "json"}).domain.engine_variables == (("LCM_LOG_FORMAT", "json"),)
    assert read({}).domain.engine_variables == ()


def test_default_template_of_engines_is_read():
    template = {"spec": {"priorityClassName": "flights"}}
    assert read({"LCM_ENGINE_TEMPLATE": json.dumps(template)}).domain.engine_template == template
    assert read({}).domain.engine_template == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("{", "", id="no JSON"),
        pytest.param("[]", "must be an object", id="no object"),
        pytest.param('{"spec":' * 3_000 + "1" + "}" * 3_000, "nest", id="deep JSON"),
        pytest.param('{"spec": {"hostNetwork": true}}', "spec.hostNetwork: not allowed", id="not allowed"),
        pytest.param(
            '{"metadata": {"labels": {"lcm.5gdrones.eu/trial": "x"}}}', "reserved", id="a label of ours"
        ),
        pytest.param(
            '{"spec": {"containers": [{"name": "engine", "resources": {"limit": {}}}]}}',
            "did you mean limits?",
            id="a misspelt field",
        ),
        pytest.param(
            json.dumps({"metadata": {"annotations": {"note": "x" * 40_000}}}), "32 KiB", id="too large"
        ),
    ],
)
def test_default_template_of_engines_is_refused_with_the_reason(text, why):
    with pytest.raises(SettingsError, match="LCM_ENGINE_TEMPLATE: expected a JSON object") as refused:
        read({"LCM_ENGINE_TEMPLATE": text})
    assert why in str(refused.value)


def test_user_of_engines_is_a_number_or_that_of_the_platform():
    assert read({}).domain.engine_user_id == 65532
    assert read({"LCM_ENGINE_USER_ID": "1000"}).domain.engine_user_id == 1000
    assert read({"LCM_ENGINE_USER_ID": "platform"}).domain.engine_user_id is None


@pytest.mark.parametrize("text", ["0", "-1", "root", "1.5", "4294967296", "٣"])
def test_user_of_engines_is_refused(text):
    with pytest.raises(SettingsError, match="LCM_ENGINE_USER_ID: expected a number from 1 to 2147483647, or"):
        read({"LCM_ENGINE_USER_ID": text})
