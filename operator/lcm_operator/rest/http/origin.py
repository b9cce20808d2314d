"""Protection against requests that a web page makes a browser send.

A page of another origin can send a POST with our cookie, and a page whose host name resolves to 127.0.0.1
(DNS rebinding) can reach a sidecar without keys. Such requests must change nothing; reads are allowed if a
key is required. Other clients send no Origin, and a Host that names the sidecar.
"""

import ipaddress
from collections.abc import Set as AbstractSet

from lcm_operator.addresses import Address
from lcm_operator.rest.http.replies import HttpRefusalError

_SAFE = ("GET", "HEAD", "OPTIONS")


class OriginCheck:
    """The host names that the sidecar accepts. `authenticated`: whether keys are required."""

    def __init__(self, address: Address, allowed: AbstractSet[str], *, authenticated: bool) -> None:
        self._names = {"localhost", address.host.lower(), *allowed}
        self._authenticated = authenticated
        self._any_address = not address.is_loopback

    def check(self, method: str, host: str | None, origin: str | None) -> None:
        """Raise HttpRefusalError (421, 403) if a request with this Host and Origin must have no effect."""
        harmless = method in _SAFE
        if host is not None and not self._is_ours(host) and not (harmless and self._authenticated):
            raise HttpRefusalError(421, "Misdirected Request")
        if origin is not None and not harmless and origin.lower().partition("://")[2] != (host or "").lower():
            raise HttpRefusalError(403, "Forbidden")

    def _is_ours(self, host: str) -> bool:
        name = _name_of(host)
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # An address cannot be rebound, as a name can.
        return address.is_loopback or self._any_address


def _name_of(host: str) -> str:
    """Return the name in a Host header, without port, brackets and trailing dot."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()
