"""What is sent: where to, and the bytes of a request. Pure; used by `connection`'s callers.

It is strict: what could be read as two requests, or as another header, is not sent.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from lcm_operator.wire.errors import WireError

_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TARGET = re.compile(r"[!-~]+")
_BODIES = {"POST", "PUT", "PATCH"}


class Origin(Struct, frozen=True):
    """One server; an IPv6 address stands without brackets."""

    tls: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """What `Host` says: without the port, where that is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"


def parse_url(url: str) -> tuple[Origin, str]:
    """Return the server and the target (path and query) of an http or https URL. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("no http or https URL")
    origin = Origin(parts.scheme == "https", parts.hostname, parts.port or _PORTS[parts.scheme])
    return origin, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def request(
    origin: Origin, method: str, target: str, headers: Mapping[str, str], content: bytes | None = None
) -> bytes:
    """Return the bytes of a request. `Host` and `Content-Length` are added, values are sent as UTF-8.

    Raises WireError, which names the header that can't be sent but not its value.
    """
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise WireError("the method or the path can't be sent")
    fields = list(headers.items())
    if not any(name.lower() == "host" for name in headers):
        fields.insert(0, ("Host", origin.authority))
    if content is not None or method in _BODIES:
        fields.append(("Content-Length", str(len(content or b""))))
    return f"{method} {target} HTTP/1.1\r\n".encode() + _head(fields) + b"\r\n" + (content or b"")


def _head(fields: Iterable[tuple[str, str]]) -> bytes:
    lines = bytearray()
    for name, value in fields:
        if not _TOKEN.fullmatch(name):
            raise WireError("a header has a name that can't be sent")
        try:
            sent = value.strip(" \t").encode()
        except UnicodeEncodeError as error:
            raise WireError(f"the header {name} holds what is no text") from error
        if _CONTROL.search(value):
            raise WireError(f"the header {name} holds a control character")
        lines += name.encode() + b": " + sent + b"\r\n"
    return bytes(lines)
