"""Where a server listens, as variables hold it."""

import socket
from contextlib import ExitStack, closing

import pytest

from lcm_operator import addresses
from lcm_operator.addresses import Address, bind
from lcm_operator.settings import SettingsError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:1", Address("127.0.0.1", 1)),
        ("lcm.example:65535", Address("lcm.example", 65535)),
        ("[::]:8080", Address("::", 8080)),
        ("*:8080", Address("*", 8080)),
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
        ("*", False),
        ("lcm", False),
    ],
)
def test_loopback_is_known_by_address_and_name(host: str, is_loopback: bool):
    assert Address(host, 1).is_loopback is is_loopback


def test_port_zero_is_allowed_only_where_any_port_will_do():
    assert addresses.ADDRESS_OR_ANY_PORT.parse("127.0.0.1:0") == Address("127.0.0.1", 0)


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        pytest.param("*", {"127.0.0.1", "::1"}, id="every address"),
        pytest.param("::", {"127.0.0.1", "::1"}, id="every IPv6 address"),
        pytest.param("0.0.0.0", {"127.0.0.1"}, id="every IPv4 address"),  # noqa: S104 - for a moment
        pytest.param("::1", {"::1"}, id="the IPv6 loopback"),
        pytest.param("127.0.0.1", {"127.0.0.1"}, id="the IPv4 loopback"),
    ],
)
def test_a_listener_is_reached_by_the_addresses_that_it_names(host, reached):
    with ExitStack() as open_:
        listeners = bind("LCM_TEST_ADDRESS", Address(host, 0))
        for listener in listeners:
            open_.enter_context(closing(listener))
        port = listeners[0].getsockname()[1]
        assert {host for host in ("127.0.0.1", "::1") if answers(host, port)} == reached


def answers(host, port):
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_every_address_is_ipv4_on_a_machine_without_ipv6(mocker):
    mocker.patch("socket.has_dualstack_ipv6", return_value=False)
    (listener,) = bind("LCM_TEST_ADDRESS", Address("*", 0))
    with closing(listener):
        assert listener.family == socket.AF_INET


def test_an_address_that_is_taken_is_a_fault_of_its_variable():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        expected = rf"^LCM_TEST_ADDRESS: cannot listen on \[::1\]:{port}: .*in use"
        with pytest.raises(SettingsError, match=expected):
            bind("LCM_TEST_ADDRESS", Address("::1", port))


def test_an_address_of_another_machine_is_a_fault_of_its_variable():
    with pytest.raises(SettingsError, match=r"^LCM_TEST_ADDRESS: cannot listen on 192\.0\.2\.1:80: "):
        bind("LCM_TEST_ADDRESS", Address("192.0.2.1", 80))
