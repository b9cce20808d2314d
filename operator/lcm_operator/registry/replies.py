"""What a registry says: its list of trials, and one trial. Pure.

Only `id` and `start_time` are read, whatever else an entry holds. One bad entry is a fault, never the whole
list; of two entries with one ID the first counts.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec

from lcm_operator.api.times import parse_start_time
from lcm_operator.registry.errors import BadReply

_KEPT_FAULTS = 10
_LONGEST_ID = 253
_SHOWN = 80
# More than 50,000 entries of 20 members have; each could be an entry, and cost memory.
_MOST_COMMAS = 2_000_000
T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """A trial and its start time in UTC."""

    id: str
    start_time: datetime


@dataclass(frozen=True)
class Listing:
    """All entries that could be read, in the registry's order; what was wrong with the first bad ones."""

    entries: tuple[Entry, ...]
    total: int
    """How many entries the list had, bad ones and repeated ones included."""
    bad: int = 0
    faults: tuple[str, ...] = ()


class _Fields(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b"null")
    start_time: msgspec.Raw = msgspec.Raw(b"null")


def parse_list(content: bytes) -> Listing:
    """Return what a reply to `/trial/` says. Raises BadReply if it is no list."""
    entries: dict[str, Entry] = {}
    bad = 0
    faults: list[str] = []
    if content.count(b",") > _MOST_COMMAS:
        raise BadReply("it has too many entries")
    rows = _decode(content, list[msgspec.Raw], "a list of trials")
    for number, row in enumerate(rows):
        try:
            entry = _entry(bytes(row))
        except ValueError as error:
            bad += 1
            if len(faults) < _KEPT_FAULTS:
                faults.append(f"entry {number}: {error}")
        else:
            entries.setdefault(entry.id, entry)
    return Listing(tuple(entries.values()), total=len(rows), bad=bad, faults=tuple(faults))


def parse_trial(content: bytes, trial_id: str) -> Entry:
    """Return what a reply to `/trial/{id}/` says of the trial that was asked for. Raises BadReply."""
    fields = _decode(content, _Fields, "a trial")
    try:
        return Entry(trial_id, _start_time(fields.start_time))
    except ValueError as error:
        raise BadReply(str(error)) from error


def _decode(content: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise BadReply(f"it is not {what}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadReply(f"it is no JSON: {error}") from error


def _entry(row: bytes) -> Entry:
    try:
        fields = msgspec.json.decode(row, type=_Fields)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no trial: {error}") from error
    trial_id = _id(bytes(fields.id))
    try:
        return Entry(trial_id, _start_time(fields.start_time))
    except ValueError as error:
        raise ValueError(f"id {_shown(trial_id)}: {error}") from error


def _id(raw: bytes) -> str:
    """Return the ID: a string, or the text of a number. Raises ValueError."""
    text = raw.decode() if raw[:1] in b"-0123456789" else _text(raw)
    if text is None:
        raise ValueError("id is neither a string nor a number")
    if not 1 <= len(text) <= _LONGEST_ID or any(_is_control(letter) for letter in text):
        raise ValueError(
            f"id {_shown(text)} has not 1 to {_LONGEST_ID} characters without control characters"
        )
    return text


def _is_control(letter: str) -> bool:
    return letter < " " or "\x7f" <= letter <= "\x9f"


def _start_time(raw: msgspec.Raw) -> datetime:
    text = _text(bytes(raw))
    if text is None:
        raise ValueError("start_time is not a string")
    moment = parse_start_time(text)
    if moment is None:
        raise ValueError(f"start_time {_shown(text)} is not of the form yyyy-mm-ddThh:mm:ss+zz:00")
    return moment


def _text(raw: bytes) -> str | None:
    """Return a JSON string that can be sent on; None if it is something else."""
    try:
        text = msgspec.json.decode(raw, type=str)
        text.encode()
    except (msgspec.DecodeError, UnicodeError):
        return None
    return text


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else repr(text[:_SHOWN]) + "…"
