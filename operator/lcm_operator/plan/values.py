"""Values of expressions as JSON, and their errors. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from lcm_operator.api.bounds import DEEPEST
from lcm_operator.api.storage import rfc3339

LONGEST_TEXT = 1024 * 1024
_LARGEST_INTEGER = 2**63 - 1


class TemplateError(Exception):
    """An expression can't be evaluated, or its result does not fit; the message quotes it."""


class Undefined(Struct, frozen=True):
    """A member that an expression may expect, with the reason why it is undefined."""

    reason: str


def as_text(value: Any) -> str:
    """Return JSON as text: strings unchanged, null as '', the rest as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def plain(value: Any, source: str, *, depth: int = 0) -> Any:
    """Return the value of an expression in `source` as JSON that the API server stores unchanged.

    Times become RFC 3339, whole floats integers (as in Go). Raises TemplateError for values that are not
    JSON, such as an undefined member.
    """
    if depth > DEEPEST:
        raise TemplateError(f"the value nests too deeply: {quoted(source)}")
    match value:
        case None | bool():
            return value
        case str():
            return str(value)
        case int() if abs(value) <= _LARGEST_INTEGER:
            return value
        case int():
            raise TemplateError(f"the integer has more than 64 bits: {quoted(source)}")
        case float() if value.is_integer() and abs(value) <= _LARGEST_INTEGER:
            return int(value)
        case float() if value - value == 0:  # neither infinite nor not a number
            return value
        case datetime():
            return rfc3339(value)
        case Mapping():
            return {str(key): plain(item, source, depth=depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [plain(item, source, depth=depth + 1) for item in value]
        case _:
            raise TemplateError(f"{type(value).__name__} is not a JSON value: {quoted(source)}")


def quoted(source: str) -> str:
    """Return `source` for a message: one line, not too long."""
    line = " ".join(source.split())
    return f"`{line}`" if len(line) <= 200 else f"`{line[:199]}…`"  # noqa: PLR2004 - what fits a line
