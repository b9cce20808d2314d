"""Requests that come again: a good partner knows them by their Idempotency-Key, and does nothing twice."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from lcm_operator.plan.performable import IDEMPOTENCY_HEADER


def recognising() -> Middleware:
    """Return what answers a request that had succeeded as it was answered then; reading is no act."""
    answered: dict[tuple[str, str, str], tuple[int, bytes, str]] = {}

    @web.middleware
    async def recognise(request: web.Request, handler: Handler) -> web.StreamResponse:
        key = request.headers.get(IDEMPOTENCY_HEADER)
        if key is None or request.method == "GET":
            return await handler(request)
        known = answered.get((request.method, request.path, key))
        if known is not None:
            status, body, kind = known
            return web.Response(status=status, body=body, content_type=kind)
        answer = await handler(request)
        if isinstance(answer, web.Response) and answer.status < 300:  # noqa: PLR2004 - a success
            body = answer.body if isinstance(answer.body, bytes) else b""
            answered[request.method, request.path, key] = (answer.status, body, answer.content_type)
        return answer

    return recognise
