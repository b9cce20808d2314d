"""The registry client through a proxy."""

import ssl
import time

import pytest
import trustme
from tests.harness.web_proxy import web_proxy
from tests.unit.registry.test_client import nobody, says, server

from lcm_operator.proxies import Proxies
from lcm_operator.registry.client import RegistryClient
from lcm_operator.registry.connection import Connection
from lcm_operator.registry.errors import BadConnectionError, RegistryError, UnreachableError

NAMES = {"registry.example": "127.0.0.1"}
BASIC = "Basic b3BzOmh1bnRlcjI="
URL = "http://registry.example:{}/api"


def client(url, proxies, **connection):
    return RegistryClient(Connection(url, **connection), 20, proxies)


def test_a_list_is_read_through_a_proxy_that_knows_the_host():
    with server(says(b"[]")) as running, web_proxy(names=NAMES) as proxy:
        url = URL.format(running.port)
        found = client(url, Proxies(http=proxy.url("ops:hunter2@")), user="u", password="p")
        assert found.list_trials().total == 0
    assert proxy.asked == [(f"GET {url}/trial/ HTTP/1.1", BASIC)]
    assert f"Host: registry.example:{running.port}".encode() in running.heads[0]
    assert b"Proxy-Auth" not in running.heads[0]


def test_https_goes_through_a_tunnel_and_is_verified_at_its_end():
    ours, foreign = trustme.CA(), trustme.CA()
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.issue_cert("registry.example").configure_cert(trust)
    with server(says(b"[]"), trust) as running, web_proxy(names=NAMES) as proxy:
        url, proxies = f"https://registry.example:{running.port}", Proxies(https=proxy.url("ops:hunter2@"))
        found = client(url, proxies, authorities=ours.cert_pem.bytes().decode(), user="u", password="p")
        assert found.list_trials().total == 0
        with pytest.raises(UnreachableError, match=r"through the proxy .*certificate verify failed"):
            client(url, proxies, authorities=foreign.cert_pem.bytes().decode()).list_trials()
    line, shown = proxy.asked[0]
    assert (line.rpartition(" ")[0], shown) == (f"CONNECT registry.example:{running.port}", BASIC)
    assert b"Authorization: Basic dTpw" in running.heads[0]


def test_a_host_that_no_proxy_lists_is_reached_directly():
    with server(says(b"[]")) as running, web_proxy() as proxy:
        proxies = Proxies(http=proxy.url(), no="127.0.0.0/8")
        assert client(f"http://127.0.0.1:{running.port}", proxies).list_trials().total == 0
    assert proxy.asked == []


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
def test_a_refusal_by_the_proxy_names_it_and_not_its_password(scheme, status):
    with web_proxy(refusal=status) as proxy:
        proxies = Proxies(proxy.url("ops:hunter2@"), proxy.url("ops:hunter2@"))
        with pytest.raises(RegistryError, match=rf"the proxy 127.0.0.1:{proxy.port}") as raised:
            client(f"{scheme}://registry.example", proxies).list_trials()
    assert status[:3] in str(raised.value)
    assert not any(secret in str(raised.value) for secret in ("hunter2", BASIC[6:]))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_down_is_named(scheme):
    with nobody() as down:
        place = "{}:{}".format(*down.getsockname())
        with pytest.raises(UnreachableError, match=rf"the proxy {place}: Connection refused$"):
            client(f"{scheme}://registry.example", Proxies(place, place)).list_trials()


def test_a_proxy_that_is_not_supported_is_a_fault_of_its_setting():
    with pytest.raises(BadConnectionError, match=r"^HTTPS_PROXY: .* by socks5 is not supported"):
        client("https://registry.example", Proxies(https="socks5://h:hunter2@p")).list_trials()


def test_a_proxy_that_hangs_costs_no_more_than_the_deadline():
    with server(lambda _: time.sleep(5)) as hanging:
        proxies = Proxies(https=f"http://127.0.0.1:{hanging.port}")
        with pytest.raises(UnreachableError, match=r"through the proxy .*: no reply within 0.3 s"):
            RegistryClient(Connection("https://registry.example"), 0.3, proxies).list_trials()
