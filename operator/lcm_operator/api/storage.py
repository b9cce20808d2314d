"""The base of all types in custom resources, and their conversion from and to JSON objects.

`parse` and `serialise` are called at the edges (controllers, engine); nothing else uses raw dictionaries.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """A frozen value: snake_case fields here, camelCase on the wire; unknown ones are ignored."""


Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with an offset; without one it is malformed."""

R = TypeVar("R", bound=Record)
_LONGEST_FAULT = 500
"""It may quote a value of any length."""


class MalformedError(ValueError):
    """An object does not have the documented shape; the message names the field."""


def parse(raw: Mapping[str, Any], kind: type[R]) -> R:
    """Return `raw` as a `kind`. Raises MalformedError with the field's path and what is allowed there."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise MalformedError(str(error).replace("`$.", "`")[:_LONGEST_FAULT]) from error


def serialise(record: Record) -> dict[str, Any]:
    """Return the JSON object of `record`, without defaults; times are RFC 3339 in UTC."""
    plain: dict[str, Any] = msgspec.to_builtins(record)
    return plain


def status_patch(
    resource_version: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the JSON patch (RFC 6902) from the status `old` of that version to `new`.

    Unlike a merge patch it keeps nulls in lists of objects, such as outputs of activities. It conflicts if
    the version has changed.
    """
    operations: list[dict[str, Any]] = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version}
    ]
    if not old:
        operations.append({"op": "add", "path": "/status", "value": {}})
    operations += [{"op": "remove", "path": f"/status/{key}"} for key in old if key not in new]
    operations += [
        {"op": "add", "path": f"/status/{key}", "value": value}
        for key, value in new.items()
        if key not in old or old[key] != value
    ]
    return operations


def rfc3339(moment: datetime) -> str:
    """Return `moment` in UTC with microseconds, as `2026-11-24T10:00:00.000000Z` (a MicroTime)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
