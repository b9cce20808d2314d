"""An HTTP proxy on loopback: passes plain requests on, opens tunnels, notes request lines and keys."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_LONGEST_WAIT = 20


class WebProxy:
    """`refusal`: the status of all its answers. `names`: addresses of hosts that only it knows."""

    def __init__(self, refusal: str = "", names: dict[str, str] | None = None) -> None:
        self.asked: list[tuple[str, str | None]] = []
        """Request lines, each with its Proxy-Authorization."""
        self._refusal, self._names = refusal, names or {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, suppress(OSError, ValueError):
            data = b""
            while b"\r\n\r\n" not in data:
                data += client.recv(65536) or b"\r\n\r\n"
            head, _, body = data.partition(b"\r\n\r\n")
            line, *fields = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
            self.asked.append((line, headers.get("proxy-authorization")))
            if self._refusal:
                client.sendall(f"HTTP/1.1 {self._refusal}\r\nContent-Length: 4\r\n\r\nnope".encode())
                return
            method, target, _ = line.split(" ")
            place = urlsplit(f"//{target}" if method == "CONNECT" else target)
            host = self._names.get(place.hostname or "", place.hostname or "")
            with socket.create_connection((host, place.port or 80), timeout=_LONGEST_WAIT) as server:
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    path = f"{place.path}?{place.query}" if place.query else place.path
                    kept = [field for field in fields if not field.lower().startswith("proxy-")]
                    server.sendall(
                        "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "", ""]).encode("latin-1") + body
                    )
                _pump(client, server)


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes on until a side closes."""
    while readable := select.select([one, other], [], [], _LONGEST_WAIT)[0]:
        for end in readable:
            if not (data := end.recv(65536)):
                return
            (other if end is one else one).sendall(data)


@contextmanager
def web_proxy(refusal: str = "", names: dict[str, str] | None = None) -> Iterator[WebProxy]:
    running = WebProxy(refusal, names)
    try:
        yield running
    finally:
        running.close()
