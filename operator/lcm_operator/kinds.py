"""Kinds of environment variables: how a value is parsed, and how an error describes allowed values.

Engines load this module, so its imports must be light.
"""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

T = TypeVar("T")
_SHORTEST_LEAD, _LONGEST_LEAD = 10, 86400
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_OBJECT_NAME = r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"


class Kind(Generic[T]):
    """A kind of value. `parse` raises ValueError, whose text, if any, is added to the error."""

    __slots__ = ("allowed", "parse")

    def __init__(self, allowed: str, parse: Callable[[str], T]) -> None:
        self.allowed = allowed
        self.parse = parse


def one_of(choices: Mapping[str, T]) -> Kind[T]:
    """Return the kind of a variable with a choice of words."""

    def parse(text: str) -> T:
        if text not in choices:
            raise ValueError
        return choices[text]

    *others, last = choices
    return Kind(f"{', '.join(others)} or {last}", parse)


def seconds(text: str) -> float:
    """Return a duration. Raises ValueError."""
    try:
        found = float(text)
    except ValueError:
        raise ValueError from None
    if not (math.isfinite(found) and found >= 0):
        raise ValueError
    return found


def _lead(text: str) -> float:
    found = seconds(text)
    if not _SHORTEST_LEAD <= found <= _LONGEST_LEAD:
        raise ValueError
    return found


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError
    return path


def _matching(pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return parse


def _namespaces(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if wrong := [name for name in names if not re.fullmatch(_LABEL, name)]:
        raise ValueError(f"{', '.join(map(ascii, wrong))} can't be a namespace")
    return names


def _host_names(text: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in text.split(",") if name.strip())


def _time_zone(text: str) -> "ZoneInfo":
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - the engine needs none

    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError from None


TEXT = Kind("any text", str)
PATH = Kind("a path", Path)
FILE = Kind("the path of an existing file", _file)
BOOLEAN = one_of({"false": False, "true": True})
SECONDS = Kind("a number of seconds, at least 0", seconds)
LEAD_SECONDS = Kind(f"a number of seconds from {_SHORTEST_LEAD} to {_LONGEST_LEAD}", _lead)
NAMESPACE = Kind("the name of a namespace", _matching(_LABEL))
NAMESPACES = Kind("names of namespaces, separated by commas", _namespaces)
OBJECT_NAME = Kind("the name of an object", _matching(_OBJECT_NAME))
HOST_NAMES = Kind("names of hosts, separated by commas", _host_names)
TIME_ZONE = Kind("a time zone such as Europe/Helsinki", _time_zone)
LOG_LEVELS = one_of({level: level for level in ("DEBUG", "INFO", "WARNING", "ERROR")})
LOG_FORMATS = one_of({form: form for form in ("text", "json")})
