"""The depth and size limits of free-form values: JSON bodies, templates, outputs. Pure.

A schema cannot bound them: the API server stores 9,000 levels, and 400,000 empty lists, which take 20 times
as much memory. A value beyond the limits is replaced when it is read, so that code may recurse over records.
The replacement must only ever be refused.
"""

from typing import Any

DEEPEST = 64
LARGEST = 256 * 1024
"""As for the whole of a resolved plan."""
TOO_DEEP_TEXT = f"nests deeper than {DEEPEST} levels"
TOO_LARGE_TEXT = f"is larger than {LARGEST // 1024} KiB"
_UNREAD = "lcm.5gdrones.eu/unread"
_LEAST_BYTES = 2
"""What a value takes in a list as JSON, with its comma."""


def bounded(value: Any) -> Any:
    """Return `value`, or its replacement if it is beyond the limits."""
    fault = _fault(value)
    return {_UNREAD: fault} if fault else value


def unread_because(value: object) -> str:
    """Return why a value was replaced; empty if it was not."""
    found = value.get(_UNREAD) if isinstance(value, dict) and len(value) == 1 else None
    return found if isinstance(found, str) and found in (TOO_DEEP_TEXT, TOO_LARGE_TEXT) else ""


def nests_deeper(value: object) -> bool:
    """Return whether lists and objects nest deeper than DEEPEST; `[]` is one level."""
    return _fault(value) == TOO_DEEP_TEXT


def _fault(value: object) -> str:
    """Return which limit is exceeded; sizes are estimated cheaply."""
    current, size = [value] if isinstance(value, dict | list) else [], 0
    for _ in range(DEEPEST):
        if not current:
            return ""
        inner = [one for outer in current for one in (outer.values() if isinstance(outer, dict) else outer)]
        size += _LEAST_BYTES * len(inner) + sum(len(one) for one in inner if isinstance(one, str))
        if size > LARGEST:
            return TOO_LARGE_TEXT
        current = [one for one in inner if isinstance(one, dict | list)]
    return TOO_DEEP_TEXT if current else ""
