"""What the dummies read of a request."""

import json
from typing import Any

from aiohttp import web

Json = dict[str, Any]


async def json_object(request: web.Request) -> Json:
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
