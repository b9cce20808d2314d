"""Values of expressions as JSON, and their errors. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from lcm_operator.api.bounds import DEEPEST
from lcm_operator.api.storage import rfc3339
from lcm_operator.outside import OutsideError, text

LONGEST_TEXT = 1024 * 1024
_LARGEST_INTEGER = 2**63 - 1
_NUMBER = re.compile(r"\s*[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\s*", re.ASCII)
_LONGEST_NUMBER = 64


class TemplateError(Exception):
    """An expression can't be evaluated, or its result does not fit; the message quotes it."""


class Undefined(Struct, frozen=True):
    """A member that an expression may expect, with the reason why it is undefined."""

    reason: str


def json_or_undefined(content: bytes, name: str, content_type: str | None = None) -> Any:
    """Return the JSON value of `content`, or why there is none. Of repeated keys the last counts."""
    try:
        return msgspec.json.decode(text(content, content_type))
    except (OutsideError, msgspec.DecodeError) as error:
        return Undefined(f"{name} is not JSON: {error}")
    except RecursionError:
        return Undefined(f"{name} nests too deeply")


def as_text(value: Any) -> str:
    """Return JSON as text: strings unchanged, null as '', the rest as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def as_number(value: Any) -> float | None:
    """Return the number that `value` is, or that it is the text of; None if it is neither."""
    if isinstance(value, str):
        if len(value) > _LONGEST_NUMBER or not _NUMBER.fullmatch(value):
            return None
        return int(value) if value.strip().lstrip("+-").isdigit() else float(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


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
