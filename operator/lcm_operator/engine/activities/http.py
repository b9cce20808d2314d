"""The activity `http`: a request to the outside, or with `until` more of them until a condition holds.

Each of them must be what `expect` says. It is rendered once: all polls are the same request, and one run, so
they carry the same Idempotency-Key.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid5

import msgspec

from lcm_operator.api.plan import Http, Until
from lcm_operator.engine.activities.exchange import Request, Response, exchange
from lcm_operator.engine.outcome import ActivityFailedError, Performed, excerpt
from lcm_operator.engine.redactor import Redactor
from lcm_operator.kube.clock import pause, within
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.urls import render_url
from lcm_operator.plan.validation import IDEMPOTENCY_HEADER
from lcm_operator.plan.values import quoted

_AUTHORIZATION = "Authorization"


def idempotency_key(engine_uid: str, activity: str, run: int) -> str:
    """Return the key by which a partner recognises a run of an activity: the same for each try of it."""
    return str(uuid5(UUID(engine_uid), f"{activity}/{run}"))


class Credentials:
    """The header `Authorization`; `token` is the file of the pod's token for the REST sidecar, if it has one.

    Of several credentials the first that is set counts: the header as the plan gives it, basic
    authentication, the pod's token. What renders to nothing is not set: so one plan fits services that ask
    for this or that.
    """

    def __init__(self, token: Path | None, redactor: Redactor) -> None:
        self._token = token
        self._redactor = redactor

    def header(self, http: Http, scope: Scope, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the header to add to `headers`, none if one is there or nothing is to be shown.

        Raises ActivityFailedError, TemplateError.
        """
        if any(name.lower() == _AUTHORIZATION.lower() for name in headers):
            return {}
        shown = self._basic(http, scope, url) or (self._pod_token() if http.pod_token else "")
        return {_AUTHORIZATION: shown} if shown else {}

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


class HttpRequests:
    """Performs requests. `may_act` is awaited before each poll but the first."""

    def __init__(
        self, credentials: Credentials, redactor: Redactor, may_act: Callable[[], Awaitable[None]]
    ) -> None:
        self._credentials = credentials
        self._redactor = redactor
        self._may_act = may_act

    async def perform(self, http: Http, scope: Scope, key: str) -> Performed:
        """Send the request with `key`, check what comes, and capture from it.

        Raises ActivityFailedError, TemplateError.
        """
        url = render_url(http.url, scope.texts(http.query), scope)
        headers = scope.texts(http.headers)
        content = _content(http, scope, headers)
        request = Request(http.method, url, headers | {IDEMPOTENCY_HEADER: key}, content)
        if http.until is None:
            seen = await self._once(http, request, scope)
        else:
            seen = await self._until(http.until, http, request, scope)
        captured = {name: seen.value(source) for name, source in http.capture.items()}
        secrets = {name: captured.pop(name) for name in http.secret_capture if name in captured}
        return Performed(captured, seen.variables["response"], secrets)

    async def _until(self, until: Until, http: Http, request: Request, scope: Scope) -> Scope:
        """Poll until the condition holds."""
        try:
            async with within(until.timeout_seconds):
                while True:
                    seen = await self._once(http, request, scope)
                    if seen.condition(until.condition):
                        return seen
                    await pause(until.interval_seconds)
                    await self._may_act()
        except TimeoutError as error:
            raise ActivityFailedError(
                f"{request}: expected {quoted(until.condition)} within {until.timeout_seconds:g} s,"
                " it did not hold"
            ) from error

    async def _once(self, http: Http, request: Request, scope: Scope) -> Scope:
        """Send one request; return the scope that sees its response, if that is what was expected."""
        credentials = self._credentials.header(http, scope, request.url, request.headers)
        try:
            async with within(http.timeout_seconds):
                response = await exchange(request, credentials)
        except TimeoutError as error:
            raise ActivityFailedError(f"{request}: no answer within {http.timeout_seconds:g} s") from error
        wanted = http.expect.status
        if not (response.status in wanted or (not wanted and 200 <= response.status < 300)):  # noqa: PLR2004 - 2xx
            expected = " or ".join(str(number) for number in wanted) or "2xx"
            raise ActivityFailedError(
                f"{request}: expected status {expected}, got {response.status}{self._words(http, response)}"
            )
        seen = scope.with_(response=response.variables())
        condition = http.expect.condition
        if condition is not None and not seen.condition(condition):
            raise ActivityFailedError(
                f"{request}: expected {quoted(condition)}, it does not hold{self._words(http, response)}"
            )
        return seen

    def _words(self, http: Http, response: Response) -> str:
        """Return the begin of the reply for a message, unless what is secret may stand in it."""
        if http.secret_capture:
            return ""
        words = excerpt(self._redactor.text(response.text))
        return f": {words}" if words else ""


def _content(http: Http, scope: Scope, headers: dict[str, str]) -> bytes | None:
    if http.json_body is not msgspec.UNSET:
        content, kind = msgspec.json.encode(scope.tree(http.json_body)), "application/json"
    elif http.body is not None:
        content, kind = scope.text(http.body).encode(), "text/plain; charset=utf-8"
    else:
        return None
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = kind
    return content
