"""KPI monitoring, which takes marks, and a place where any client gets access tokens."""

import secrets

from aiohttp import web

from dummies.partners.refusals import members, unprocessable

_SECONDS = 300


def monitoring() -> web.RouteTableDef:
    """Return the routes."""
    routes = web.RouteTableDef()

    @routes.post("/markKPIData")
    async def mark(request: web.Request) -> web.Response:
        await members(request, "TrialID", "MarkingID", "Timestamp", "Marking")
        return web.json_response({})

    @routes.post("/oauth/token")
    async def give_token(request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "client_credentials" or not form.get("client_id"):
            raise unprocessable("a form with grant_type=client_credentials and client_id is expected")
        token = secrets.token_urlsafe(24)
        return web.json_response({"access_token": token, "token_type": "bearer", "expires_in": _SECONDS})

    return routes
