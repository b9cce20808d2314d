"""How deep values may nest that our objects take as they come: JSON bodies, templates, outputs. Pure.

Their schema can't bound them, and the API server keeps 9,000 levels. What nests deeper than DEEPEST is
replaced as it is read, by a value that says so: whatever works on a record may recurse. Nothing may be done
with such a value but to refuse it.
"""

from typing import Any

DEEPEST = 64
TOO_DEEP_TEXT = f"nests deeper than {DEEPEST} levels"
_UNREAD = "lcm.5gdrones.eu/unread"


def bounded(value: Any) -> Any:
    """Return `value`, or what stands for it where it nests too deep."""
    return {_UNREAD: TOO_DEEP_TEXT} if nests_deeper(value) else value


def is_unread(value: object) -> bool:
    """Return whether this stands for a value that nested too deep."""
    return isinstance(value, dict) and len(value) == 1 and value.get(_UNREAD) == TOO_DEEP_TEXT


def nests_deeper(value: object, levels: int = DEEPEST) -> bool:
    """Return whether lists and objects nest deeper than so many levels; `[]` is one level."""
    current = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        if not current:
            return False
        current = [
            inner
            for outer in current
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(current)
