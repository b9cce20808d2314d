"""How the tests of activities have them performed: services on loopback, the means of an engine."""

import asyncio
import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp import web
from tests.unit.engine.builders import NOW, plan

from lcm_operator.engine.outcome import ActivityFailedError
from lcm_operator.engine.performer import ActivityContext, Performer
from lcm_operator.engine.redactor import Redactor
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError

UID = "7d1f3a52-0000-4000-8000-000000000001"
RUN = 3


async def at_once():
    """Anything may be done."""


async def never():
    """Contact is never lost."""
    await asyncio.Event().wait()


def performer(secrets=(), **more):
    means = {
        "engine_uid": UID,
        "start_time": NOW,
        "now": lambda: datetime.now(UTC),
        "may_act": at_once,
        "lost": never,
        "redactor": Redactor(secrets),
        "environment": {"PATH": os.environ["PATH"]},
    }
    return Performer(ActivityContext(**(means | more)))


def perform(activity, scope=None, **means):
    """Perform an activity as written in a plan, in its third run."""
    return performer(**means)(plan(activity).activities[0], RUN, Scope({"parameters": {}} | (scope or {})))


@asynccontextmanager
async def service(answer):
    """Serve every request by `answer` and yield the base URL and the requests seen, with their bodies."""
    seen = []

    async def handle(request):
        seen.append((request, await request.read()))
        answered = answer(request)
        return await answered if asyncio.iscoroutine(answered) else answered

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}", seen
    finally:
        await runner.cleanup()


def ask(answer=lambda _: web.Response(), scope=None, means=None, **http):
    """Perform one request; return the result or the message of its error, and what the service saw."""

    async def scenario():
        async with service(answer) as (base, seen):
            parameters = {"base": base} | (scope or {}).pop("parameters", {})
            activity = {"name": "ask", "http": {"url": "{{ parameters.base }}/x"} | http}
            try:
                result = await perform(activity, {"parameters": parameters} | (scope or {}), **(means or {}))
            except (ActivityFailedError, TemplateError) as error:
                result = str(error).replace(base, "BASE")
            return result, seen

    return asyncio.run(scenario())
