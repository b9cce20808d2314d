"""One request of an `http` activity and its response, without a time-out.

Every request has its own connection, since a stale one would make it ambiguous whether to repeat it.
Redirects are not followed, since a response must not choose the host; cookies are not kept, since they would
not be in the checkpoint.
"""

import ssl
from functools import cache
from typing import Any

import msgspec

from lcm_operator import trust
from lcm_operator.engine.outcome import ActivityFailedError
from lcm_operator.outside import encoding
from lcm_operator.plan.urls import without_secrets
from lcm_operator.plan.values import Undefined, json_or_undefined
from lcm_operator.proxies import Proxy
from lcm_operator.wire.connection import Connection
from lcm_operator.wire.errors import WireError
from lcm_operator.wire.messages import parse_url, request
from lcm_operator.wire.replies import Headers

LARGEST_RESPONSE = 1024 * 1024
_DEFAULTS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "lcm-engine"}


class Request(msgspec.Struct, frozen=True):
    """A request without its credentials; `content` None: no body."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None
    proxy: Proxy | None = None

    def __str__(self) -> str:
        """Return method and URL for messages, without user, password and query, and the proxy."""
        through = f" through the proxy {self.proxy}" if self.proxy else ""
        return f"{self.method} {without_secrets(self.url)}{through}"


class Response(msgspec.Struct, frozen=True):
    """A response; `content` None: larger than LARGEST_RESPONSE."""

    status: int
    headers: Headers
    content: bytes | None

    @property
    def text(self) -> str:
        """The body as text; bytes that are not text are replaced."""
        content = self.content or b""
        try:
            return content.decode(encoding(self.headers.get("content-type")), errors="replace")
        except ValueError:  # the service names an unknown charset
            return content.decode(errors="replace")

    def _json(self, content: bytes) -> Any:
        return json_or_undefined(content, "the response", self.headers.get("content-type"))

    def variables(self) -> dict[str, Any]:
        """Return the variable `response` of expressions; missing members are undefined, with the reason."""
        seen: dict[str, Any] = {"status": self.status, "headers": self.headers}
        encoding = self.headers.get("content-encoding") or "identity"
        if self.content is None:
            absent = Undefined(f"the response is over {LARGEST_RESPONSE} bytes")
            return seen | {"text": absent, "json": absent}
        if encoding.lower() != "identity":
            absent = Undefined(f"the response has the Content-Encoding {encoding}, which was not requested")
            return seen | {"text": absent, "json": absent}
        return seen | {"text": self.text, "json": self._json(self.content)}


async def exchange(sent: Request, credentials: dict[str, str]) -> Response:
    """Send the request, once, and return the response. Raises ActivityFailedError."""
    try:
        origin, target = parse_url(sent.url)
        given = sent.headers | credentials
        names = {name.lower() for name in given}
        headers = {name: value for name, value in _DEFAULTS.items() if name.lower() not in names} | given
        proxy = sent.proxy
        content = request(origin, sent.method, target, headers, sent.content, None if origin.tls else proxy)
        async with await Connection.connect(origin, _trust() if origin.tls else None, proxy) as connection:
            reply = await connection.ask(sent.method, content)
            return Response(reply.status, reply.headers, await _read(connection))
    except WireError as error:
        raise ActivityFailedError(f"{sent}: {error}") from error


@cache
def _trust() -> ssl.SSLContext:
    """Return the system's certificate authorities, or those of SSL_CERT_FILE."""
    return trust.client_context()


async def _read(connection: Connection) -> bytes | None:
    """Return the body, or None if it is larger than LARGEST_RESPONSE (the service did answer)."""
    content = bytearray()
    while part := await connection.read():
        content += part
        if len(content) > LARGEST_RESPONSE:
            return None
    return bytes(content)
