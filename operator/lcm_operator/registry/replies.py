"""Parses the trials in a registry's replies: only `id` and `start_time`; other members are ignored. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from lcm_operator.api.names import LONGEST_ID
from lcm_operator.api.times import EARLIEST, parse_reported_time, parse_start_time
from lcm_operator.outside import OutsideError, text
from lcm_operator.registry.errors import BadReplyError

_SHOWN = 80
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_NO_TEXT = re.compile("[\ud800-\udfff]")
"""Lone surrogates: from bytes that are not UTF-8, or spelt as JSON escapes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A trial and its start time in UTC."""

    id: str
    start_time: datetime


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


class _Fields(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b"null")
    start_time: msgspec.Raw = msgspec.Raw(b"null")


def parse_trial(content: bytes, trial_id: str, content_type: str | None = None) -> Entry:
    """Return the trial in a reply to `/trial/{id}/`. Raises BadReplyError."""
    try:
        fields = msgspec.json.decode(text(content, content_type), type=_Fields)
    except OutsideError as error:
        raise BadReplyError(str(error)) from error
    except msgspec.ValidationError as error:
        raise BadReplyError(f"it is not a trial: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadReplyError(f"it is not JSON: {error}") from error
    try:
        return Entry(trial_id, _start_time(_text(bytes(fields.start_time))))
    except ValueError as error:
        raise BadReplyError(str(error)) from error


def parse_entry(value: Any) -> Entry:
    """Return an entry of a list, in which numbers are `Number`s. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - bad data, not a bad call
    trial_id = _id(value.get("id"))
    try:
        return Entry(trial_id, _start_time(value.get("start_time")))
    except ValueError as error:
        raise ValueError(f"id {_shown(trial_id)}: {error}") from error


def _id(value: Any) -> str:
    """Return the ID: a string, or the text of a number. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("id is neither a string nor a number")  # noqa: TRY004 - bad data, not a bad call
    if _NO_TEXT.search(value):
        raise ValueError("id is not text in UTF-8; another charset must be in the reply's Content-Type")
    if not 1 <= len(value) <= LONGEST_ID or _CONTROL.search(value):
        raise ValueError(
            f"id {_shown(value)} must have 1 to {LONGEST_ID} characters and no control characters"
        )
    return str(value)


def _start_time(value: Any) -> datetime:
    if not isinstance(value, str) or isinstance(value, Number):
        raise ValueError("start_time is not a string")  # noqa: TRY004 - bad data, not a bad call
    if parse_start_time(value) is None:
        raise ValueError(f"start_time {_shown(value)} is not of the form yyyy-mm-ddThh:mm:ss+zz:00")
    moment = parse_reported_time(value)
    if moment is None:
        raise ValueError(f"start_time {_shown(value)} is before {EARLIEST.year}")
    return moment


def _text(raw: bytes) -> str | None:
    """Return a JSON string, None for any other value."""
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else repr(text[:_SHOWN]) + "…"
