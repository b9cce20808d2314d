"""The client of a trial registry: reads all trials, or one. Synchronous: call it in a thread.

A request takes at most 30 s, however slowly the reply arrives; name resolution and our own parsing do not
count. A list has at most 32 MiB, of which only a small part is in memory at a time. Redirects must not be
followed: credentials are only for the host that the TrialRegistry names.
"""

import base64
import http.client
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from lcm_operator import trust
from lcm_operator.proxies import DIRECT, Proxies, Proxy, ProxyError
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
_SHORTEST_SECRET = 8  # masking a shorter one would mask parts of words
_CHUNK = 64 * 1024
_OK = 200
_PROXY_AUTHENTICATION_REQUIRED = 407
_READING = threading.Lock()
"""Lists are parsed one at a time, and half of the time none: parsing holds up the event loop."""
_LONGEST_REST_SECONDS = 0.05
T = TypeVar("T")


class RegistryClient:
    """One registry. Raises RegistryError, with the text of the legacy interface."""

    def __init__(
        self,
        connection: Connection,
        deadline_seconds: float = DEADLINE_SECONDS,
        proxies: Proxies = DIRECT,
    ) -> None:
        self._connection = connection
        self._proxies = proxies
        self._deadline_seconds = deadline_seconds

    def list_trials(self, selection: Selection | None = None) -> Listing:
        """Return the trials of GET {url}/trial/ that `selection` includes, by default all."""
        return self._get(
            "/trial/", lambda reply, watchdog: _read_list(reply, selection or Selection(), watchdog)
        )

    def trial(self, trial_id: str) -> Entry:
        """Return the trial of GET {url}/trial/{id}/, with the ID percent-encoded as one segment."""
        segment = urllib.parse.quote(trial_id, safe="").replace(".", "%2E")

        def read(reply: requests.Response, _: Watchdog) -> Entry:
            content = b"".join(_body(reply, _LARGEST_TRIAL))
            return parse_trial(content, trial_id, reply.headers.get("Content-Type"))

        return self._get(f"/trial/{segment}/", read)

    def _get(self, path: str, read: Callable[[requests.Response, Watchdog], T]) -> T:
        url = self._connection.url.rstrip("/") + path
        proxy = self._proxy(url)
        through = f"through the proxy {proxy}: " if proxy else ""
        late = UnreachableError(url, f"{through}no reply within {self._deadline_seconds:g} s")
        with Watchdog(self._deadline_seconds) as watchdog:
            try:
                result = self._exchange(url, read, watchdog, proxy)
            except RegistryError as error:
                raise late if watchdog.is_over else error from None
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                why = f"{through}{_why(error)}"
                raise late if watchdog.is_over else UnreachableError(url, why) from error
            if watchdog.is_over:  # a connection that was shut down can look complete
                raise late
            return result

    def _proxy(self, url: str) -> Proxy | None:
        try:
            return self._proxies.find(url)
        except ProxyError as error:
            raise BadConnectionError(str(error)) from error
        except ValueError as error:
            raise UnreachableError(url, str(error)) from error

    def _exchange(
        self,
        url: str,
        read: Callable[[requests.Response, Watchdog], T],
        watchdog: Watchdog,
        proxy: Proxy | None,
    ) -> T:
        is_secure = url.lower().startswith("https:")
        with _Session() as session:
            session.trust_env = False
            session.mount("http://", WatchedAdapter(watchdog, proxy=proxy))
            if is_secure:
                session.mount("https://", WatchedAdapter(watchdog, self._trust(), proxy))
            request = session.prepare_request(requests.Request("GET", url, auth=self._authentication()))
            request.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
            request.url = url  # unchanged: the library would resolve an ID of dots
            with session.send(
                request,
                stream=True,
                timeout=self._deadline_seconds,
                allow_redirects=False,
                proxies=_by_scheme(proxy),
            ) as reply:
                if proxy is not None and reply.status_code == _PROXY_AUTHENTICATION_REQUIRED:
                    raise UnreachableError(url, f"the proxy {proxy} requires other credentials (status 407)")
                if reply.status_code != _OK:
                    asked = retry_after.seconds(reply.headers.get("Retry-After"))
                    raise BadStatusError(
                        reply.status_code, self._shown(_refusal(reply)), asked, _note(reply, proxy)
                    )
                if (reply.headers.get("Content-Encoding") or "identity").lower() != "identity":
                    raise BadReplyError("it is compressed, which was not requested")
                return read(reply, watchdog)

    def _authentication(self) -> HTTPBasicAuth | None:
        user = self._connection.user
        return None if user is None else HTTPBasicAuth(user.encode(), self._connection.password.encode())

    def _shown(self, refusal: bytes) -> bytes:
        """Return the beginning of a refusal, with our credentials masked: some servers echo them."""
        password = self._connection.password.encode()
        credentials = base64.b64encode(f"{self._connection.user}:".encode() + password)
        for secret in (credentials, password):
            if len(secret) >= _SHORTEST_SECRET:
                refusal = refusal.replace(secret, b"***")
        return refusal[:_SHOWN_BODY]

    def _trust(self) -> ssl.SSLContext:
        authorities = self._connection.authorities
        if authorities is None:
            return trust.client_context()
        try:
            return trust.client_context(cadata=authorities.encode("ascii", "ignore").decode())
        except (ssl.SSLError, ValueError) as error:
            raise BadConnectionError("caBundle holds no certificates in PEM") from error


