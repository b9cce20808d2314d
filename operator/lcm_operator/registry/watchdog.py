"""A deadline for a whole request: time-outs of a socket hold for each read, and a server may trickle.

Used by `client`. At the deadline the connection is shut down, wherever it stands: handshake, headers or body.
"""

import contextlib
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

_INSTANT = 0.001


class Watchdog:
    """Shuts down what it holds once `seconds` have passed, unless the block was left before."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._barked = False
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
            self._barked = True
            for held in self._held:
                held.close()
            self._held.clear()

    @property
    def is_over(self) -> bool:
        """Return whether the deadline has passed: whatever was read or went wrong then is of no account."""
        return self._left() <= 0

    def extend(self, seconds: float) -> None:
        """Put the deadline off, by time that was not the server's."""
        self._deadline += seconds

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a connection, of however many addresses in the time that is left. Raises OSError."""
        refusal = OSError("it has no address")
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
        """Watch a connection, by a descriptor of our own: TLS takes the first one away from its socket."""
        with self._lock:
            self._held.append(socket.socket(fileno=os.dup(connection.fileno())))
            if self._barked:
                self._shut_down()

    def _made_timer(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(max(seconds, _INSTANT), self._bark)
        timer.daemon = True
        return timer

    def _bark(self) -> None:
        with self._lock:
            if self._barked:  # the block was left
                return
            if self.is_over:
                self._barked = True
                self._shut_down()
                return
            self._timer = self._made_timer(self._left())
            self._timer.start()

    def _shut_down(self) -> None:
        for held in self._held:
            with contextlib.suppress(OSError):  # it has ended by itself
                held.shutdown(socket.SHUT_RDWR)


class WatchedAdapter(HTTPAdapter):
    """Connections that a watchdog holds; https is verified by `trust` alone."""

    def __init__(self, watchdog: Watchdog, trust: ssl.SSLContext | None = None) -> None:
        self._watchdog = watchdog
        self._trust = trust
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools of watched connections."""
        watchdog = self._watchdog

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return watchdog.connect(self.host.strip("[]"), self.port)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return watchdog.connect(self.host.strip("[]"), self.port)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        if self._trust is not None:
            options["ssl_context"] = self._trust
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def cert_verify(self, *_: Any) -> None:
        """Leave the trust alone: the library would add the public authorities to it."""
