"""The activity `http`: one outside request, or with `until` a poll until a condition holds.

Each response must match `expect`. The request is rendered once: all polls belong to one run and carry the
same Idempotency-Key.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid5

import msgspec

from lcm_operator.api.plan import Http, Until
from lcm_operator.engine.activities.exchange import Request, Response, exchange
from lcm_operator.engine.interrupts import race
from lcm_operator.engine.outcome import ActivityFailedError, ContactLostError, Performed, excerpt
from lcm_operator.engine.redactor import Redactor
from lcm_operator.kube.clock import pause, within
from lcm_operator.outside import OutsideError, credential
from lcm_operator.plan.numbers import number
from lcm_operator.plan.performable import IDEMPOTENCY_HEADER
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.urls import render_url, without_secrets
from lcm_operator.plan.values import quoted
from lcm_operator.proxies import DIRECT, Proxies, Proxy, ProxyError

_AUTHORIZATION = "Authorization"


def idempotency_key(engine_uid: str, activity: str, run: int) -> str:
    """Return the Idempotency-Key of a run of an activity, the same for all its retries."""
    return str(uuid5(UUID(engine_uid), f"{activity}/{run}"))


class Credentials:
    """The header `Authorization`; `token` is the file with the pod's token for the REST sidecar, if any.

    The first of these counts: the plan's own header, basic authentication, the pod's token. One that renders
    to nothing is skipped, so that one plan fits services with different authentication.
    """

    def __init__(self, token: Path | None, redactor: Redactor) -> None:
        self._token = token
        self._redactor = redactor

    def header(self, http: Http, scope: Scope, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the header to add to `headers`, empty if they contain one or there are no credentials.

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
        username, password = _clean("username", username), _clean("password", password)
        if not username and not password:
            return ""
        if ":" in username:
            raise ActivityFailedError("basicAuth.username: expected no colon, the username contains one")
        encoded = b64encode(f"{username}:{password}".encode()).decode()
        self._redactor.add(encoded)
        return f"Basic {encoded}"

    def _pod_token(self) -> str:
        """Read the token, which the node renews."""
        try:
            token = credential("podToken", self._token.read_text()) if self._token else ""
        except OSError as error:
            raise ActivityFailedError(f"podToken: cannot read the pod's token: {error}") from error
        if not token:
            raise ActivityFailedError("podToken: the pod has no token for the REST sidecar")
        self._redactor.add(token)
        return f"Bearer {token}"


class HttpRequests:
    """Performs requests. `may_act` is awaited before each poll except the first.

    A request is ended when `lost` returns, unless its time-out is a number: the next attempt waits that long.
    """

    def __init__(
        self,
        credentials: Credentials,
        redactor: Redactor,
        may_act: Callable[[], Awaitable[None]],
        lost: Callable[[], Coroutine[Any, Any, None]],
        proxies: Proxies = DIRECT,
    ) -> None:
        self._proxies = proxies
        self._credentials = credentials
        self._redactor = redactor
        self._may_act = may_act
        self._lost = lost

    async def perform(self, http: Http, scope: Scope, key: str) -> Performed:
        """Send the request with `key`, check the response, and capture from it.

        Raises ActivityFailedError, ContactLostError, TemplateError.
        """
        url = render_url(http.url, scope.texts(http.query), scope)
        # A header whose value comes from a Secret often ends with the line end of a file.
        headers = {name: value.strip() for name, value in scope.texts(http.headers).items()}
        content = _content(http, scope, headers)
        request = Request(
            http.method, url, headers | {IDEMPOTENCY_HEADER: key}, content, self._proxy(http, url)
        )
        if http.until is None:
            seen = await self._once(http, request, scope)
        else:
            seen = await self._until(http.until, http, request, scope)
        captured = {name: seen.value(source) for name, source in http.capture.items()}
        secrets = {name: captured.pop(name) for name in http.secret_capture if name in captured}
        return Performed(captured, {"response": seen.variables["response"]}, secrets)

    def _proxy(self, http: Http, url: str) -> Proxy | None:
        """Return the proxy for a URL. The pod's token is for the REST sidecar alone, so no proxy gets it."""
        try:
            return None if http.pod_token else self._proxies.find(url)
        except ProxyError as error:
            raise ActivityFailedError(f"{http.method} {without_secrets(url)}: {error}") from error

    async def _until(self, until: Until, http: Http, request: Request, scope: Scope) -> Scope:
        """Poll until the condition holds."""
        seconds = number(until.timeout_seconds, "http.until.timeoutSeconds", scope)
        interval = number(until.interval_seconds, "http.until.intervalSeconds", scope)
        try:
            async with within(seconds):
                while True:
                    seen = await self._once(http, request, scope)
                    if seen.condition(until.condition):
                        return seen
                    await pause(interval)
                    await self._may_act()
        except TimeoutError as error:
            raise ActivityFailedError(
                f"{request}: expected {quoted(until.condition)} within {seconds:g} s, it stayed false"
            ) from error

    async def _once(self, http: Http, request: Request, scope: Scope) -> Scope:
        """Send one request; return the scope with its response, if that matches `expect`."""
        credentials = self._credentials.header(http, scope, request.url, request.headers)
        seconds = number(http.timeout_seconds, "http.timeoutSeconds", scope)
        answer = exchange(request, credentials)
        try:
            async with within(seconds):
                fenced = isinstance(http.timeout_seconds, str)
                response = await (race(answer, self._lost()) if fenced else answer)
        except TimeoutError as error:
            raise ActivityFailedError(f"{request}: no answer within {seconds:g} s") from error
        if response is None:
            raise ContactLostError(f"{request}: ended because the Lease could not be renewed")
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
                f"{request}: expected {quoted(condition)}, it is false{self._words(http, response)}"
            )
        return seen

    def _words(self, http: Http, response: Response) -> str:
        """Return the start of the response for a message, unless it may contain secrets."""
        if http.secret_capture:
            return ""
        words = excerpt(self._redactor.text(response.text))
        return f": {words}" if words else ""


def _clean(part: str, value: str) -> str:
    """Return user or password as it is sent. Raises ActivityFailedError."""
    try:
        return credential(f"basicAuth.{part}", value)
    except OutsideError as error:
        raise ActivityFailedError(str(error)) from error


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
