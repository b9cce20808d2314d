"""A trial registry for trying out and for tests: its trials in memory, and failures on demand (`faults`).

Served by `__main__`. A PUT merges members into a trial, as engines report their status, or makes one.
"""

import base64
from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from dummies.bodies import Json, json_object
from dummies.faults import CONTROL, Faults

LARGEST_BODY = 1024 * 1024
_TRIAL = "/trial/{id:[^/]+}{_:/?}"  # by default an ID could not hold braces


def application(seed: Iterable[Json] = (), credentials: str | None = None) -> web.Application:
    """Return the registry, holding the trials of `seed` (objects with an `id`).

    `credentials`: the `user:password` that it wants to see at trials; None: it lets everybody in.
    """
    faults = Faults()
    middlewares = [faults.middleware] if credentials is None else [faults.middleware, _guard(credentials)]
    app = web.Application(middlewares=middlewares, client_max_size=LARGEST_BODY)
    app.add_routes([*repository(seed), *faults.routes])
    return app


def repository(seed: Iterable[Json]) -> web.RouteTableDef:
    """Return the routes to trials, those of `seed` at first."""
    trials = {str(trial["id"]): dict(trial) for trial in seed}
    routes = web.RouteTableDef()

    @routes.get("/trial{_:/?}")
    async def all_trials(_: web.Request) -> web.Response:
        return web.json_response(list(trials.values()))

    @routes.get(_TRIAL)
    async def one_trial(request: web.Request) -> web.Response:
        found = trials.get(request.match_info["id"])
        if found is None:
            return web.json_response({"detail": "Not found."}, status=404)
        return web.json_response(found)

    @routes.put(_TRIAL)
    async def put_trial(request: web.Request) -> web.Response:
        members = await json_object(request)
        trial = trials.setdefault(request.match_info["id"], {"id": request.match_info["id"]})
        trial.update(members, id=trial["id"])
        return web.Response(status=204)

    @routes.delete(_TRIAL)
    async def delete_trial(request: web.Request) -> web.Response:
        found = trials.pop(request.match_info["id"], None)
        return web.Response(status=204 if found is not None else 404)

    return routes


def _guard(credentials: str) -> Middleware:
    """Return the lock of the trials."""
    wanted = "Basic " + base64.b64encode(credentials.encode()).decode()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL) or request.headers.get("Authorization") == wanted:
            return await handler(request)
        return web.json_response({"detail": "Who are you?"}, status=401)

    return guard
