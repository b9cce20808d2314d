"""Which requests a browser may have been led to make, and what becomes of them."""

import pytest

from lcm_operator.addresses import Address
from lcm_operator.rest.http.origin import OriginCheck
from lcm_operator.rest.http.replies import HttpRefusalError

LOOPBACK = Address("127.0.0.1", 5000)
ANYWHERE = Address("0.0.0.0", 5000)  # noqa: S104 - nothing is bound


def status(hosts, method, host, origin=None):
    try:
        hosts.check(method, host, origin)
    except HttpRefusalError as refused:
        return refused.status
    return None


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.0.0.1:5000", id="the address"),
        pytest.param("localhost:5000", id="localhost"),
        pytest.param("LOCALHOST", id="in capitals, without port"),
        pytest.param("localhost.:5000", id="with a dot at the end"),
        pytest.param("[::1]:5000", id="IPv6"),
        pytest.param("lcm.example:443", id="a name that is allowed"),
        pytest.param(None, id="none, as in HTTP/1.0"),
    ],
)
@pytest.mark.parametrize("authenticated", [True, False], ids=["with keys", "without keys"])
def test_our_own_names_are_served(host, authenticated):
    hosts = OriginCheck(LOOPBACK, {"lcm.example"}, authenticated=authenticated)

    assert [status(hosts, method, host) for method in ("GET", "POST", "DELETE")] == [None, None, None]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5000", "10.0.0.1", "127.0.0.1.evil.example", ""]
)
def test_under_a_foreign_name_nothing_is_changed(host):
    hosts = OriginCheck(LOOPBACK, set(), authenticated=True)

    assert [status(hosts, method, host) for method in ("GET", "POST", "DELETE")] == [None, 421, 421]


def test_without_keys_nothing_is_shown_under_a_foreign_name_either():
    assert status(OriginCheck(LOOPBACK, set(), authenticated=False), "GET", "evil.example") == 421


def test_listening_anywhere_accepts_any_address_but_not_any_name():
    hosts = OriginCheck(ANYWHERE, set(), authenticated=True)

    assert [status(hosts, "POST", host) for host in ("10.0.0.1:5000", "[fd00::1]:5000", "lcm-rest:5000")] == [
        None,
        None,
        421,
    ]


@pytest.mark.parametrize(
    "origin",
    [
        pytest.param("http://evil.example", id="another name"),
        pytest.param("http://127.0.0.1:3000", id="another port"),
        pytest.param("null", id="a page without origin"),
        pytest.param("", id="an empty one"),
    ],
)
def test_a_foreign_origin_changes_nothing(origin):
    hosts = OriginCheck(LOOPBACK, set(), authenticated=True)

    assert [status(hosts, method, "127.0.0.1:5000", origin) for method in ("GET", "POST", "DELETE")] == [
        None,
        403,
        403,
    ]


def test_our_own_page_may_change_things():
    hosts = OriginCheck(LOOPBACK, {"lcm.example"}, authenticated=True)

    assert status(hosts, "POST", "127.0.0.1:5000", "http://127.0.0.1:5000") is None
    assert status(hosts, "POST", "lcm.example", "https://LCM.example") is None
