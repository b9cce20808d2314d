"""The sidecar's settings, as they are read from the environment."""

from zoneinfo import ZoneInfo

import pytest

from lcm_operator.addresses import Address
from lcm_operator.rest import settings
from lcm_operator.rest.settings import Settings
from lcm_operator.settings import SettingsError


def read(environment: dict[str, str]) -> Settings:
    return settings.read(environment).checked()


@pytest.fixture
def file(tmp_path):
    found = tmp_path / "file"
    found.touch()
    return found


def test_an_empty_environment_gives_the_defaults():
    assert read({}) == Settings()


def test_variables_that_are_empty_count_as_not_set():
    names = (
        "KUBECONFIG CONTEXT NAMESPACE REST_ADDRESS METRICS_ADDRESS API_LEVEL TIMEZONE REGISTRY DEFAULT_PLAN "
        "API_KEYS_FILE TLS_CERTIFICATE_FILE TLS_KEY_FILE INSECURE_NO_AUTH ALLOWED_HOSTS"
    )
    assert read({f"LCM_{name}": "" for name in names.split()}) == Settings()


def test_every_variable_is_read(file):
    assert read(
        {
            "LCM_KUBECONFIG": str(file),
            "LCM_CONTEXT": "lab",
            "LCM_NAMESPACE": "field",
            "LCM_REST_ADDRESS": "[::]:80",
            "LCM_METRICS_ADDRESS": "0.0.0.0:8081",
            "LCM_API_LEVEL": "1.0.2",
            "LCM_TIMEZONE": "Europe/Helsinki",
            "LCM_REGISTRY": "partners",
            "LCM_DEFAULT_PLAN": "flight",
            "LCM_API_KEYS_FILE": str(file),
            "LCM_TLS_CERTIFICATE_FILE": str(file),
            "LCM_TLS_KEY_FILE": str(file),
            "LCM_ALLOWED_HOSTS": "lcm-rest, LCM.example ,",
        }
    ) == Settings(
        kubeconfig=file,
        context="lab",
        namespace="field",
        address=Address("::", 80),
        metrics=Address("0.0.0.0", 8081),  # noqa: S104 - read, not bound
        version="1.0.2",
        timezone=ZoneInfo("Europe/Helsinki"),
        registry="partners",
        default_plan="flight",
        keys_file=file,
        certificate_file=file,
        key_file=file,
        allowed_hosts=frozenset({"lcm-rest", "lcm.example"}),
    )


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("5000", id="a port alone"),
        pytest.param(":5000", id="no host"),
        pytest.param("localhost", id="no port"),
        pytest.param("localhost:http", id="a port that is no number"),
        pytest.param("localhost:65536", id="a port beyond the last"),
        pytest.param("::1:5000", id="an IPv6 address without brackets"),
    ],
)
def test_an_address_is_host_and_port(address):
    with pytest.raises(SettingsError, match=r"LCM_REST_ADDRESS: expected host:port"):
        read({"LCM_REST_ADDRESS": address})


def test_all_faults_are_reported_together():
    with pytest.raises(SettingsError) as raised:
        read({"LCM_API_LEVEL": "2", "LCM_TIMEZONE": "Mars/Base", "LCM_KUBECONFIG": "/nowhere"})

    assert [fault.split(":")[0] for fault in raised.value.faults] == [
        "LCM_KUBECONFIG",
        "LCM_API_LEVEL",
        "LCM_TIMEZONE",
    ]


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:5000", "10.0.0.1:5000", "[::]:5000", "lcm.example:5000"],
)
@pytest.mark.parametrize("keys", [{}, {"LCM_API_KEYS_FILE": ""}], ids=["no keys", "an empty name"])
def test_without_keys_it_refuses_to_listen_beyond_loopback(address, keys):
    with pytest.raises(SettingsError, match="LCM_INSECURE_NO_AUTH"):
        read({"LCM_REST_ADDRESS": address} | keys)


@pytest.mark.parametrize("address", ["127.0.0.1:5000", "127.8.0.1:5000", "[::1]:5000", "localhost:5000"])
def test_without_keys_it_listens_on_loopback(address):
    assert read({"LCM_REST_ADDRESS": address}).address.is_loopback


def test_with_keys_it_listens_anywhere(file):
    found = read({"LCM_REST_ADDRESS": "0.0.0.0:5000", "LCM_API_KEYS_FILE": str(file)})
    assert found.address == Address("0.0.0.0", 5000)  # noqa: S104 - as above


def test_given_a_name_it_listens_anywhere_without_keys():
    found = read({"LCM_REST_ADDRESS": "0.0.0.0:5000", "LCM_INSECURE_NO_AUTH": "true"})
    assert found.keys_file is None


@pytest.mark.parametrize("word", ["1", "yes", "True", "TRUE"])
def test_other_words_for_true_are_refused(word):
    with pytest.raises(SettingsError, match="LCM_INSECURE_NO_AUTH"):
        read({"LCM_INSECURE_NO_AUTH": word})


def test_a_keys_file_that_does_not_exist_is_one_fault(tmp_path):
    with pytest.raises(SettingsError) as refused:
        read({"LCM_REST_ADDRESS": "0.0.0.0:5000", "LCM_API_KEYS_FILE": str(tmp_path / "none")})

    assert [fault.split(":")[0] for fault in refused.value.faults] == ["LCM_API_KEYS_FILE"]


PAIR = ("LCM_TLS_CERTIFICATE_FILE", "LCM_TLS_KEY_FILE")


@pytest.mark.parametrize(("given", "missing"), [PAIR, PAIR[::-1]])
def test_half_a_pair_of_tls_files_names_the_other(file, given, missing):
    with pytest.raises(SettingsError) as refused:
        read({given: str(file)})
    assert refused.value.faults == (
        f"{missing}: expected the path of an existing file, because {given} is set",
    )


@pytest.mark.parametrize(("given", "absent"), [PAIR, PAIR[::-1]])
def test_a_tls_file_that_does_not_exist_is_one_fault(file, tmp_path, given, absent):
    with pytest.raises(SettingsError) as refused:
        read({given: str(file), absent: str(tmp_path / "none")})
    assert [fault.split(":")[0] for fault in refused.value.faults] == [absent]
