"""Requests: the server and the bytes to send. Pure.

Nothing that a server could parse as two requests or as a different header must be sent.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from lcm_operator.proxies import Proxy
from lcm_operator.wire.errors import WireError

_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET = re.compile(r"[!-~]+")
_BODIES = {"POST", "PUT", "PATCH"}


class Origin(Struct, frozen=True):
    """One server; an IPv6 address has no brackets."""

    tls: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of `Host`, without the scheme's default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"


def parse_url(url: str) -> tuple[Origin, str]:
    """Return the server and the target (path and query) of an http or https URL. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("not an http or https URL")
    origin = Origin(parts.scheme == "https", parts.hostname, parts.port or _PORTS[parts.scheme])
    return origin, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def request(
    origin: Origin,
    method: str,
    target: str,
    headers: Mapping[str, str],
    content: bytes | None = None,
    proxy: Proxy | None = None,
) -> bytes:
    """Return the bytes of a request. `Host` and `Content-Length` are added, values are sent as UTF-8.

    `proxy` is the one that the request goes to: not one that tunnels to the origin.
    Raises WireError, which names an invalid header but must not show its value.
    """
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise WireError("the method or the path contains a character that is not allowed")
    fields = list(headers.items())
    if not any(name.lower() == "host" for name in headers):
        fields.insert(0, ("Host", origin.authority))
    if content is not None or method in _BODIES:
        fields.append(("Content-Length", str(len(content or b""))))
    if proxy is not None:
        target = f"http://{origin.authority}{target}"
        fields += _credentials(proxy)
    return f"{method} {target} HTTP/1.1\r\n".encode() + _head(fields) + b"\r\n" + (content or b"")


def tunnel_request(origin: Origin, proxy: Proxy) -> bytes:
    """Return the bytes of a request to a proxy for a connection to `origin`. Raises WireError."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    target = f"{host}:{origin.port}"
    return (
        f"CONNECT {target} HTTP/1.1\r\n".encode() + _head([("Host", target), *_credentials(proxy)]) + b"\r\n"
    )


def _credentials(proxy: Proxy) -> list[tuple[str, str]]:
    return [("Proxy-Authorization", proxy.authorization)] if proxy.authorization else []


def _head(fields: Iterable[tuple[str, str]]) -> bytes:
    lines = bytearray()
    for name, value in fields:
        if not _TOKEN.fullmatch(name):
            raise WireError("the name of a header contains a character that is not allowed")
        try:
            sent = value.strip(" \t").encode()
        except UnicodeEncodeError as error:
            raise WireError(f"the value of header {name} is not text") from error
        if _CONTROL.search(value):
            raise WireError(f"the value of header {name} contains a control character")
        lines += name.encode() + b": " + sent + b"\r\n"
    return bytes(lines)
