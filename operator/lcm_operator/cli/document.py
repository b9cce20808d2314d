"""A document of a file: its value as JSON, and where everything is."""

from typing import Any

import msgspec

from lcm_operator.plan.faults import Place

LARGEST = 3 * 1024 * 1024
"""The API server takes no larger request."""
DEEPEST = 200
"""More than any manifest needs; code may recurse that deep."""
TOO_DEEP = f"nests deeper than {DEEPEST} levels; an engine takes 64"
TOO_LARGE = f"the document is larger than the {LARGEST // 1024 // 1024} MiB that an API server accepts"


class UnreadableError(Exception):
    """A file is not YAML that can be converted to JSON; `line` is None if no place is known."""

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.line = line


class Change(msgspec.Struct, frozen=True):
    """A key or a value that is read otherwise than it is written."""

    place: Place
    message: str
    is_key: bool = False


class Document(msgspec.Struct, frozen=True):
    """One document: its value, the line of each place, its repeated keys.

    `changed` is what kubectl reads otherwise than it is written.
    """

    value: Any
    lines: dict[Place, int]
    repeated: tuple[tuple[int, Place], ...] = ()
    changed: tuple[Change, ...] = ()

    def line(self, place: Place) -> int:
        """Return the line of a place, or of the nearest enclosing one."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]
