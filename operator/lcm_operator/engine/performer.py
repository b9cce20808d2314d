"""Has an activity done by the module of its kind. Made in `__main__`, called by `steps`."""

from collections.abc import Awaitable, Callable, Mapping

from lcm_operator.api.plan import Activity
from lcm_operator.engine.activities import exec_program, http_request, sleep
from lcm_operator.engine.activities.results import ActivityFailedError, Performed
from lcm_operator.engine.idempotency import idempotency_key
from lcm_operator.engine.templates import Scope


class Performer:
    """What activities need beside their plan: the engine's identity and the environment of programs.

    `may_act` returns as soon as something may be done outside (`beats`); it is awaited before each try.
    """

    def __init__(
        self, engine_uid: str, environment: Mapping[str, str], may_act: Callable[[], Awaitable[None]]
    ) -> None:
        self._may_act = may_act
        self._engine_uid = engine_uid
        self._environment = environment

    async def __call__(self, activity: Activity, run: int, scope: Scope) -> Performed:
        """Do `activity`. Raises ActivityFailedError or TemplateError; ends when it is cancelled."""
        await self._may_act()
        match activity:
            case Activity(http=http) if http is not None:
                key = idempotency_key(self._engine_uid, activity.name, run)
                return await http_request.perform(http, scope, key)
            case Activity(exec=program) if program is not None:
                return await exec_program.perform(program, scope, self._environment)
            case Activity(sleep=pause) if pause is not None:
                return await sleep.perform(pause)
            case _:
                raise ActivityFailedError("this engine has no such kind of activity")
