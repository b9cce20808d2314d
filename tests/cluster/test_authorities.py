"""A cluster whose authority has no key identifiers, on every Python: operator with kopf, engine, partner."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.engine_harness import acting, http
from tests.cluster.operator_harness import in_seconds
from tests.cluster.proxied_harness import ProxiedHarness, ProxiedOperator
from tests.cluster.proxy import Proxy
from tests.harness.authorities import PlainAuthority

STRICT = {"PYTHONPATH": str(Path(__file__).parent / "strict")}


@pytest.fixture
def authority(tmp_path: Path) -> PlainAuthority:
    return PlainAuthority(tmp_path)


@pytest.fixture
def api_server(cluster, authority) -> Iterator[Proxy]:
    """The API server, with a certificate of the authority."""
    trust = ssl.create_default_context(cafile=cluster.ca_file)
    with Proxy(cluster.server, trust, authority.server()) as proxy:
        yield proxy


def test_the_operator_lists_watches_and_writes_there(cluster, namespace, authority, api_server):
    operator = ProxiedOperator(cluster, api_server, authority.file, STRICT)
    operator.start()
    harness = ProxiedHarness(operator, namespace)
    harness.trial("a", start=in_seconds(2))
    harness.wait(harness.pods)  # what is made after the first list comes by kopf's watch alone
    operator.kill()


def test_an_engine_works_there_and_with_such_a_partner(cluster, namespace, tmp_path, authority, api_server):
    with acting(cluster, namespace, tmp_path) as harness:
        harness.partner.secure(authority.server())
        harness.create(http("call"))
        running = harness.start(
            server=api_server.url, authority=authority.file, SSL_CERT_FILE=str(authority.file), **STRICT
        )
        harness.grant(running)
        assert running.exit_code() == 0, running.log
        assert harness.partner.lines == ["POST /call"]
