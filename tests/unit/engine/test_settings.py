"""What the engine reads from its environment, and how much it loads."""

import subprocess
import sys
from pathlib import Path

import pytest

import lcm_operator
from lcm_operator.api.engine import Parameter
from lcm_operator.api.plan import SecretKeyRef
from lcm_operator.engine import settings
from lcm_operator.engine.settings import Settings
from lcm_operator.settings import SettingsError

ENVIRONMENT = {
    "PATH": "/bin",
    "LCM_TRIAL_ENGINE": "example",
    "LCM_POD_NAME": "example-1",
    "LCM_POD_UID": "u",
    "LCM_SERVICE_ACCOUNT_DIRECTORY": "/sa",
    "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
    "LCM_PARAMETER_1": "secret",
}
SECRET = Parameter(name="password", secret_key_ref=SecretKeyRef(name="kpi", key="password"))


def read(environment: dict[str, str]) -> Settings:
    return settings.read(environment).checked()


def test_everything_that_is_missing_is_named_at_once():
    with pytest.raises(SettingsError, match=r"LCM_TRIAL_ENGINE: .* not set; LCM_POD_UID: .* not set"):
        read(ENVIRONMENT | {"LCM_TRIAL_ENGINE": "", "LCM_POD_UID": ""})


def test_the_file_of_the_last_message_is_known_despite_faults():
    reading = settings.read({"LCM_TERMINATION_LOG": "/dev/termination-log", "LCM_LOG_LEVEL": "LOUD"})

    assert reading.settings.termination_log == Path("/dev/termination-log")
    assert reading.faults


def test_the_values_of_secrets_are_not_in_the_repr():
    assert "LCM_PARAMETER_1" not in repr(read(ENVIRONMENT))


def test_parameters_of_secrets_come_from_the_variable_of_their_place():
    values = read(ENVIRONMENT).parameters((Parameter(name="url", value="http://a"), SECRET))

    assert values == {"url": "http://a", "password": "secret"}


def test_a_secret_that_the_node_did_not_provide_is_named():
    with pytest.raises(SettingsError, match=r"LCM_PARAMETER_0: .* parameter password"):
        read(ENVIRONMENT).parameters((SECRET,))


def test_programs_do_not_get_the_values_of_secrets():
    assert "secret" not in read(ENVIRONMENT).environment.values()


def test_the_engine_loads_nothing_heavy():
    source = Path(lcm_operator.__file__).parents[1]
    code = "import sys, lcm_operator.engine.__main__; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert "lcm_operator.engine.runner" in loaded
    assert loaded.isdisjoint(
        {"aiohttp", "kopf", "kubernetes", "requests", "jinja2", "pykube", "yaml", "zoneinfo", "difflib"}
    )
