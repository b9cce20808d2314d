"""A trial registry for trying out and for tests: its trials in memory, and failures on demand (`faults`).

Served by `__main__`. A PUT merges members into a trial, as engines report their status, or makes one.
"""

import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from lcm_operator.registry.faults import Faults, NoFaultError

_LARGEST_BODY = 1024 * 1024
Json = dict[str, Any]


def application(seed: Iterable[Json] = ()) -> web.Application:
    """Return the registry, holding the trials of `seed` (objects with an `id`)."""
    trials = {str(trial["id"]): trial for trial in seed}
    faults = Faults()
    routes = web.RouteTableDef()

    @routes.get("/trial{_:/?}")
    async def all_trials(_: web.Request) -> web.Response:
        return web.json_response(list(trials.values()))

    @routes.get("/trial/{id}{_:/?}")
    async def one_trial(request: web.Request) -> web.Response:
        found = trials.get(request.match_info["id"])
        if found is None:
            return web.json_response({"detail": "Not found."}, status=404)
        return web.json_response(found)

    @routes.put("/trial/{id}{_:/?}")
    async def put_trial(request: web.Request) -> web.Response:
        trial_id = request.match_info["id"]
        trials[trial_id] = {"id": trial_id} | trials.get(trial_id, {}) | await _object(request)
        return web.Response(status=204)

    @routes.delete("/trial/{id}{_:/?}")
    async def delete_trial(request: web.Request) -> web.Response:
        found = trials.pop(request.match_info["id"], None)
        return web.Response(status=204 if found is not None else 404)

    @routes.put("/_faults")
    async def set_fault(request: web.Request) -> web.Response:
        try:
            faults.set(await _object(request))
        except NoFaultError as error:
            return web.json_response({"detail": str(error)}, status=400)
        return web.Response(status=204)

    @routes.delete("/_faults")
    async def clear_faults(_: web.Request) -> web.Response:
        faults.clear()
        return web.Response(status=204)

    app = web.Application(middlewares=[faults.middleware], client_max_size=_LARGEST_BODY)
    app.add_routes(routes)
    return app


async def _object(request: web.Request) -> Json:
    """Return the body, a JSON object. Raises HTTPBadRequest."""
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(
            text='{"detail": "the body must be a JSON object"}', content_type="application/json"
        )
    return body
