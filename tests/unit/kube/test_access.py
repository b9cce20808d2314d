"""How the API server is reached: by its address of either family, and through no proxy unless told so."""

import asyncio

import pytest
import yaml
from tests.harness.authorities import PlainAuthority
from tests.harness.web_proxy import web_proxy
from tests.unit.registry.test_client import says, server

from lcm_operator.controllers.settings import read
from lcm_operator.kube.access import from_settings, in_cluster
from lcm_operator.kube.errors import UnavailableError
from lcm_operator.kube.resources import PODS
from lcm_operator.kube.session import pooled
from lcm_operator.kube.wired import lean
from lcm_operator.settings import SettingsError

POD = says(b'{"metadata": {"name": "a"}}')
BASIC = "Basic b3BzOmh1bnRlcjI="


def name_of_pod(made, access):
    async def scenario():
        async with made(access, connections=1) as client:
            return (await client.get(PODS, "default", "a"))["metadata"]["name"]

    return asyncio.run(scenario())


@pytest.fixture
def account(tmp_path, monkeypatch):
    """The folder of a pod's ServiceAccount; returns what sets the API server's address."""
    authority = PlainAuthority(tmp_path)
    authority.file.rename(tmp_path / "ca.crt")
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "namespace").write_text("default\n")

    def at(host, port):
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
        return in_cluster(tmp_path)

    at.authority = authority
    return at


@pytest.mark.parametrize("made", [pooled, lean])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_pod_reaches_its_api_server_by_an_address_of_either_family(account, host, made):
    with server(POD, account.authority.server(name=host), host) as running:
        assert name_of_pod(made, account(host, running.port)) == "a"
    authority = f"[{host}]:{running.port}" if ":" in host else f"{host}:{running.port}"
    assert f"host: {authority}\r\n".encode() in running.heads[0].lower()


@pytest.mark.parametrize("made", [pooled, lean])
def test_proxies_of_the_environment_are_not_for_the_api_server(account, made, monkeypatch):
    with server(POD, account.authority.server()) as running, web_proxy() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
            monkeypatch.setenv(name.lower(), proxy.url())
        assert name_of_pod(made, account("127.0.0.1", running.port)) == "a"
    assert proxy.asked == []


@pytest.fixture
def kubeconfig(tmp_path):
    def write(url, **cluster):
        (tmp_path / "ca.crt").touch()
        cluster |= {"server": url, "certificate-authority": str(tmp_path / "ca.crt")}
        file = tmp_path / "kubeconfig"
        document = {
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "current-context": "c",
        }
        file.write_text(yaml.safe_dump(document))
        return {"LCM_KUBECONFIG": str(file)}

    return write


def test_a_kubeconfig_names_no_proxy_that_the_environment_names(kubeconfig, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    assert from_settings(read(kubeconfig("https://127.0.0.1:1")).checked()).proxy is None


@pytest.mark.parametrize("way", ["proxy-url", "LCM_API_SERVER_PROXY"])
def test_the_api_server_is_reached_through_the_proxy_that_is_named_for_it(account, kubeconfig, way):
    with (
        server(POD, account.authority.server()) as running,
        web_proxy(names={"api.example": "127.0.0.1"}) as proxy,
    ):
        url, named = f"https://127.0.0.1:{running.port}", proxy.url("ops:hunter2@")
        if way == "proxy-url":
            environment = kubeconfig(url, **{way: named})
        else:
            environment = kubeconfig(url, **{"proxy-url": "http://127.0.0.1:1"}) | {way: named}
        assert name_of_pod(pooled, from_settings(read(environment).checked())) == "a"
    assert proxy.asked == [(f"CONNECT 127.0.0.1:{running.port} HTTP/1.1", BASIC)]


@pytest.mark.parametrize("way", ["proxy-url", "LCM_API_SERVER_PROXY"])
def test_a_proxy_that_is_not_supported_is_a_fault_of_its_setting(kubeconfig, way):
    named = "socks5://ops:hunter2@localhost:1080"
    if way == "proxy-url":
        environment = kubeconfig("https://127.0.0.1", **{way: named})
    else:
        environment = kubeconfig("https://127.0.0.1") | {way: named}
    with pytest.raises(SettingsError, match=rf"^{way}.*: .*a proxy by socks5 is not supported") as raised:
        from_settings(read(environment).checked())
    assert "hunter2" not in str(raised.value)


def test_a_kubeconfig_names_the_server_of_the_certificate(account, kubeconfig):
    with server(POD, account.authority.server(name="10.9.8.7")) as running:
        url = f"https://127.0.0.1:{running.port}"
        assert name_of_pod(pooled, by(kubeconfig(url, **{"tls-server-name": "10.9.8.7"}))) == "a"
        with pytest.raises(UnavailableError, match="IP address mismatch"):
            name_of_pod(pooled, by(kubeconfig(url)))


def test_a_kubeconfig_can_skip_verification_with_a_warning(account, kubeconfig, caplog):
    with server(POD, account.authority.server(name="10.9.8.7", expired=True)) as running:
        skipping = kubeconfig(f"https://127.0.0.1:{running.port}", **{"insecure-skip-tls-verify": True})
        assert name_of_pod(pooled, by(skipping)) == "a"
    assert "insecure-skip-tls-verify" in caplog.text


def by(environment):
    return from_settings(read(environment).checked())
