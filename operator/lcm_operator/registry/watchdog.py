"""A deadline for a whole request, because a socket's time-out applies to each read.

At the deadline the connection is shut down during handshake, headers or body.
"""

import contextlib
import http.client
import os
import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Any, Self

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from lcm_operator.proxies import Proxy

_INSTANT = 0.001
_MOST_INTERIM = 100


class Watchdog:
    """Shuts down its connections after `seconds`, unless the block was left before."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._ended = False
        self._held: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = self._made_timer(seconds)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._timer.cancel()
            self._ended = True
            for held in self._held:
                held.close()
            self._held.clear()

    @property
    def is_over(self) -> bool:
        """Return whether the deadline has passed; then results and errors of the request no longer count."""
        return self._left() <= 0

    def extend(self, seconds: float) -> None:
        """Extend the deadline by time that the server did not use."""
        self._deadline += seconds

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a connection to one of the host's addresses within the deadline. Raises OSError."""
        refusal = OSError("the host has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(max(self._left(), _INSTANT))
                made.connect(address)
                self._hold(made)
            except OSError as error:
                made.close()
                refusal = error
            else:
                return made
        raise refusal

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _hold(self, connection: socket.socket) -> None:
        """Keep a connection by a duplicate descriptor, because TLS detaches the original one."""
        with self._lock:
            self._held.append(socket.socket(fileno=os.dup(connection.fileno())))
            if self._ended:
                self._shut_down()

    def _made_timer(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(max(seconds, _INSTANT), self._end)
        timer.daemon = True
        return timer

    def _end(self) -> None:
        with self._lock:
            if self._ended:  # the block was left
                return
            if self.is_over:
                self._ended = True
                self._shut_down()
                return
            self._timer = self._made_timer(self._left())
            self._timer.start()

    def _shut_down(self) -> None:
        for held in self._held:
            with contextlib.suppress(OSError):  # it is closed already
                held.shutdown(socket.SHUT_RDWR)


class WatchedAdapter(HTTPAdapter):
    """Connections under a watchdog; https is verified against `trust` alone.

    `proxy` is the one that requests name, if they name one.
    """

    def __init__(
        self, watchdog: Watchdog, trust: ssl.SSLContext | None = None, proxy: Proxy | None = None
    ) -> None:
        self._pools = _watched_pools(watchdog)
        self._options: dict[str, Any] = {} if trust is None else {"ssl_context": trust}
        self._proxy = proxy
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Create pools of watched connections."""
        super().init_poolmanager(*arguments, **{**options, **self._options})
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return pools of watched connections to a proxy."""
        manager = super().proxy_manager_for(proxy, **options, **self._options)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def proxy_headers(self, _: str) -> dict[str, str]:
        """Return the credentials for the proxy, which are not in its URL: libraries show that in errors."""
        shown = self._proxy.authorization if self._proxy else None
        return {"Proxy-Authorization": shown} if shown else {}

    def cert_verify(self, *_: Any) -> None:
        """Do nothing: the library would add the public authorities to `trust`."""


class _FinalResponse(http.client.HTTPResponse):
    """A response without the interim ones (1xx) before it; the library skips only 100."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST_INTERIM):
            found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 <= found[1] < 200 or found[1] == http.HTTPStatus.SWITCHING_PROTOCOLS:  # noqa: PLR2004
                return found
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException(f"more than {_MOST_INTERIM} interim replies")


def _watched_pools(watchdog: Watchdog) -> dict[str, type[HTTPConnectionPool]]:
    """Return pools by scheme. The host of a connection is the proxy's, if there is one."""

    class Plain(HTTPConnection):
        response_class = _FinalResponse

        def _new_conn(self) -> socket.socket:
            return watchdog.connect(self.host.strip("[]"), self.port)

    class Secure(HTTPSConnection):
        response_class = _FinalResponse

        def _new_conn(self) -> socket.socket:
            return watchdog.connect(self.host.strip("[]"), self.port)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
