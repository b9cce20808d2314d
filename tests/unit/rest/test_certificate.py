"""The sidecar's TLS: its pair of files, and what a client of its port sees."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest
import trustme
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.unit.rest.harness import read, run

from lcm_operator.addresses import Address, bind
from lcm_operator.rest.http.certificate import BadCertificateError, ServerCertificate
from lcm_operator.rest.http.server import Limits, Server, Site, begin

PATIENT = Limits()
AUTHORITY = trustme.CA()
FIRST, SECOND = AUTHORITY.issue_cert("127.0.0.1"), AUTHORITY.issue_cert("127.0.0.1")
CHAIN = b"".join(part.bytes() for part in FIRST.cert_chain_pems)
KEY = FIRST.private_key_pem.bytes()


class Files:
    """The pair as a mounted Secret has it."""

    def __init__(self, folder):
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"
        self.write(FIRST)

    def write(self, pair):
        self.certificate.write_bytes(b"".join(part.bytes() for part in pair.cert_chain_pems))
        self.key.write_bytes(pair.private_key_pem.bytes())


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@asynccontextmanager
async def serving(files, limits=PATIENT):
    """Serve "ok" by TLS; return the port."""

    async def handle(request):
        begin(request)
        return web.Response(text="ok")

    runner = web.ServerRunner(Server(handle, limits), shutdown_timeout=1)
    await runner.setup()
    try:
        (listener,) = bind("LCM_REST_ADDRESS", Address("127.0.0.1", 0))
        await Site(runner, listener, ServerCertificate(files.certificate, files.key)).start()
        yield listener.getsockname()[1]
    finally:
        await runner.cleanup()


class Client:
    """A connection that has verified the server."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port, **versions):
        trust = ssl.create_default_context()
        AUTHORITY.configure_trust(trust)
        for name, version in versions.items():
            setattr(trust, name, version)
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=trust))

    @property
    def pair(self):
        """The pair that the server presented."""
        shown = self._writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        return next(pair for pair in (FIRST, SECOND) if serial(pair) == int(shown, 16))

    async def ask(self):
        self._writer.write(b"GET / HTTP/1.1\r\nHost: lcm\r\n\r\n")
        return (await read(self._reader)).body

    async def close(self):
        self._writer.close()
        await self._writer.wait_closed()


def serial(pair):
    return x509.load_pem_x509_certificate(pair.cert_chain_pems[0].bytes()).serial_number


async def shown(port):
    client = await Client.connect(port)
    assert await client.ask() == b"ok"
    await client.close()
    return client.pair


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_routes_are_served_by_tls(files, version):
    async def scenario():
        async with serving(files) as port:
            client = await Client.connect(port, minimum_version=version, maximum_version=version)
            assert (await client.ask(), client.pair) == (b"ok", FIRST)
            await client.close()

    run(scenario())


def test_tls_below_1_2_is_refused(files):
    context = ServerCertificate(files.certificate, files.key).context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_renewed_pair_is_served_without_a_restart(files):
    async def scenario():
        async with serving(files) as port:
            old = await Client.connect(port)
            files.write(SECOND)
            assert await shown(port) is SECOND
            assert (await old.ask(), old.pair) == (b"ok", FIRST)
            await old.close()

    run(scenario())


def test_a_half_written_pair_leaves_the_last_one_in_use(files, caplog):
    async def scenario():
        async with serving(files) as port:
            files.key.write_bytes(SECOND.private_key_pem.bytes())
            assert [await shown(port), await shown(port)] == [FIRST, FIRST]
            files.certificate.unlink()
            assert await shown(port) is FIRST
            files.write(SECOND)
            assert await shown(port) is SECOND

    run(scenario())
    found = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(found) == 2
    assert f"the key in {files.key} does not belong to {files.certificate}" in found[0]
    assert f"cannot read {files.certificate}: No such file or directory" in found[1]


def test_a_client_that_does_not_shake_hands_is_closed(files):
    async def scenario():
        async with serving(files, Limits(head_seconds=0.2)) as port, asyncio.timeout(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            writer.close()

    run(scenario())


def encrypted():
    key = serialization.load_pem_private_key(KEY, None)
    hidden = serialization.BestAvailableEncryption(b"hunter2")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        pytest.param(CHAIN, SECOND.private_key_pem.bytes(), "the key in {key} does not", id="another's key"),
        pytest.param(b"", KEY, "{certificate} contains no certificate", id="no certificate"),
        pytest.param(CHAIN[:300], KEY, "{certificate} contains no certificate", id="half a certificate"),
        pytest.param(KEY, KEY, "{certificate} contains no certificate", id="a key as certificate"),
        pytest.param(CHAIN, KEY[:99], "{key} contains no private key in PEM", id="half a key"),
        pytest.param(CHAIN, CHAIN, "{key} contains no private key in PEM", id="a certificate as key"),
        pytest.param(CHAIN, encrypted(), "{key} contains no private key in PEM without", id="a password"),
        pytest.param(None, KEY, "cannot read {certificate}: No such file", id="a missing file"),
    ],
)
def test_a_pair_that_cannot_be_used_is_rejected_with_its_file(files, certificate, key, message):
    files.key.write_bytes(key)
    if certificate is None:
        files.certificate.unlink()
    else:
        files.certificate.write_bytes(certificate)
    with pytest.raises(BadCertificateError) as raised:
        ServerCertificate(files.certificate, files.key)
    assert str(raised.value).startswith(message.format(certificate=files.certificate, key=files.key))
