"""The activity `http` through a proxy."""

import asyncio
import ssl

import pytest
import trustme
from tests.harness.web_proxy import web_proxy
from tests.unit.engine.performing import perform
from tests.unit.registry.test_client import nobody, says, server

from lcm_operator.engine.activities import exchange
from lcm_operator.engine.outcome import ActivityFailedError
from lcm_operator.proxies import Proxies

NAMES = {"partner.example": "127.0.0.1"}
BASIC = "Basic b3BzOmh1bnRlcjI="
JSON = says(b'{"id": 7}', "200 OK", "Content-Type: application/json")


def ask(url, proxies, **http):
    plan = {"name": "ask", "http": {"url": url, "capture": {"id": "{{ response.json.id }}"}} | http}
    return asyncio.run(perform(plan, proxies=proxies))


@pytest.fixture
def authority(tmp_path, monkeypatch):
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.crt")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    exchange._trust.cache_clear()
    yield made
    exchange._trust.cache_clear()


def test_a_request_goes_through_a_proxy_that_knows_the_host():
    with server(JSON) as running, web_proxy(names=NAMES) as proxy:
        url = f"http://partner.example:{running.port}/trial?a=b"
        done = ask(url, Proxies(http=proxy.url("ops:hunter2@")), method="POST", json={"a": 1})
    assert done.output == {"id": 7}
    assert proxy.asked == [(f"POST {url} HTTP/1.1", BASIC)]
    assert running.heads[0].startswith(b"POST /trial?a=b HTTP/1.1\r\n")
    assert f"Host: partner.example:{running.port}\r\n".encode() in running.heads[0]


def test_https_goes_through_a_tunnel_and_is_verified_at_its_end(authority):
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("partner.example").configure_cert(trust)
    with server(JSON, trust) as running, web_proxy(names=NAMES | {"other.example": "127.0.0.1"}) as proxy:
        proxies = Proxies(https=proxy.url("ops:hunter2@"))
        basic = {"username": "u", "password": "p"}
        done = ask(f"https://partner.example:{running.port}/x", proxies, basicAuth=basic)
        with pytest.raises(ActivityFailedError, match=r"through the proxy .*verify failed.*[Hh]ostname"):
            ask(f"https://other.example:{running.port}/x", proxies)
    assert done.output == {"id": 7}
    assert proxy.asked[0] == (f"CONNECT partner.example:{running.port} HTTP/1.1", BASIC)
    assert running.heads[0].startswith(b"GET /x HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Basic dTpw\r\n" in running.heads[0]
    assert b"Proxy-Authorization" not in running.heads[0]


@pytest.mark.parametrize("http", [{}, {"podToken": True}], ids=["listed in NO_PROXY", "with the pod's token"])
def test_a_request_is_sent_directly(http, tmp_path):
    token = tmp_path / "token"
    token.write_text("t")
    with server(JSON) as running, web_proxy() as proxy:
        proxies = Proxies(http=proxy.url(), no="" if http else "127.0.0.1")
        activity = {"name": "ask", "http": {"url": f"http://127.0.0.1:{running.port}"} | http}
        asyncio.run(perform(activity, proxies=proxies, rest_token=token))
    assert proxy.asked == []


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "503 Unavailable"])
def test_a_refusal_by_the_proxy_names_it_and_not_its_password(scheme, status):
    with web_proxy(refusal=status) as proxy:
        proxies = Proxies(proxy.url("ops:hunter2@"), proxy.url("ops:hunter2@"))
        with pytest.raises(ActivityFailedError) as raised:
            ask(f"{scheme}://partner.example/x", proxies)
    found = str(raised.value)
    assert found.startswith(f"GET {scheme}://partner.example/x through the proxy 127.0.0.1:{proxy.port}: ")
    assert status[:3] in found
    assert not any(secret in found for secret in ("hunter2", BASIC[6:]))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_down_is_named(scheme):
    with nobody() as down:
        place = "{}:{}".format(*down.getsockname())
        expected = rf"through the proxy {place}: no connection to the proxy: .*Connect"
        with pytest.raises(ActivityFailedError, match=expected):
            ask(f"{scheme}://partner.example", Proxies(place, place))


def test_a_tunnel_that_ends_within_the_handshake_fails_the_activity():
    def hangs_up(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with server(hangs_up) as proxy, pytest.raises(ActivityFailedError, match="through the proxy"):
        ask("https://partner.example", Proxies(https=f"127.0.0.1:{proxy.port}"))


def test_a_proxy_that_is_not_supported_is_a_fault_of_its_setting():
    with pytest.raises(ActivityFailedError, match=r"HTTPS_PROXY: .* by https is not supported") as raised:
        ask("https://partner.example", Proxies(https="https://u:hunter2@p"))
    assert "hunter2" not in str(raised.value)


def test_a_partner_at_an_ipv6_address_is_reached():
    with server(JSON, host="::1") as running:
        assert ask(f"http://[::1]:{running.port}/", Proxies()).output == {"id": 7}
    assert f"Host: [::1]:{running.port}\r\n".encode() in running.heads[0]
