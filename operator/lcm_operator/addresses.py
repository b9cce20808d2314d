"""Addresses of servers, `host:port`."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from lcm_operator.kinds import Kind
from lcm_operator.settings import SettingsError

_LARGEST_PORT = 65535


@dataclass(frozen=True)
class Address:
    """Where a server listens. An IPv6 host has no brackets."""

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


ADDRESS = Kind("host:port or [IPv6]:port, the port from 1 to 65535", Address.parse)
ADDRESS_OR_ANY_PORT = Kind(
    "host:port or [IPv6]:port, the port up to 65535, 0 for any free one",
    lambda text: Address.parse(text, lowest_port=0),
)


@contextmanager
def listening(variable: str, address: Address) -> Iterator[None]:
    """Turn an OSError while listening into a SettingsError of the variable that has the address."""
    try:
        yield
    except OSError as error:
        raise SettingsError(f"{variable}: cannot listen on {address}: {error}") from error
