"""How the command line reaches an API server: directly, or through the proxy that is for it."""

import json
import ssl

import pytest
import trustme
from tests.harness.web_proxy import web_proxy
from tests.unit.registry.test_client import says, server

from lcm_operator.cli.cluster import Cluster, ClusterError

TRIALS = says(b'{"items": [{}]}', "200 OK", "Content-Type: application/json")
NAMES = {"api.example": "127.0.0.1"}
BASIC = "Basic b3BzOmh1bnRlcjI="


@pytest.fixture
def kubeconfig(tmp_path):
    """Return a kubeconfig for a cluster."""

    def write(**cluster: str) -> str:
        file = tmp_path / "config"
        context = {"cluster": "c", "user": "u", "namespace": "lab"}
        file.write_text(
            json.dumps(
                {
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "u", "user": {"token": "t"}}],
                    "contexts": [{"name": "c", "context": context}],
                    "current-context": "c",
                }
            )
        )
        return str(file)

    return write


def test_the_api_server_is_not_asked_through_the_proxy_of_others(kubeconfig, monkeypatch):
    with server(TRIALS) as running, web_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        monkeypatch.setenv("NO_PROXY", "")
        file = kubeconfig(server=f"http://127.0.0.1:{running.port}")
        assert Cluster(None, None, file).trials() == [{}]
    assert proxy.asked == []


@pytest.mark.parametrize("of", ["the kubeconfig", "a setting"])
def test_it_is_asked_through_its_own_proxy_and_verified(kubeconfig, monkeypatch, tmp_path, of):
    authority, trust = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("api.example").configure_cert(trust)
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    with server(TRIALS, trust) as running, web_proxy(names=NAMES) as proxy:
        place = {"server": f"https://api.example:{running.port}"}
        place["certificate-authority"] = str(tmp_path / "ca.crt")
        url = proxy.url("ops:hunter2@")
        if of == "a setting":
            monkeypatch.setenv("LCM_API_SERVER_PROXY", url)
        else:
            place["proxy-url"] = url
        assert Cluster(None, None, kubeconfig(**place)).trials() == [{}]
    assert [shown for _, shown in proxy.asked] == [BASIC]


def test_a_proxy_that_is_not_supported_is_refused_without_its_password(kubeconfig):
    place = {"server": "http://127.0.0.1:1", "proxy-url": "socks5://ops:hunter2@proxy:1080"}
    with pytest.raises(
        ClusterError, match=r"proxy-url of the kubeconfig: .*socks5 is not supported"
    ) as refused:
        Cluster(None, None, kubeconfig(**place))
    assert "hunter2" not in str(refused.value)
