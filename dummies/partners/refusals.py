"""How the dummy rejects a malformed request."""

import json
from typing import Any

from aiohttp import web

from dummies.bodies import Json, json_object


def unprocessable(why: str) -> web.HTTPUnprocessableEntity:
    """Return the refusal of a request that lacks something."""
    return web.HTTPUnprocessableEntity(text=json.dumps({"detail": why}), content_type="application/json")


async def members(request: web.Request, *names: str) -> Json:
    """Return the body, a JSON object with these members. Raises a refusal."""
    body = await json_object(request)
    return {name: _member(body, name) for name in names}


def _member(body: Json, name: str) -> Any:
    if name not in body:
        raise unprocessable(f"{name} is missing")
    return body[name]
