"""Has an activity done by the module of its kind. Made in `__main__`, called by `steps`.

What comes out of here holds no secret but in `Performed.secrets` and in what `set` sees as the response.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from lcm_operator import logs
from lcm_operator.api.plan import Activity, Exec
from lcm_operator.engine.activities import exec_program, sleep
from lcm_operator.engine.activities.credentials import Credentials
from lcm_operator.engine.activities.http_request import HttpRequests
from lcm_operator.engine.activities.results import ActivityFailedError, Performed
from lcm_operator.engine.idempotency import idempotency_key
from lcm_operator.engine.redactor import Redactor
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError

log = logs.get(__name__)


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What activities need beside their plan.

    `may_act` returns as soon as something may be done outside (`beats`); it is awaited before each try and
    each request. `lost` returns once another attempt may begin. `environment` is that of programs;
    `rest_token` the file of the pod's token for the REST sidecar.
    """

    engine_uid: str
    start_time: datetime
    now: Callable[[], datetime]
    may_act: Callable[[], Awaitable[None]]
    lost: Callable[[], Awaitable[None]]
    redactor: Redactor
    environment: Mapping[str, str]
    rest_token: Path | None = None


class Performer:
    """Does activities with the means of one engine."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._http = HttpRequests(
            Credentials(means.rest_token, means.redactor), means.redactor, means.may_act
        )

    async def __call__(self, activity: Activity, run: int, scope: Scope) -> Performed:
        """Do `activity`. Raises ActivityFailedError or TemplateError; ends when it is cancelled."""
        redactor = self._means.redactor
        await self._means.may_act()
        try:
            done = await self._perform(activity, run, scope)
        except ActivityFailedError as error:
            raise ActivityFailedError(redactor.text(str(error)), redactor.tree(error.output)) from error
        except TemplateError as error:
            raise TemplateError(redactor.text(str(error))) from error
        redactor.add(dict(done.secrets))
        return Performed(redactor.tree(dict(done.output)), done.response, done.secrets)

    async def _perform(self, activity: Activity, run: int, scope: Scope) -> Performed:
        means = self._means
        match activity:
            case Activity(http=http) if http is not None:
                key = idempotency_key(means.engine_uid, activity.name, run)
                return await self._http.perform(http, scope, key)
            case Activity(exec=program) if program is not None:
                return await self._run(program, scope)
            case Activity(sleep=pause) if pause is not None:
                return await sleep.perform(pause, means.start_time, means.now)
            case _:
                raise ActivityFailedError("this engine has no such kind of activity")

    async def _run(self, program: Exec, scope: Scope) -> Performed:
        """Run a program, again from its start if it was ended because contact was lost."""
        means = self._means
        while True:
            try:
                return await exec_program.perform(
                    program, scope, means.environment, means.redactor, means.lost
                )
            except exec_program.ContactLostError as error:
                log.warning("program ended; running it again once the Lease is renewed", error=error)
                await means.may_act()
