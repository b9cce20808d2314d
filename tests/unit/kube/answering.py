"""An API server in name only: it answers each request with bytes that a test has chosen."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lcm_operator.kube.access import Access

Answer = tuple[int, bytes]


@asynccontextmanager
async def answering(answer: Callable[[str], Answer]) -> AsyncIterator[Access]:
    """Answer while the context is open; `answer` is given the request line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            ),
            0,
        )
        await reader.readexactly(length)
        status, body = answer(head.split(b"\r\n")[0].decode())
        writer.write(
            f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Access(server=f"http://127.0.0.1:{port}")
    finally:
        server.close()
        await server.wait_closed()
