"""A running Lifecycle Manager, over HTTP: its page, and the removal of a trial that waits there.

The key must go to that address only: redirects are not followed, and no other credentials are looked up.
"""

import json
import ssl
import urllib.parse
from pathlib import Path
from typing import Any

import requests

from lcm_operator import trust
from lcm_operator.cli.legacy_page import LegacyPage, PageError, parse_page

_LARGEST_PAGE = 32 * 1024 * 1024
_SECONDS = 30
_SHOWN = 200
_OK, _UNAUTHORIZED, _SERVER_ERROR = 200, 401, 500


class ServerError(Exception):
    """The request has no usable answer; the text says why."""


class NoAnswerError(ServerError):
    """Nothing answers at the address, so a server that is stopped looks like this."""


class _Key(requests.auth.AuthBase):
    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = self._key
        return request


class _Trusting(requests.adapters.HTTPAdapter):
    """https, verified as everywhere in the product."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, ssl_context=self._context)

    def cert_verify(self, *_: Any) -> None:
        """Do nothing: the library would add other authorities."""


class LegacyServer:
    """A Lifecycle Manager at an address, such as `http://lcm:5000`. Raises ServerError, OSError."""

    def __init__(self, url: str, key: str | None = None, ca_file: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.auth = _Key(key)
        self._session.headers["Accept-Encoding"] = "identity"
        authorities = Path(ca_file) if ca_file else None
        self._session.mount("https://", _Trusting(trust.client_context(cafile=authorities)))

    def page(self) -> LegacyPage:
        """Return what it has."""
        status, content = self._request("GET", "/status")
        if status == _UNAUTHORIZED:
            raise ServerError(
                f"GET {self.url}/status: the key is missing or wrong: --key-file names its file"
            )
        if status != _OK:
            raise ServerError(f"GET {self.url}/status: expected status 200, got {_shown(status, content)}")
        try:
            return parse_page(json.loads(content))
        except (ValueError, RecursionError) as error:
            raise ServerError(
                f"GET {self.url}/status: expected JSON, got {_shown(status, content)}"
            ) from error
        except PageError as error:
            raise ServerError(f"GET {self.url}/status: {error}") from error

    def must_be_stopped(self) -> None:
        """Raise ServerError if it still answers."""
        try:
            status, content = self._request("GET", "/status")
        except NoAnswerError:
            return
        if status < _SERVER_ERROR:
            raise ServerError(f"{self.url} is not stopped: it answers {_shown(status, content)}")

    def remove(self, trial_id: str) -> str:
        """Remove a trial that waits; return '' if it was removed, else why not."""
        if set(trial_id) <= {"."}:
            return "its ID cannot be part of an address; remove it there by hand"
        path = f"/debug/trial/{urllib.parse.quote(trial_id, safe='')}/schedule"
        status, content = self._request("DELETE", path)
        return "" if status == _OK else f"the old service answers {_shown(status, content)}"

    def _request(self, method: str, path: str) -> tuple[int, bytes]:
        try:
            with self._session.request(
                method, self.url + path, timeout=_SECONDS, allow_redirects=False, stream=True
            ) as reply:
                content = b""
                for part in reply.iter_content(64 * 1024):
                    content += part
                    if len(content) > _LARGEST_PAGE:
                        raise ServerError(f"{method} {self.url}{path}: the reply exceeds 32 MiB")
                return reply.status_code, content
        except requests.exceptions.ConnectionError as error:
            raise NoAnswerError(f"{method} {self.url}{path}: no connection ({_cause(error)})") from error
        except requests.RequestException as error:
            raise ServerError(f"{method} {self.url}{path}: {_cause(error)}") from error


def _shown(status: int, content: bytes) -> str:
    text = " ".join(content[:_SHOWN].decode(errors="replace").split())
    try:
        detail = json.loads(content)["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        detail = None
    return f"{status}: {detail if isinstance(detail, str) else text or '(no body)'}"[: _SHOWN + 5]


def _cause(error: BaseException) -> Any:
    """Return the innermost reason of an error of requests."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    text = str(reason or error)
    return text.rpartition(": ")[2] if reason else text
