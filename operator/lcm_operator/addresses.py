"""Addresses of servers, `host:port`, and their listening sockets.

asyncio must not bind them: it makes every IPv6 socket deaf to IPv4, including that of `[::]`.
"""

import errno
import ipaddress
import socket
from dataclasses import dataclass
from typing import Self

from lcm_operator.kinds import Kind
from lcm_operator.settings import SettingsError

EVERY_HOST = "*"
_LARGEST_PORT = 65535
_UNAVAILABLE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@dataclass(frozen=True)
class Address:
    """Where a server listens. An IPv6 host has no brackets; `*` is every address of both families."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, *, lowest_port: int = 1) -> Self:
        """Return the address of `host:port` or `[IPv6]:port`. Raises ValueError."""
        host, _, port = text.rpartition(":")
        is_bracketed = host.startswith("[") and host.endswith("]")
        bare = host[1:-1] if is_bracketed else host
        if not bare or is_bracketed != (":" in bare) or set(bare) & set("[]/@ "):
            raise ValueError
        if not (port.isascii() and port.isdecimal() and lowest_port <= int(port) <= _LARGEST_PORT):
            raise ValueError
        return cls(bare, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_FORM = "host:port, [IPv6]:port or *:port"
ADDRESS = Kind(f"{_FORM}, the port from 1 to 65535", Address.parse)
ADDRESS_OR_ANY_PORT = Kind(
    f"{_FORM}, the port up to 65535, 0 for any free one",
    lambda text: Address.parse(text, lowest_port=0),
)


def bind(variable: str, address: Address) -> tuple[socket.socket, ...]:
    """Return sockets that listen on an address, one for each that its name has.

    `*` and `::` take IPv4 and IPv6; on a machine without IPv6, `*` takes IPv4. Raises SettingsError of the
    variable that has the address.
    """
    try:
        if address.host in (EVERY_HOST, "::"):
            return (_every_address(address),)
        return _resolved(address)
    except OSError as error:
        raise SettingsError(f"{variable}: cannot listen on {address}: {error}") from error


def _every_address(address: Address) -> socket.socket:
    if address.host == EVERY_HOST and not socket.has_dualstack_ipv6():
        return socket.create_server(("", address.port))
    return socket.create_server(("::", address.port), family=socket.AF_INET6, dualstack_ipv6=True)


def _resolved(address: Address) -> tuple[socket.socket, ...]:
    """Return a socket for each address of a host, except for those that this machine cannot have."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    made: list[socket.socket] = []
    unavailable: OSError | None = None
    for family, place in dict.fromkeys((family, place) for family, _, _, _, place in found):
        try:
            made.append(socket.create_server(place, family=family))
        except OSError as error:
            if error.errno not in _UNAVAILABLE:
                for other in made:
                    other.close()
                raise
            unavailable = error
    if unavailable is not None and not made:
        raise unavailable
    return tuple(made)
