"""The HTTP session that kopf gets: no object that anybody writes can make kopf's own decoding fail.

kopf decodes lists as a whole and watches line by line, by `json`; an error there ends the watcher, and so
the operator. Its session therefore gives it answers that any decoder can read (`kube.decoding`). What was cut
lies deeper than any value that our records take (`api.bounds`).

An error within a watch, other than that it is too old, would end the operator as well. It is handed on as
"too old", upon which kopf lists again.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self, cast

import aiohttp

from lcm_operator import logs
from lcm_operator.controllers.time_slice import TimeSlice
from lcm_operator.kube import decoding
from lcm_operator.kube.cache import ObjectCache, Place
from lcm_operator.kube.errors import ApiError
from lcm_operator.kube.listing import read_page

_TOO_OLD = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"list again"}}'
log = logs.get(__name__)


def response_class(lists: Mapping[str, ObjectCache[Place, Any]]) -> type[aiohttp.ClientResponse]:
    """Return the class of responses for kopf. `lists`: what is known of kinds, by their plurals.

    Of a list of such a kind kopf gets what is not known yet: it would keep a task and a decoded copy of each
    object for a while, and hand all of them to handlers that have nothing to do with them.
    """

    class Response(ReadableResponse):
        async def json(self, **_: Any) -> Any:
            known = lists.get(self.url.name) if self.method == "GET" and self.ok else None
            return await super().json() if known is None else await _unknown(await self.read(), known)

    return Response


async def _unknown(content: bytes, known: ObjectCache[Place, Any]) -> dict[str, Any]:
    """Return a page of a list with what is not `known` of it. Raises NoJsonError."""
    try:
        page = await read_page(content)
    except ApiError as error:
        raise NoJsonError(str(error)) from error
    slice_, items = TimeSlice(), []
    for listed in page:
        head = listed.head
        if known.is_news((head.namespace, head.name), head.uid, head.resource_version):
            with contextlib.suppress(ApiError):  # our own list says so of it
                items.append(await listed.read())
        await slice_.rest()
    metadata = {"resourceVersion": page.resource_version, "continue": page.continue_token}
    return {"metadata": metadata, "items": items}


class ReadableResponse(aiohttp.ClientResponse):
    """A response whose JSON, whole or line by line, is cut to what can be decoded."""

    async def start(self, connection: Any) -> Self:
        """Read the head; a watch gets a stream of readable lines."""
        await super().start(connection)
        if self.url.query.get("watch") == "true":
            self.content = cast("aiohttp.StreamReader", _Lines(self.content))
        return self

    async def json(self, **_: Any) -> Any:
        """Return the body decoded, None if it is empty. Raises NoJsonError."""
        content = await self.read()
        try:
            return await decoding.read_shallow(content) if content.strip() else None
        except ApiError as error:
            raise NoJsonError(str(error)) from error


class NoJsonError(aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
    """An answer that is no JSON: kopf asks again, as after a broken connection."""


class _Lines:
    """The content of a watch."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield whole lines, each of which can be decoded."""
        rest = b""
        async for part in self._content.iter_chunked(size):
            *lines, rest = (rest + part).split(b"\n")
            readable = [await _readable(line) for line in lines if line.strip()]
            if readable:
                yield b"\n".join([*readable, b""])


async def _readable(line: bytes) -> bytes:
    """Return a line of a watch that kopf can read and outlive."""
    try:
        plain = await decoding.plain(line)
    except ApiError as error:
        log.warning("invalid JSON in a watch; listing again", error=error)
        return _TOO_OLD
    if not plain.startswith(b'{"type":"ERROR"'):
        return plain
    log.warning("watch ended by an error; listing again", error=plain[:512].decode())
    return _TOO_OLD
