"""Which certificates are accepted, by every client, under the strictness of the newest Python."""

import asyncio
import ssl

import pytest
from tests.harness.authorities import PlainAuthority
from tests.unit.registry.test_client import asks, says, server

from lcm_operator import trust
from lcm_operator.engine.activities import exchange
from lcm_operator.kube.access import Access
from lcm_operator.kube.errors import UnavailableError
from lcm_operator.kube.resources import PODS
from lcm_operator.kube.session import pooled
from lcm_operator.kube.wired import lean
from lcm_operator.registry.errors import UnreachableError

POD = b'{"metadata": {"name": "a"}}'


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    """Have the library's defaults as they are since Python 3.13."""
    original = ssl.create_default_context

    def create(*arguments, **options):
        context = original(*arguments, **options)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", create)


@pytest.fixture
def authority(tmp_path, monkeypatch):
    made = PlainAuthority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    exchange._trust.cache_clear()
    yield made
    exchange._trust.cache_clear()


def by_registry_client(port, authority):
    return asks(Port(port), scheme="https", authorities=authority.pem).list_trials().total


def by_registry_client_with_the_system(port, _):
    return asks(Port(port), scheme="https").list_trials().total


def by_engine(port, _):
    sent = exchange.Request("GET", f"https://127.0.0.1:{port}/", {}, None)
    return asyncio.run(exchange.exchange(sent, {})).status


def by_api_client(made, port, authority):
    async def scenario():
        access = Access(f"https://127.0.0.1:{port}", ca_file=authority.file)
        async with made(access, connections=1) as client:
            return (await client.get(PODS, "default", "a"))["metadata"]["name"]

    return asyncio.run(scenario())


def by_operator(port, authority):
    return by_api_client(pooled, port, authority)


def by_lean_client(port, authority):
    return by_api_client(lean, port, authority)


class Port:
    def __init__(self, port):
        self.port = port


CLIENTS = [
    pytest.param(by_registry_client, b"[]", 0, id="registry with caBundle"),
    pytest.param(by_registry_client_with_the_system, b"[]", 0, id="registry"),
    pytest.param(by_engine, b"", 200, id="engine http"),
    pytest.param(by_operator, POD, "a", id="operator, REST and kopf"),
    pytest.param(by_lean_client, POD, "a", id="engine to the API server"),
]


@pytest.mark.parametrize(("ask", "reply", "expected"), CLIENTS)
def test_an_authority_without_key_identifiers_is_accepted(authority, ask, reply, expected):
    with server(says(reply), authority.server()) as running:
        assert ask(running.port, authority) == expected


@pytest.mark.parametrize(
    "flaw",
    [
        pytest.param({"expired": True}, id="expired"),
        pytest.param({"name": "192.0.2.1"}, id="of another host"),
    ],
)
@pytest.mark.parametrize(("ask", "reply", "_"), CLIENTS)
def test_other_flaws_are_rejected_as_before(authority, ask, reply, _, flaw):
    with (
        server(says(reply), authority.server(**flaw)) as running,
        pytest.raises(
            (UnreachableError, UnavailableError, exchange.ActivityFailedError), match="verify failed"
        ),
    ):
        ask(running.port, authority)


@pytest.mark.parametrize(("ask", "reply", "_"), CLIENTS)
def test_another_authority_is_rejected(authority, tmp_path, ask, reply, _):
    (tmp_path / "other").mkdir()
    with (
        server(says(reply), PlainAuthority(tmp_path / "other").server()) as running,
        pytest.raises(
            (UnreachableError, UnavailableError, exchange.ActivityFailedError), match="verify failed"
        ),
    ):
        ask(running.port, authority)


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_bundle_does_not_mean_the_system(text):
    with pytest.raises(ValueError, match="no certificates"):
        trust.client_context(cadata=text)


def test_clients_of_a_server_are_verified(authority):
    context = trust.client_verifying_context(authority.file)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
