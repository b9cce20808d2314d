"""Replies (compact JSON in UTF-8, keys in their order), and the exception for a refusal."""

import json
from typing import Any

from aiohttp import web

_LONGEST_ECHO = 512
_HEADERS = {"Cache-Control": "no-store", "Server": "lcm-rest", "X-Content-Type-Options": "nosniff"}


class HttpRefusalError(Exception):
    """Answers the request with this status and `{"detail": detail}`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


def encoded(value: object) -> bytes:
    """Return a value as JSON. Lone surrogates stay escaped, because UTF-8 has none."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")


def reply(body: bytes, status: int = 200, content_type: str = "application/json") -> web.Response:
    """Return a reply with an encoded body."""
    return web.Response(body=body, status=status, content_type=content_type, headers=_HEADERS)


def message(text: str) -> web.Response:
    """Return `{"message": text}`, the success of most routes."""
    return reply(encoded({"message": text}))


def detail(status: int, what: Any, headers: dict[str, str] | None = None) -> web.Response:
    """Return a refusal: `what` is a text, or the errors of a 422."""
    answer = reply(encoded({"detail": what}), status)
    answer.headers.update(headers or {})
    return answer


def cut(text: str) -> str:
    """Return foreign text for display: at most 512 characters, unprintable ones escaped."""
    short = text[:_LONGEST_ECHO]
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in short
    )
