"""Merge patch, JSON patch and selectors, as an API server applies them. Nothing is changed in place. Pure."""

from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]


class PatchError(Exception):
    """The patch doesn't fit the object."""


def merged(value: Any, patch: Any) -> Any:
    """Return `value` after a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, part in patch.items():
        if part is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), part)
    return result


def patched(value: Any, operations: Sequence[Json]) -> Any:
    """Return `value` after a JSON patch (RFC 6902): add, replace, remove and test. Raises PatchError."""
    for operation in operations:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]]
        value = _at(value, steps, operation)
    return value


def _at(value: Any, steps: list[str], operation: Json) -> Any:
    step, *rest = steps
    if not isinstance(value, dict | list):
        raise PatchError(f"no such path: {operation['path']}")
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    key: Any = step if isinstance(value, dict) else len(value) if step == "-" else int(step)
    exists = key in value if isinstance(value, dict) else key < len(value)
    if rest:
        if not exists:
            raise PatchError(f"no such path: {operation['path']}")
        copy[key] = _at(value[key], rest, operation)
        return copy
    adds = operation["op"] == "add" or (operation["op"] == "replace" and isinstance(value, dict))
    if not exists and not adds:
        raise PatchError(f"no such path: {operation['path']}")
    match operation["op"]:
        case "test" if value[key] != operation["value"]:
            raise PatchError(f"test failed: {operation['path']}")
        case "remove":
            del copy[key]
        case "add" if isinstance(copy, list):
            copy.insert(key, operation["value"])
        case "add" | "replace":
            copy[key] = operation["value"]
    return copy


def selects(label_selector: str = "", field_selector: str = "") -> Callable[[Json], bool]:
    """Return whether an object is selected: `a`, `!a`, `a=b`, `a==b`, `a!=b`, comma-separated."""
    labels = [_term(term) for term in label_selector.split(",") if term]
    fields = [_term(term) for term in field_selector.split(",") if term]

    def selected(raw: Json) -> bool:
        own = raw["metadata"].get("labels") or {}
        return all(_holds(own.get(key), *wanted) for key, *wanted in labels) and all(
            _holds(_field(raw, key), *wanted) for key, *wanted in fields
        )

    return selected


def _term(term: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "="):
        key, found, value = term.partition(operator)
        if found:
            return key, operator[0], value
    return (term[1:], "absent", "") if term.startswith("!") else (term, "exists", "")


def _holds(value: str | None, operator: str, wanted: str) -> bool:
    match operator:
        case "=":
            return value == wanted
        case "!":
            return value != wanted
        case "exists":
            return value is not None
        case _:
            return value is None


def _field(raw: Json, path: str) -> str:
    value: Any = raw
    for step in path.split("."):
        value = value.get(step, {}) if isinstance(value, dict) else {}
    return value if isinstance(value, str) else ""
