"""What an `http` activity shows of itself in the header `Authorization`. Used by `http_request`.

Of several the first that is set counts: the header as the plan gives it, basic authentication, the pod's
token. Set is what doesn't render to nothing: so one plan fits services that ask for this or that.
"""

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lcm_operator.api.plan import Http
from lcm_operator.engine.activities.results import ActivityFailedError
from lcm_operator.engine.redactor import Redactor
from lcm_operator.plan.templates import Scope

_NAME = "Authorization"


class Credentials:
    """What there is to show; `token` is the file of the pod's token for the REST sidecar, if it has one."""

    def __init__(self, token: Path | None, redactor: Redactor) -> None:
        self._token = token
        self._redactor = redactor

    def header(self, http: Http, scope: Scope, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the header to add to `headers`, none if one is there or nothing is to be shown.

        Raises ActivityFailedError, TemplateError.
        """
        if any(name.lower() == _NAME.lower() for name in headers):
            return {}
        shown = self._basic(http, scope, url) or (self._pod_token() if http.pod_token else "")
        return {_NAME: shown} if shown else {}

    def _basic(self, http: Http, scope: Scope, url: str) -> str:
        parts = urlsplit(url)
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        if http.basic_auth is not None:
            given = scope.text(http.basic_auth.username), scope.text(http.basic_auth.password)
            username, password = given if any(given) else (username, password)
        if not username and not password:
            return ""
        if ":" in username:
            raise ActivityFailedError("basicAuth: a username can't hold a colon")
        encoded = b64encode(f"{username}:{password}".encode()).decode()
        self._redactor.add(encoded)
        return f"Basic {encoded}"

    def _pod_token(self) -> str:
        """Return the token of this moment: the node renews it."""
        try:
            token = self._token.read_text().strip() if self._token else ""
        except OSError as error:
            raise ActivityFailedError(f"podToken: the token can't be read: {error}") from error
        if not token:
            raise ActivityFailedError("podToken: this pod has no token for the REST sidecar")
        self._redactor.add(token)
        return f"Bearer {token}"
