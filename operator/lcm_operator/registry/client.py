"""The client of a trial registry: asks for all trials, or for one. Synchronous: call it in a thread.

Used by the operator's pulls and by the REST sidecar. Everything is bounded: 30 s for a whole request however
slowly it trickles (beside what the system's resolver takes to give up a name), 32 MiB for a list. No redirect
is followed: whoever holds the credentials is named in the TrialRegistry, not in a reply.
"""

import base64
import ssl
import urllib.parse
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from lcm_operator.registry.errors import BadConnection, BadReply, BadStatus, RegistryError, Unreachable
from lcm_operator.registry.replies import Entry, Listing, parse_list, parse_trial
from lcm_operator.registry.watchdog import Watchdog, WatchedAdapter

DEADLINE_SECONDS = 30.0
_LARGEST_LIST = 32 * 1024 * 1024
_LARGEST_TRIAL = 1024 * 1024
_REFUSAL = 4096
_SHOWN_BODY = 512
_SHORTEST_SECRET = 8  # a shorter one would blot out words
_CHUNK = 64 * 1024
_OK = 200


@dataclass(frozen=True)
class Connection:
    """Where the registry is, who we are there, and whom we trust: PEM certificates, None for the system's."""

    url: str
    user: str | None = None
    password: str = ""
    authorities: str | None = None

    def __repr__(self) -> str:
        """Return it without the password."""
        return f"Connection({self.url!r}, user={self.user!r})"


class RegistryClient:
    """One registry. Raises RegistryError, whose text says why in the words of the legacy interface."""

    def __init__(self, connection: Connection, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._connection = connection
        self._deadline_seconds = deadline_seconds

    def list_trials(self) -> Listing:
        """Return what the registry has: GET {url}/trial/."""
        return parse_list(self._get("/trial/", _LARGEST_LIST))

    def trial(self, trial_id: str) -> Entry:
        """Return one trial: GET {url}/trial/{id}/, the ID percent-encoded as one segment."""
        segment = urllib.parse.quote(trial_id, safe="").replace(".", "%2E")
        return parse_trial(self._get(f"/trial/{segment}/", _LARGEST_TRIAL), trial_id)

    def _get(self, path: str, largest: int) -> bytes:
        url = self._connection.url.rstrip("/") + path
        late = Unreachable(url, f"no reply within {self._deadline_seconds:g} s")
        with Watchdog(self._deadline_seconds) as watchdog:
            try:
                content = self._read(url, largest, watchdog)
            except RegistryError as error:
                raise late if watchdog.is_over else error from None
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                raise late if watchdog.is_over else Unreachable(url, _why(error)) from error
            if watchdog.is_over:  # what was cut off can look like an end
                raise late
            return content

    def _read(self, url: str, largest: int, watchdog: Watchdog) -> bytes:
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
                    raise BadStatus(reply.status_code, self._shown(_body(reply, _REFUSAL)[0]))
                return _content(reply, largest)

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
            raise BadConnection("caBundle holds no certificates in PEM") from error
        return trust


def _content(reply: requests.Response, largest: int) -> bytes:
    """Return a complete body. Raises BadReply."""
    if reply.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BadReply("it is encoded, which was not asked for")
    content, is_whole = _body(reply, largest)
    if not is_whole:
        raise BadReply("it broke off")
    if len(content) > largest:
        raise BadReply(f"it is over {largest // 1024 // 1024} MiB")
    return content


def _body(reply: requests.Response, most: int) -> tuple[bytes, bool]:
    """Return the body as it came, at most a chunk more than `most`; and False if it broke off."""
    content = bytearray()
    try:
        for chunk in reply.raw.stream(min(most, _CHUNK), decode_content=False):
            content += chunk
            if len(content) > most:
                break
    except urllib3.exceptions.ProtocolError:
        return bytes(content), False
    return bytes(content), True


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
