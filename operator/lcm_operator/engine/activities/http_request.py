"""The activity `http`: a request to the outside, or with `until` more of them until a condition holds.

Each of them must be what `expect` says. It is rendered once: all polls are the same request, and one run, so
they carry the same Idempotency-Key.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from lcm_operator.api.plan import Http, Until
from lcm_operator.engine.activities.credentials import Credentials
from lcm_operator.engine.activities.exchange import Came, Request, exchange
from lcm_operator.engine.activities.results import ActivityFailedError, Performed
from lcm_operator.engine.outcome import excerpt
from lcm_operator.engine.redactor import Redactor
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.urls import render_url
from lcm_operator.plan.validation import IDEMPOTENCY_HEADER
from lcm_operator.plan.values import quoted


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
            async with asyncio.timeout(until.timeout_seconds):
                while True:
                    seen = await self._once(http, request, scope)
                    if seen.condition(until.condition):
                        return seen
                    await asyncio.sleep(until.interval_seconds)
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
            async with asyncio.timeout(http.timeout_seconds):
                came = await exchange(request, credentials)
        except TimeoutError as error:
            raise ActivityFailedError(f"{request}: no answer within {http.timeout_seconds:g} s") from error
        wanted = http.expect.status
        if not (came.status in wanted or (not wanted and 200 <= came.status < 300)):  # noqa: PLR2004 - 2xx
            expected = " or ".join(str(number) for number in wanted) or "2xx"
            raise ActivityFailedError(
                f"{request}: expected status {expected}, got {came.status}{self._words(http, came)}"
            )
        seen = scope.with_(response=came.variables())
        condition = http.expect.condition
        if condition is not None and not seen.condition(condition):
            raise ActivityFailedError(
                f"{request}: expected {quoted(condition)}, it does not hold{self._words(http, came)}"
            )
        return seen

    def _words(self, http: Http, came: Came) -> str:
        """Return the begin of the reply for a message, unless what is secret may stand in it."""
        if http.secret_capture:
            return ""
        words = excerpt(self._redactor.text(came.text))
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
