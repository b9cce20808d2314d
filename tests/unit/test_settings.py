"""The reader of environment variables: faults, variables that nobody reads, and what is documented."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tools.settings import reference

import lcm_operator
from lcm_operator import addresses, kinds
from lcm_operator.addresses import Address
from lcm_operator.settings import LogSettings, SettingsError, family, read, setting

PACKAGE = Path(lcm_operator.__file__).parent
REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted(
    file
    for package in (PACKAGE, REPOSITORY / "dummies", REPOSITORY / "devcluster")
    for file in package.rglob("*.py")
)
ENVIRONMENT_READERS = {
    "cli/cluster.py",  # KUBECONFIG, as kubectl reads it, and the proxy for the API server
    "controllers/__main__.py",
    "controllers/uninstall.py",
    "dummies/partners/__main__.py",
    "dummies/registry/__main__.py",
    "engine/__main__.py",
    "kube/access.py",  # what Kubernetes puts into each pod
    "rest/__main__.py",
}
"""The modules that may touch the environment, besides those of the local cluster."""


class Sample(LogSettings):
    """Settings of no process."""

    address: Address = setting("LCM_TEST_ADDRESS", addresses.ADDRESS, Address("localhost", 80), "Where.")
    name: str = setting("LCM_TEST_NAME", kinds.OBJECT_NAME, "", "Which.", required=True)
    password: str | None = setting("LCM_TEST_PASSWORD", kinds.BOOLEAN, None, "A secret.", secret=True)  # type: ignore[assignment]
    values: Mapping[str, str] = family("LCM_TEST_VALUE_", "All of them.")


NAMED = {"LCM_TEST_NAME": "a"}


def test_defaults_replace_what_is_not_set_or_empty():
    empty = {"LCM_TEST_ADDRESS": "", "LCM_LOG_LEVEL": ""}

    assert read(Sample, NAMED | empty).checked() == Sample(name="a")


def test_a_fault_names_the_variable_what_is_allowed_and_what_was_given():
    with pytest.raises(SettingsError) as caught:
        read(Sample, {"LCM_TEST_ADDRESS": "no\nport", "LCM_LOG_FORMAT": "xml"}).checked()

    assert caught.value.faults == (
        "LCM_LOG_FORMAT: expected text or json, got 'xml'",
        f"LCM_TEST_ADDRESS: expected {addresses.ADDRESS.allowed}, got 'no\\nport'",
        "LCM_TEST_NAME: expected the name of an object, but it is not set",
    )


def test_the_settings_hold_defaults_where_there_are_faults():
    assert read(Sample, {"LCM_TEST_ADDRESS": "80", "LCM_LOG_LEVEL": "WARNING"}).settings == Sample(
        log_level="WARNING"
    )


def test_a_secret_is_in_no_fault_and_no_repr():
    reading = read(Sample, NAMED | {"LCM_TEST_PASSWORD": "hunter2", "LCM_TEST_VALUE_0": "hunter3"})

    assert [fault for fault in reading.faults if "LCM_TEST_PASSWORD" in fault]
    assert "hunter" not in f"{reading.faults} {reading.settings}"
    assert reading.settings.values == {"LCM_TEST_VALUE_0": "hunter3"}


def test_a_check_of_several_values_knows_which_have_faults():
    def check(found: Sample, faulty: frozenset[str]) -> Iterator[str]:
        yield f"{found.address} {sorted(faulty)}"

    assert read(Sample, NAMED | {"LCM_LOG_LEVEL": "x"}, check).faults[1:] == (
        "localhost:80 ['LCM_LOG_LEVEL']",
    )


def test_a_typo_is_reported_with_the_nearest_name():
    environment = NAMED | {"LCM_TEST_ADRESS": "", "LCM_LOGLEVEL": "DEBUG", "LCM_MOON": "1", "PATH": "/bin"}

    assert read(Sample, environment).unknown == {
        "LCM_LOGLEVEL": "LCM_LOG_LEVEL",
        "LCM_MOON": "",
        "LCM_TEST_ADRESS": "LCM_TEST_ADDRESS",
    }


def test_variables_of_services_and_families_are_no_typos():
    service = {
        "LCM_OPERATOR_METRICS_SERVICE_HOST": "10.0.0.1",
        "LCM_OPERATOR_METRICS_SERVICE_PORT": "8080",
        "LCM_OPERATOR_METRICS_SERVICE_PORT_HEALTH": "8080",
        "LCM_OPERATOR_METRICS_PORT": "tcp://10.0.0.1:8080",
        "LCM_OPERATOR_METRICS_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "LCM_OPERATOR_METRICS_PORT_8080_TCP_PROTO": "tcp",
        "LCM_OPERATOR_METRICS_PORT_8080_TCP_PORT": "8080",
        "LCM_OPERATOR_METRICS_PORT_8080_TCP_ADDR": "10.0.0.1",
        "LCM_SERVICE_HOST": "10.0.0.2",
        "LCM_SERVICE_PORT": "80",
        "LCM_PORT": "tcp://10.0.0.2:80",
    }

    assert read(Sample, NAMED | service | {"LCM_TEST_VALUE_7": "x"}).unknown == {}


@pytest.mark.parametrize("name", sorted(set(reference.documented())))
def test_no_variable_of_ours_can_be_that_of_a_service(name: str):
    if name.startswith("LCM_"):
        assert not re.search(r"_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_.+)?)$", name)


POD = {
    "LCM_POD_NAME": "a-1",
    "LCM_POD_UID": "u",
    "LCM_SERVICE_ACCOUNT_DIRECTORY": "/",
    "KUBERNETES_SERVICE_HOST": "h",
}


@pytest.mark.parametrize(
    ("module", "faulty", "others"),
    [
        ("lcm_operator.controllers", {"LCM_LOG_LEVEL": "x", "LCM_HEALTH_ADDRESS": "x"}, {}),
        ("lcm_operator.controllers.uninstall", {"LCM_WATCH_NAMESPACES": "X"}, {}),
        ("lcm_operator.rest", {"LCM_LOG_FORMAT": "x", "LCM_TIMEZONE": "x"}, {}),
        ("dummies.registry", {"LCM_REGISTRY_SEED": "x", "LCM_REGISTRY_CREDENTIALS": "x"}, {}),
        ("dummies.partners", {"LCM_PARTNERS_ADDRESS": "x", "LCM_PARTNERS_SEED": "/"}, {}),
        ("lcm_operator.engine", {"LCM_TRIAL_ENGINE": "X", "KUBERNETES_SERVICE_PORT": ""}, POD),
    ],
)
def test_a_process_prints_a_line_for_each_fault_and_exits_with_2(module, faulty, others):
    done = subprocess.run(
        [sys.executable, "-m", module],
        env={"PYTHONPATH": str(PACKAGE.parent), **faulty, **others},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert [re.match(r"lcm-[a-z]+: ([A-Z_]+): ", line)[1] for line in lines] == list(faulty)


def test_the_page_of_the_settings_is_what_the_code_makes():
    assert reference.TARGET.read_text(encoding="utf-8") == reference.page(), "run make settings"


def declared() -> Iterator[tuple[str, Path]]:
    """Yield the name of each variable that is declared, and the module."""
    constants = {}
    for source in SOURCES:
        for node in ast.parse(source.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                constants[source, node.targets[0].id] = node.value.value
    for source in SOURCES:
        tree = ast.parse(source.read_text(encoding="utf-8"))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in {"setting", "family"}:
                name = call.args[0]
                if isinstance(name, ast.Constant):
                    yield name.value, source
                elif (source, getattr(name, "id", "")) in constants:
                    yield constants[source, name.id], source


def test_each_variable_is_declared_in_one_module_and_documented():
    found = list(declared())
    names = [name for name, _ in found]

    assert len(names) > 20
    assert sorted(set(names)) == sorted(names)
    assert {source.name for _, source in found} == {"settings.py"}
    assert set(names) | {"LCM_POD_NAME"} == set(reference.documented())


def touches_the_environment(source: Path) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and getattr(node.value, "id", "") == "os"
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
    )


def test_only_entry_points_touch_the_environment():
    touching = {
        source.relative_to(REPOSITORY).as_posix().removeprefix("operator/lcm_operator/")
        for source in SOURCES
        if touches_the_environment(source)
    }

    assert {source for source in touching if not source.startswith("devcluster/")} == ENVIRONMENT_READERS


def test_every_process_has_the_settings_of_the_log():
    for settings in reference.PROCESSES.values():
        assert {"log_level", "log_format"} <= settings.variables.keys()


def test_settings_are_immutable_and_know_their_fields():
    with pytest.raises(AttributeError, match="can't be changed"):
        Sample().name = "b"
    with pytest.raises(TypeError, match="has no nme"):
        Sample(nme="b")