class _Session(requests.Session):
    def get_redirect_target(self, _: requests.Response) -> None:
        """Return None: the library would read all of a redirect's body, however large, and parse its URL."""


def _note(reply: requests.Response, proxy: Proxy | None) -> str:
    """Return what the body of a refusal does not say."""
    if reply.is_redirect:
        try:
            target = urllib.parse.urlsplit(urllib.parse.urljoin(reply.url, reply.headers["Location"]))
        except ValueError:
            return f" (status {reply.status_code}, to a Location that is no URL; redirects are not followed)"
        return (
            f" (status {reply.status_code}, to {target.scheme}://{target.netloc.rpartition('@')[2]}"
            f"{target.path}; redirects are not followed: change spec.url)"
        )[:_SHOWN_BODY]
    return f" (status {reply.status_code}, through the proxy {proxy})" if proxy else ""


def _by_scheme(proxy: Proxy | None) -> dict[str, str]:
    return {} if proxy is None else {"http": proxy.url, "https": proxy.url}


def _read_list(reply: requests.Response, selection: Selection, watchdog: Watchdog) -> Listing:
    """Return the list in a reply; our parsing time extends the deadline. Raises BadReplyError."""
    reader = ListReader(selection, reply.headers.get("Content-Type"))
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
    """Yield a body in pieces of at least a chunk, except the last. Raises BadReplyError."""
    piece, size = bytearray(), 0
    try:
        for part in reply.raw.stream(_CHUNK, decode_content=False):
            piece += part
            size += len(part)
            if size > largest:
                raise BadReplyError(f"it is larger than {largest // 1024 // 1024} MiB")
            if len(piece) >= _CHUNK:
                yield bytes(piece)
                piece.clear()
    except urllib3.exceptions.ProtocolError as error:
        raise BadReplyError("it is incomplete: the connection was closed") from error
    yield bytes(piece)


def _refusal(reply: requests.Response) -> bytes:
    """Return the beginning of a refusal's body, as far as it arrived."""
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
    """Return the innermost cause on one line, without the wrapping of libraries."""
    inner: Any = error
    while isinstance(inner, Exception):
        following = getattr(inner, "reason", None) or next(
            (part for part in inner.args if isinstance(part, Exception)), None
        )
        if not isinstance(following, Exception):
            break
        inner = following
    if isinstance(inner, http.client.BadStatusLine) and not isinstance(inner, OSError):
        return "the reply is not HTTP/1.1"
    text = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)
    return " ".join(text.split())[:200] or type(inner).__name__
