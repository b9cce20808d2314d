"""The local node serves its pods' logs to those who have a certificate of the cluster, and to nobody else."""

import asyncio
import ssl

import aiohttp
import pytest

from devcluster.cluster.certificates import make_certificates
from devcluster.cluster.ports import settle
from devcluster.node.serving import Endpoint, selected, serve

LINES = b"one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("lines", "most", "expected"),
    [
        pytest.param(None, None, LINES, id="all of it"),
        pytest.param("2", None, b"two\nthree\n", id="the last lines"),
        pytest.param("9", None, LINES, id="more lines than there are"),
        pytest.param("0", None, b"", id="no line"),
        pytest.param("2", "3", b"two", id="the first bytes of the last lines"),
        pytest.param("many", "few", LINES, id="no numbers"),
    ],
)
def test_of_a_log_is_served(lines, most, expected):
    assert selected(LINES, lines, most) == expected


@pytest.fixture
def endpoint(tmp_path):
    make_certificates(tmp_path / "pki")
    return Endpoint(settle({}, {})["node"], tmp_path / "pki")


def answers(endpoint, path, client=None):
    """Return status and text of the answer to somebody with this client certificate."""
    trust = ssl.create_default_context(cafile=str(endpoint.pki / "ca.crt"))
    if client is not None:
        trust.load_cert_chain(endpoint.pki / f"{client}.crt", endpoint.pki / f"{client}.key")

    async def asked():
        url = f"https://127.0.0.1:{endpoint.port}{path}"
        known = {("lab", "example-1", "engine"): LINES}
        async with (
            serve(endpoint, lambda *place: known.get(place)),
            aiohttp.ClientSession() as session,
            session.get(url, ssl=trust) as response,
        ):
            return response.status, await response.text()

    return asyncio.run(asked())


def test_the_api_server_gets_a_log(endpoint):
    path = "/containerLogs/lab/example-1/engine?tailLines=1"
    assert answers(endpoint, path, "etcd-client") == (200, "three\n")


def test_a_container_that_was_not_begun_has_no_log(endpoint):
    status, text = answers(endpoint, "/containerLogs/lab/example-1/other", "etcd-client")
    assert (status, text) == (400, 'container "other" in pod "example-1" is waiting to start')


def test_nobody_else_gets_a_log(endpoint):
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        answers(endpoint, "/containerLogs/lab/example-1/engine")
