"""Servers on loopback that do what real ones should not."""

import asyncio
from contextlib import asynccontextmanager, suppress

from lcm_operator.wire.connection import Connection
from lcm_operator.wire.messages import Origin


@asynccontextmanager
async def serving(script, trust=None):
    """Serve every connection by `script(reader, writer)`; yield the origin and how many there were."""
    accepted = []

    async def serve(reader, writer):
        accepted.append(writer)
        with suppress(ConnectionError, EOFError):
            await script(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=trust)
    try:
        yield Origin(trust is not None, "127.0.0.1", server.sockets[0].getsockname()[1]), accepted
    finally:
        server.close()
        for writer in accepted:
            writer.transport.abort()
        await server.wait_closed()


@asynccontextmanager
async def connected(script, trust=None, verify=None):
    """Serve by `script`; yield a connection to that, its origin and what was accepted."""
    async with (
        serving(script, trust) as (origin, accepted),
        await Connection.connect(origin, verify) as connection,
    ):
        yield connection, origin, accepted


async def received(reader):
    """Return the head of the next request, and take in its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
    return head


def saying(*parts):
    """Return a script that hears one request, says these parts, each by itself, and hangs up."""

    async def script(reader, writer):
        await received(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)

    return script


def serving_on(*answers):
    """Return a script that answers one request after the other, and then waits for the client to go."""

    async def script(reader, writer):
        for answer in answers:
            await received(reader)
            writer.write(answer)
            await writer.drain()
        await reader.read()

    return script
