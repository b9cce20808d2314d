"""Where a server listens, as variables hold it."""

import pytest

from lcm_operator import addresses
from lcm_operator.addresses import Address, listening
from lcm_operator.settings import SettingsError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:1", Address("127.0.0.1", 1)),
        ("lcm.example:65535", Address("lcm.example", 65535)),
        ("[::]:8080", Address("::", 8080)),
        ("[fe80::1%eth0]:8080", Address("fe80::1%eth0", 8080)),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, address: Address):
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("5000", id="a port alone"),
        pytest.param(":5000", id="no host"),
        pytest.param("[]:5000", id="brackets without a host"),
        pytest.param("localhost", id="no port"),
        pytest.param("localhost:", id="an empty port"),
        pytest.param("localhost:http", id="a port by name"),
        pytest.param("localhost:0", id="port zero"),
        pytest.param("localhost:-1", id="a port below zero"),
        pytest.param("localhost:65536", id="a port beyond the last"),
        pytest.param("localhost:٨٠", id="a port in other digits"),
        pytest.param("::1:5000", id="an IPv6 address without brackets"),
        pytest.param("[localhost]:5000", id="a name in brackets"),
        pytest.param("http://localhost:5000", id="a URL"),
        pytest.param("local host:5000", id="a blank"),
    ],
)
def test_an_address_is_rejected_that_is(text: str):
    with pytest.raises(ValueError, match=r"^$"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - read, not bound
        ("::", False),
        ("lcm", False),
    ],
)
def test_loopback_is_known_by_address_and_name(host: str, is_loopback: bool):
    assert Address(host, 1).is_loopback is is_loopback


def test_port_zero_is_allowed_only_where_any_port_will_do():
    assert addresses.ADDRESS_OR_ANY_PORT.parse("127.0.0.1:0") == Address("127.0.0.1", 0)


def test_an_address_that_is_taken_is_a_fault_of_its_variable():
    with (
        pytest.raises(SettingsError, match=r"^LCM_TEST_ADDRESS: cannot listen on \[::1\]:80: .*in use"),
        listening("LCM_TEST_ADDRESS", Address("::1", 80)),
    ):
        raise OSError(98, "address already in use")
