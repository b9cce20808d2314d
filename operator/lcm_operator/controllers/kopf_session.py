"""The HTTP session for kopf: no object, whatever its content, can make kopf's own decoding fail.

kopf decodes lists as a whole and watches line by line, with `json`; an error there ends the watcher, and with
it the operator. So this session returns answers that any decoder can read (`kube.decoding`). It cuts only
values that are nested deeper than our records read (`api.bounds`).

An error within a watch, other than "too old", would also end the operator. It is passed on as "too old", and
kopf lists again.
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
    """Return the class of responses for kopf. `lists`: the known objects of kinds, by plural.

    Of a list of such a kind kopf gets only unknown objects: for each object it keeps a task and a decoded
    copy for a while, and calls handlers that would do nothing.
    """

    class Response(ReadableResponse):
        async def json(self, **_: Any) -> Any:
            known = lists.get(self.url.name) if self.method == "GET" and self.ok else None
            return await super().json() if known is None else await _unknown(await self.read(), known)

    return Response


async def _unknown(content: bytes, known: ObjectCache[Place, Any]) -> dict[str, Any]:
    """Return a page of a list without the objects that are `known`. Raises NoJsonError."""
    try:
        page = await read_page(content)
    except ApiError as error:
        raise NoJsonError(str(error)) from error
    slice_, items = TimeSlice(), []
    for listed in page:
        head = listed.head
        if known.is_news((head.namespace, head.name), head.uid, head.resource_version):
            with contextlib.suppress(ApiError):  # our own list reports it
                items.append(await listed.read())
        await slice_.rest()
    metadata = {"resourceVersion": page.resource_version, "continue": page.continue_token}
    return {"metadata": metadata, "items": items}


class ReadableResponse(aiohttp.ClientResponse):
    """A response whose JSON, whole or line by line, is cut so that it can be decoded."""

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
    """An answer that is not JSON: kopf asks again, as after a broken connection."""


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
    """Return a line of a watch that kopf can read and survive."""
    try:
        plain = await decoding.plain(line)
    except ApiError as error:
        log.warning("invalid JSON in a watch; listing again", error=error)
        return _TOO_OLD
    if not plain.startswith(b'{"type":"ERROR"'):
        return plain
    log.warning("watch ended by an error; listing again", error=plain[:512].decode())
    return _TOO_OLD
