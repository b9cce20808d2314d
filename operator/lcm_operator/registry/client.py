"""The client of a trial registry: asks for all trials, or for one. Synchronous: call it in a thread.

Used by the operator's pulls and by the REST sidecar. Everything is bounded: 30 s for a whole request however
slowly it trickles (beside what the system's resolver takes to give up a name, and our own reading), 32 MiB
for a list, of which little is ever held. No redirect is followed: whoever holds the credentials is named in
the TrialRegistry, not in a reply.
"""

import base64
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from lcm_operator.registry.connection import Connection
from lcm_operator.registry.errors import (
    BadConnectionError,
    BadReplyError,
    BadStatusError,
    RegistryError,
    UnreachableError,
)
from lcm_operator.registry.listing import Listing, ListReader, Selection
from lcm_operator.registry.replies import Entry, parse_trial
from lcm_operator.registry.watchdog import Watchdog, WatchedAdapter
from lcm_operator.wire import retry_after

DEADLINE_SECONDS = 30.0
_LARGEST_LIST = 32 * 1024 * 1024
_LARGEST_TRIAL = 1024 * 1024
_REFUSAL = 4096
_SHOWN_BODY = 512
_SHORTEST_SECRET = 8  # a shorter one would blot out words
_CHUNK = 64 * 1024
_OK = 200
_READING = threading.Lock()
"""Lists are read one at a time, and half of the time none: the loop waits whenever one is being read."""
_LONGEST_REST_SECONDS = 0.05
T = TypeVar("T")


class RegistryClient:
    """One registry. Raises RegistryError, whose text says why in the words of the legacy interface."""

    def __init__(self, connection: Connection, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._connection = connection
        self._deadline_seconds = deadline_seconds

    def list_trials(self, selection: Selection | None = None) -> Listing:
        """Return what the registry has: GET {url}/trial/, of it what `selection` wants; default all."""
        return self._get(
            "/trial/", lambda reply, watchdog: _read_list(reply, selection or Selection(), watchdog)
        )

    def trial(self, trial_id: str) -> Entry:
        """Return one trial: GET {url}/trial/{id}/, the ID percent-encoded as one segment."""
        segment = urllib.parse.quote(trial_id, safe="").replace(".", "%2E")
        content = self._get(f"/trial/{segment}/", lambda reply, _: b"".join(_body(reply, _LARGEST_TRIAL)))
        return parse_trial(content, trial_id)

    def _get(self, path: str, read: Callable[[requests.Response, Watchdog], T]) -> T:
        url = self._connection.url.rstrip("/") + path
        late = UnreachableError(url, f"no reply within {self._deadline_seconds:g} s")
        with Watchdog(self._deadline_seconds) as watchdog:
            try:
                result = self._exchange(url, read, watchdog)
            except RegistryError as error:
                raise late if watchdog.is_over else error from None
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                raise late if watchdog.is_over else UnreachableError(url, _why(error)) from error
            if watchdog.is_over:  # what was cut off can look like an end
                raise late
            return result

    def _exchange(self, url: str, read: Callable[[requests.Response, Watchdog], T], watchdog: Watchdog) -> T:
        is_secure = url.lower().startswith("https:")
        with requests.Session() as session:
            session.trust_env = False
            session.mount("http://", WatchedAdapter(watchdog))
            if is_secure:
                session.mount("https://", WatchedAdapter(watchdog, self._trust()))
            request = session.prepare_request(requests.Request("GET", url, auth=self._authentication()))
            request.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
            request.url = url  # as it stands: the library would resolve an ID of dots
            seconds = self._deadline_seconds
            with session.send(request, stream=True, timeout=seconds, allow_redirects=False) as reply:
                if reply.status_code != _OK:
                    asked = retry_after.seconds(reply.headers.get("Retry-After"))
                    raise BadStatusError(reply.status_code, self._shown(_refusal(reply)), asked)
                if reply.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise BadReplyError("it is encoded, which was not asked for")
                return read(reply, watchdog)

    def _authentication(self) -> HTTPBasicAuth | None:
        user = self._connection.user
        return None if user is None else HTTPBasicAuth(user.encode(), self._connection.password.encode())

    def _shown(self, refusal: bytes) -> bytes:
        """Return the beginning of a refusal, without our credentials: there are servers that repeat them."""
        password = self._connection.password.encode()
        credentials = base64.b64encode(f"{self._connection.user}:".encode() + password)
        for secret in (credentials, password):
            if len(secret) >= _SHORTEST_SECRET:
                refusal = refusal.replace(secret, b"***")
        return refusal[:_SHOWN_BODY]

    def _trust(self) -> ssl.SSLContext:
        authorities = self._connection.authorities
        if authorities is None:
            return ssl.create_default_context()
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            trust.load_verify_locations(cadata=authorities.encode("ascii", "ignore").decode())
        except (ssl.SSLError, ValueError) as error:
            raise BadConnectionError("caBundle holds no certificates in PEM") from error
        return trust


def _read_list(reply: requests.Response, selection: Selection, watchdog: Watchdog) -> Listing:
    """Return the list in a reply; our own reading time does not count. Raises BadReplyError."""
    reader = ListReader(selection)
    for chunk in _body(reply, _LARGEST_LIST):
        begun = time.monotonic()
        with _READING:
            feeding = time.monotonic()
            reader.feed(chunk)
            time.sleep(min(time.monotonic() - feeding, _LONGEST_REST_SECONDS))
        watchdog.extend(time.monotonic() - begun)
    begun = time.monotonic()
    with _READING:
        listing = reader.finish()
    watchdog.extend(time.monotonic() - begun)
    return listing


def _body(reply: requests.Response, largest: int) -> Iterator[bytes]:
    """Go through a complete body in pieces of at least a chunk. Raises BadReplyError."""
    piece, size = bytearray(), 0
    try:
        for part in reply.raw.stream(_CHUNK, decode_content=False):
            piece += part
            size += len(part)
            if size > largest:
                raise BadReplyError(f"it is over {largest // 1024 // 1024} MiB")
            if len(piece) >= _CHUNK:
                yield bytes(piece)
                piece.clear()
    except urllib3.exceptions.ProtocolError as error:
        raise BadReplyError("it broke off") from error
    yield bytes(piece)


def _refusal(reply: requests.Response) -> bytes:
    """Return the beginning of a refusal, as far as it came."""
    content = bytearray()
    try:
        for part in reply.raw.stream(_REFUSAL, decode_content=False):
            content += part
            if len(content) >= _REFUSAL:
                break
    except urllib3.exceptions.ProtocolError:
        pass
    return bytes(content)


def _why(error: Exception) -> str:
    """Return the innermost reason in a line, without what libraries wrap around it."""
    inner: Any = error
    while isinstance(inner, Exception):
        following = getattr(inner, "reason", None) or next(
            (part for part in inner.args if isinstance(part, Exception)), None
        )
        if not isinstance(following, Exception):
            break
        inner = following
    text = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)
    return " ".join(text.split())[:200] or type(inner).__name__
