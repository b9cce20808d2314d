"""Requests that a browser was led to make: those of another origin, or under a name that is not ours.

A page of some other origin can send a POST along with our cookie, and a name that its owner lets point to
127.0.0.1 can reach a sidecar that requires no key. So such requests change nothing; reading is allowed, as
long as a key is required. Programs send no Origin, and their Host is that of the address they know.
"""

import ipaddress
from collections.abc import Set as AbstractSet

from lcm_operator.addresses import Address
from lcm_operator.rest.http.replies import HttpRefusalError

_SAFE = ("GET", "HEAD", "OPTIONS")


class OriginCheck:
    """The names under which callers may know the sidecar. `authenticated`: whether keys are required."""

    def __init__(self, address: Address, allowed: AbstractSet[str], *, authenticated: bool) -> None:
        self._names = {"localhost", address.host.lower(), *allowed}
        self._authenticated = authenticated
        self._any_address = not address.is_loopback

    def check(self, method: str, host: str | None, origin: str | None) -> None:
        """Raise HttpRefusalError (421, 403) where a request of this Host and Origin must have no effect."""
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
        # An address can't be led elsewhere, as a name can.
        return address.is_loopback or self._any_address


def _name_of(host: str) -> str:
    """Return a Host header without port, brackets and the dot at the end."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()
