"""The route table: every route of both levels, the credentials that it requires, and its handler.

A handler calls one service and words the success; services word refusals.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from lcm_operator.plan.signals import CALLBACKS
from lcm_operator.rest.auth.tokens import CallbackTokens
from lcm_operator.rest.http import bodies, replies
from lcm_operator.rest.http.callers import Requirement
from lcm_operator.rest.http.routing import Call, Route
from lcm_operator.rest.services.engines import Engines
from lcm_operator.rest.services.registry import Registry
from lcm_operator.rest.services.scheduling import Scheduler
from lcm_operator.rest.services.signals import LARGEST, Signals
from lcm_operator.rest.services.status_page import StatusPage
from lcm_operator.rest.state import Heartbeats
from lcm_operator.rest.wording import Level

_REGISTERED = "State change registered"


@dataclass(frozen=True)
class Services:
    """The services that handlers use."""

    level: Level
    page: StatusPage
    scheduler: Scheduler
    registry: Registry
    engines: Engines
    signals: Signals
    heartbeats: Heartbeats
    tokens: CallbackTokens


_Handler = Callable[[Services, Call], Awaitable[web.StreamResponse]]


def rows(services: Services) -> tuple[Route, ...]:
    """Return the table with handlers bound to `services`."""

    def row(method: str, path: str, do: _Handler, summary: str, **more: Any) -> Route:
        return Route(method, path, partial(do, services), summary=summary, **{"refusals": (400,)} | more)

    status = {"answer": "Status", "refusals": ()}
    schedule = {"body": bodies.Scheduling}
    restore = {"refusals": (404, 500)}
    remove = {"refusals": (400, 500)}
    token = {"requires": Requirement.TOKEN, "refusals": ()}
    signal = {"largest_ignored": LARGEST}
    callback = {"requires": Requirement.TOKEN, **signal}
    return (
        row("GET", "/status", _status, "Show scheduled trials and engines", **status),
        row("POST", "/debug/trial/schedule-all", _schedule_all, "Schedule all future trials of the registry"),
        row("POST", "/debug/schedule-trial", _schedule, "Schedule by ID and time", **schedule),
        row("POST", "/debug/trial/schedule", _schedule, "Schedule by ID and time", **schedule),
        row("POST", "/debug/trial/{id}/schedule", _schedule_from_registry, "Schedule by the registry"),
        row("DELETE", "/debug/trial/{id}/schedule", _unschedule, "Remove a scheduling that has not started"),
        row("POST", "/debug/engine/{id}/restore", _restore, "Continue from the latest checkpoint", **restore),
        row("POST", "/debud/engine/{id}/restore", _restore, "Misspelt alias", deprecated=True, **restore),
        row("DELETE", "/debug/engine/{id}", _remove, "Stop and remove an engine", **remove),
        row("POST", "/trial/scheduling", _toggle_automatic, "Turn automatic scheduling on or off"),
        row("POST", "/trial/{id}/active", _active, "Start counting the trial's KPIs", **signal),
        row("POST", "/trial/{id}/finish", _finish, "End the trial", **signal),
        row("GET", "/trial/{id}/status", _trial_status, "Show an engine's state"),
        *(
            row("POST", f"/trial/{{id}}/callback/{name}", _callback(name), f"Report {name}", **callback)
            for name in CALLBACKS
        ),
        row("POST", "/trial/{id}/callback/{name}", _callback(), "Report a signal of the plan", **callback),
        row("POST", "/debug/add-heartbeat", _add_heartbeat, "Add a heartbeat", query=bodies.IdInQuery),
        row("DELETE", "/debug/heartbeat/{id}", _remove_heartbeat, "Remove a heartbeat"),
        row("POST", "/token/{id}", _issue_token, "Issue a callback token", answer="Token"),
        row("GET", "/token/{id}", _check_token, "Check a callback token", **token),
        row("DELETE", "/token/{id}", _revoke_token, "Revoke a callback token", **token),
    )


async def _status(to: Services, _: Call) -> web.StreamResponse:
    return replies.reply(replies.encoded(to.page.body(to.heartbeats.known)))


async def _schedule_all(to: Services, _: Call) -> web.StreamResponse:
    return replies.message(to.level.scheduled_all(await to.scheduler.schedule_all()))


async def _schedule_from_registry(to: Services, call: Call) -> web.StreamResponse:
    await to.scheduler.schedule_from_registry(call.trial_id)
    return replies.message(f"Trial scheduled with trial ID: {call.trial_id}")


async def _schedule(to: Services, call: Call) -> web.StreamResponse:
    wanted: bodies.Scheduling = call.body
    await to.scheduler.schedule(wanted.trial_id, wanted.start_time)
    return replies.message(f"Trial scheduling added with trial ID: {wanted.trial_id}")


async def _unschedule(to: Services, call: Call) -> web.StreamResponse:
    await to.scheduler.unschedule(call.trial_id)
    return replies.message(f"Trial scheduling removed with trial ID: {call.trial_id}")


async def _toggle_automatic(to: Services, _: Call) -> web.StreamResponse:
    return replies.message(f"Automatic scheduling: {await to.registry.toggle_automatic()}")


async def _restore(to: Services, call: Call) -> web.StreamResponse:
    await to.engines.restore(call.trial_id)
    return replies.message(f"Engine instance restored for trial ID: {call.trial_id}")


async def _remove(to: Services, call: Call) -> web.StreamResponse:
    await to.engines.remove(call.trial_id)
    return replies.message(f"Engine instance removed with trial ID: {call.trial_id}")


async def _active(to: Services, call: Call) -> web.StreamResponse:
    await to.signals.active(call.trial_id, call.caller.engine)
    return replies.message(_REGISTERED)


async def _finish(to: Services, call: Call) -> web.StreamResponse:
    await to.signals.finish(call.trial_id, call.caller.engine)
    return replies.message(_REGISTERED)


def _callback(name: str = "") -> _Handler:
    async def callback(to: Services, call: Call) -> web.StreamResponse:
        await to.signals.callback(call.trial_id, name or call.name, call.caller.engine)
        return replies.message(_REGISTERED)

    return callback


async def _trial_status(to: Services, call: Call) -> web.StreamResponse:
    status, state = await to.signals.trial_status(call.trial_id)
    return replies.message(f"Status: {status} State: {state}")


async def _add_heartbeat(to: Services, call: Call) -> web.StreamResponse:
    wanted: bodies.IdInQuery = call.query
    await to.heartbeats.add(wanted.trial_id)
    return replies.message(f"Heartbeat added with trial ID: {wanted.trial_id}")


async def _remove_heartbeat(to: Services, call: Call) -> web.StreamResponse:
    await to.heartbeats.remove(call.trial_id)
    return replies.message(f"Heartbeat instance removed with trial ID: {call.trial_id}")


async def _issue_token(to: Services, call: Call) -> web.StreamResponse:
    return replies.reply(replies.encoded({"Authorization": await to.tokens.issue(call.trial_id)}))


async def _check_token(_to: Services, _: Call) -> web.StreamResponse:
    return replies.message("Success")


async def _revoke_token(to: Services, call: Call) -> web.StreamResponse:
    await to.tokens.revoke(call.trial_id, call.caller.token)
    return replies.message("Success")
