"""Passes an activity to the module of its kind and masks secrets in its result.

After that only `Performed.secrets`, and `Performed.response` for `set`, may contain secrets.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from lcm_operator import logs
from lcm_operator.api.plan import Activity
from lcm_operator.engine.activities import exec as programs
from lcm_operator.engine.activities import sleep
from lcm_operator.engine.activities.http import Credentials, HttpRequests, idempotency_key
from lcm_operator.engine.outcome import ActivityFailedError, ContactLostError, Performed
from lcm_operator.engine.redactor import Redactor
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError
from lcm_operator.proxies import DIRECT, Proxies

log = logs.get(__name__)


class ActivityContext(msgspec.Struct, frozen=True, kw_only=True):
    """What activities need in addition to their plan.

    `may_act` returns once outside calls are allowed (`lease`); it is awaited before each try and each
    request. `lost` returns once another attempt may begin. `environment` is that of programs, `files` the
    folder with keys of ConfigMaps for them; `rest_token` is the file with the pod's token for REST.
    """

    engine_uid: str
    start_time: datetime
    now: Callable[[], datetime]
    may_act: Callable[[], Awaitable[None]]
    lost: Callable[[], Coroutine[Any, Any, None]]
    redactor: Redactor
    environment: Mapping[str, str]
    rest_token: Path | None = None
    proxies: Proxies = DIRECT
    files: Path | None = None


class Performer:
    """Performs activities in the context of one engine."""

    def __init__(self, context: ActivityContext) -> None:
        self._context = context
        self._http = HttpRequests(
            Credentials(context.rest_token, context.redactor),
            context.redactor,
            context.may_act,
            context.lost,
            context.proxies,
        )

    async def __call__(self, activity: Activity, run: int, scope: Scope) -> Performed:
        """Perform `activity`. Raises ActivityFailedError or TemplateError; can be cancelled."""
        redactor = self._context.redactor
        await self._context.may_act()
        try:
            done = await self._repeated(activity, run, scope)
        except ActivityFailedError as error:
            raise ActivityFailedError(redactor.text(str(error)), redactor.tree(error.output)) from error
        except TemplateError as error:
            raise TemplateError(redactor.text(str(error))) from error
        redactor.add(dict(done.secrets))
        return msgspec.structs.replace(done, output=redactor.tree(dict(done.output)))

    async def _repeated(self, activity: Activity, run: int, scope: Scope) -> Performed:
        """Perform an activity, and again from its start if it was ended because contact was lost."""
        while True:
            try:
                return await self._perform(activity, run, scope)
            except ContactLostError as error:
                log.warning("activity ended; repeating it once the Lease is renewed", error=error)
                await self._context.may_act()

    async def _perform(self, activity: Activity, run: int, scope: Scope) -> Performed:
        context = self._context
        match activity:
            case Activity(http=http) if http is not None:
                key = idempotency_key(context.engine_uid, activity.name, run)
                return await self._http.perform(http, scope, key)
            case Activity(exec=program) if program is not None:
                return await programs.perform(
                    program, scope, context.environment, context.redactor, context.lost, context.files
                )
            case Activity(sleep=pause) if pause is not None:
                return await sleep.perform(pause, scope, context.start_time, context.now)
            case _:
                raise ActivityFailedError("this engine does not know this kind of activity")
