"""The activity `http`: one request to the outside.

Every request has a session of its own: no cookie is kept (it would not be in the checkpoint), and no stale
connection makes the client repeat a request by itself. No redirect is followed: a reply must not choose the
host.
"""

import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from lcm_operator.api.plan import Http
from lcm_operator.api.support import IDEMPOTENCY_HEADER
from lcm_operator.engine.activities.results import ActivityFailedError, Performed
from lcm_operator.engine.outcome import excerpt
from lcm_operator.engine.templates import Absent, Scope
from lcm_operator.engine.urls import render_url, without_secrets

LARGEST_RESPONSE = 1024 * 1024


async def perform(http: Http, scope: Scope, key: str) -> Performed:
    """Send the request with `key` as its Idempotency-Key, check its status and capture from the reply."""
    url = render_url(http.url, scope.texts(http.query), scope)
    headers = scope.texts(http.headers)
    body = _body(http, scope, headers)
    headers[IDEMPOTENCY_HEADER] = key
    request = f"{http.method} {without_secrets(url)}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=http.timeout_seconds)) as session,
            session.request(
                http.method,
                URL(url, encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
                ssl=_trust(url),
            ) as reply,
        ):
            content = await _read(reply)
    except TimeoutError as error:
        raise ActivityFailedError(f"{request}: no answer within {http.timeout_seconds:g} s") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise ActivityFailedError(f"{request}: {_why(error)}") from error
    _expect(http, request, reply.status, content)
    response = _response(reply, content)
    output = {name: scope.with_(response=response).value(source) for name, source in http.capture.items()}
    return Performed(output=output, response=response)


def _trust(url: str) -> ssl.SSLContext | bool:
    """Return the system's certificate authorities (or those of SSL_CERT_FILE); read only for https."""
    return ssl.create_default_context() if url.startswith("https:") else True


def _body(http: Http, scope: Scope, headers: dict[str, str]) -> bytes | None:
    if http.json_body is not msgspec.UNSET:
        body, kind = msgspec.json.encode(scope.tree(http.json_body)), "application/json"
    elif http.body is not None:
        body, kind = scope.text(http.body).encode(), "text/plain; charset=utf-8"
    else:
        return None
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = kind
    return body


async def _read(reply: aiohttp.ClientResponse) -> bytes | None:
    """Return the body, or None if it is too large to be looked at (the request was answered all the same)."""
    content = bytearray()
    async for chunk in reply.content.iter_any():
        content += chunk
        if len(content) > LARGEST_RESPONSE:
            return None
    return bytes(content)


def _expect(http: Http, request: str, status: int, content: bytes | None) -> None:
    wanted = http.expect.status
    if status in wanted or (not wanted and 200 <= status < 300):  # noqa: PLR2004 - 2xx
        return
    expected = " or ".join(str(number) for number in wanted) or "2xx"
    came = excerpt((content or b"").decode(errors="replace"))
    raise ActivityFailedError(
        f"{request}: expected status {expected}, got {status}" + (f": {came}" if came else "")
    )


def _response(reply: aiohttp.ClientResponse, content: bytes | None) -> dict[str, Any]:
    """Return what expressions see as `response`; what it has not is undefined, with the reason."""
    seen: dict[str, Any] = {"status": reply.status, "headers": _Headers(reply.headers)}
    if content is None:
        return seen | dict.fromkeys(
            ("text", "json"), Absent(f"the response is over {LARGEST_RESPONSE} bytes")
        )
    seen["text"] = _decoded(content, reply.charset)
    try:
        seen["json"] = msgspec.json.decode(content)
    except (ValueError, RecursionError):  # not even UTF-8, malformed, or nested without end
        seen["json"] = Absent("the response is no JSON")
    return seen


def _decoded(content: bytes, charset: str | None) -> str:
    try:
        return content.decode(charset or "utf-8", errors="replace")
    except (LookupError, ValueError):  # the service names a charset that there is not
        return content.decode(errors="replace")


class _Headers(dict[str, str]):
    """Headers by their names in any case; a repeated one is joined by commas."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__()
        for name, value in headers.items():
            key = name.lower()
            self[key] = f"{self[key]}, {value}" if key in self else value

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


def _why(error: Exception) -> str:
    """Return what went wrong; the text of errors that repeat what was sent is left out."""
    if isinstance(error, aiohttp.ClientConnectionError):
        return excerpt(f"{type(error).__name__}: {error}")
    return type(error).__name__
