"""Proxies: the one rule by which the engine, the registry client and the REST interface go out.

HTTP_PROXY and HTTPS_PROXY name a proxy for http and for https, NO_PROXY the hosts that are reached directly;
the names in lower case count first, as for curl. The API server is reached through none of them (ADR 0043).
A proxy's password must appear in no message.
"""

import ipaddress
import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import msgspec

_FORM = "expected http://[user:password@]host[:port]"
_PORTS = {"http": 80, "https": 443}
_UNUSABLE = re.compile(r"[\x00-\x20\x7f]")
_PORT = re.compile(r"(?P<host>\[.*\]|[^:]*):(?P<port>[0-9]{1,5})")
_IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class ProxyError(Exception):
    """A proxy cannot be used; the text names the setting, and not its value."""


class Proxy(msgspec.Struct, frozen=True):
    """A proxy that is reached by plain http. An IPv6 host has no brackets."""

    host: str
    port: int
    user: str | None = None
    password: str = ""

    @classmethod
    def parse(cls, variable: str, text: str) -> "Proxy":
        """Return the proxy of a URL, which may lack its scheme. Raises ProxyError, which names `variable`."""
        url = text.strip()
        if _UNUSABLE.search(url):
            raise ProxyError(f"{variable}: {_FORM}, got a blank or a control character in it")
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = _PORTS["http"] if parts.port is None else parts.port
        except ValueError:
            raise ProxyError(f"{variable}: {_FORM}, got another form") from None
        if parts.scheme != "http":
            raise ProxyError(f"{variable}: {_FORM}; a proxy by {parts.scheme} is not supported")
        if not parts.hostname or not parts.hostname.isascii() or parts.path.strip("/") or parts.query:
            raise ProxyError(f"{variable}: {_FORM}, got another form")
        user = None if parts.username is None else unquote(parts.username)
        password = unquote(parts.password or "")
        if _UNUSABLE.search(f"{user or ''}{password}".replace(" ", "")):
            raise ProxyError(f"{variable}: user and password must not contain control characters")
        return cls(parts.hostname, port, user, password)

    @property
    def authorization(self) -> str | None:
        """The value of `Proxy-Authorization`, None without a user."""
        if self.user is None:
            return None
        return f"Basic {b64encode(f'{self.user}:{self.password}'.encode()).decode()}"

    @property
    def url(self) -> str:
        """The URL without user and password."""
        return f"http://{self}"

    def __str__(self) -> str:
        """Return host and port, for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Proxies(msgspec.Struct, frozen=True):
    """The values of the three settings."""

    http: str = ""
    https: str = ""
    no: str = ""

    def find(self, url: str) -> Proxy | None:
        """Return the proxy for a URL, None if its host is reached directly. Raises ProxyError, ValueError."""
        parts = urlsplit(url)
        name, text = ("HTTPS_PROXY", self.https) if parts.scheme == "https" else ("HTTP_PROXY", self.http)
        host = (parts.hostname or "").rstrip(".")
        if not text.strip() or _is_direct(host, parts.port or _PORTS.get(parts.scheme, 0), self.no):
            return None
        return Proxy.parse(name, text)

    def secrets(self) -> Iterator[str]:
        """Yield what messages and logs must not contain."""
        for text in (self.http, self.https):
            try:
                proxy = Proxy.parse("", text)
            except ProxyError:
                continue
            yield from (secret for secret in (proxy.password, (proxy.authorization or "")[6:]) if secret)


DIRECT = Proxies()


def _is_direct(host: str, port: int, listed: str) -> bool:
    """Return whether NO_PROXY lists a host."""
    address = _address(host)
    return any(
        _matches(entry.lower(), host.lower(), address, port) for entry in re.split(r"[\s,]+", listed) if entry
    )


def _matches(entry: str, host: str, address: _IpAddress | None, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return address is not None and _contains(entry, address)
    if (with_port := _PORT.fullmatch(entry)) is not None:
        if int(with_port["port"]) != port:
            return False
        entry = with_port["host"]
    if address is not None:
        return _address(entry) == address
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _contains(cidr: str, address: _IpAddress) -> bool:
    try:
        return address in ipaddress.ip_network(cidr.replace("[", "").replace("]", ""), strict=False)
    except ValueError:  # no CIDR
        return False


def _address(host: str) -> _IpAddress | None:
    """Return the address that a host is; an IPv4 address in IPv6 is that IPv4 address."""
    try:
        found = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
