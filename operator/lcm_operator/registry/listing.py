"""A registry's list of trials, read while it arrives: whatever its length, little of it is ever held. Pure.

One bad entry is a fault, never the whole list; of two entries with one ID the first counts. What a reader
holds is bounded: half a megabyte of text, 8 bytes for each entry, and the entries that its `Selection` wants.
"""

import codecs
import heapq
import json
from array import array
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lcm_operator.registry.errors import BadReplyError
from lcm_operator.registry.replies import Entry, Number, parse_entry

MOST_ENTRIES = 700_000
"""More than 32 MiB can hold of what a registry has; each costs 8 bytes."""
LONGEST_ENTRY = 64 * 1024
_MOST_KEPT_CHARACTERS = 1_000_000
_KEPT_FAULTS = 10
_BLANKS = " \t\n\r"
_HASH_MASK = 2**64 - 1


@dataclass(frozen=True)
class Selection:
    """Which entries are kept: all of `ids`, and of the others the `others` soonest that start after `after`.

    Those of which `also` says so are kept as if they were of `ids`. Of the others fewer are kept if their IDs
    have more than a million characters in all.
    """

    ids: Collection[str] = frozenset()
    others: int = MOST_ENTRIES
    after: datetime | None = None
    also: Callable[[str], bool] | None = None


@dataclass(frozen=True)
class Listing:
    """The entries that were selected, in the registry's order; what was wrong with the first bad ones."""

    entries: tuple[Entry, ...]
    total: int
    """How many entries the list had, bad ones and repeated ones included."""
    bad: int = 0
    faults: tuple[str, ...] = ()
    left_out: int = 0
    """How many of the others start after the selection's time, but were too many to be kept."""


class ListReader:
    """Takes a reply in pieces."""

    def __init__(self, selection: Selection) -> None:
        self._kept = _Kept(selection)
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._scan = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number).raw_decode
        self._text = ""
        self._position = 0
        self._next = "["
        self._total = self._bad = 0
        self._faults: list[str] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next piece. Raises BadReplyError."""
        self._text = self._text[self._position :] + self._utf8.decode(chunk)
        self._position = 0
        self._read(is_whole=False)

    def finish(self) -> Listing:
        """Return the list. Raises BadReplyError if it is not complete."""
        self._text = self._text[self._position :] + self._utf8.decode(b"", final=True)
        self._position = 0
        self._read(is_whole=True)
        if self._next != "end":
            raise BadReplyError(
                "it is no JSON: it ends early" if self._total or self._next != "[" else _NO_LIST
            )
        entries, left_out = self._kept.entries()
        return Listing(entries, self._total, self._bad, tuple(self._faults), left_out)

    def _read(self, *, is_whole: bool) -> None:
        """Read as far as the text goes."""
        while self._find():
            letter = self._text[self._position]
            if self._next in ("entry", "first") and not (self._next == "first" and letter == "]"):
                if not self._entry(is_whole=is_whole):
                    return
                self._next = ", or ]"
            else:
                self._sign(letter)
                self._position += 1

    def _find(self) -> bool:
        """Go on to the next letter that is not blank; return whether there is one."""
        text, end = self._text, len(self._text)
        while self._position < end and text[self._position] in _BLANKS:
            self._position += 1
        return self._position < end

    def _sign(self, letter: str) -> None:
        """Take what stands around the entries."""
        if self._next == "[" and letter == "[":
            self._next = "first"
        elif self._next == ", or ]" and letter == ",":
            self._next = "entry"
        elif self._next in (", or ]", "first") and letter == "]":
            self._next = "end"
        elif self._next == "[":
            raise BadReplyError("it is no JSON" if letter not in '{"ntf-0123456789' else _NO_LIST)
        else:
            raise BadReplyError(f"it is no JSON: {letter!r} after entry {self._total - 1}")

    def _entry(self, *, is_whole: bool) -> bool:
        """Take one entry; return False if the text does not hold all of it yet."""
        try:
            value, end = self._scan(self._text, self._position)
        except RecursionError as error:
            raise BadReplyError(f"it is no JSON: entry {self._total} nests too deeply") from error
        except ValueError as error:
            return self._wait(is_whole, error)
        if end == len(self._text) and not is_whole:  # a number may go on
            return self._wait(is_whole, None)
        if self._total >= MOST_ENTRIES:
            raise BadReplyError(f"it has more than {MOST_ENTRIES} entries")
        self._take(value)
        self._position = end
        return True

    def _wait(self, is_whole: bool, error: ValueError | None) -> bool:
        """Have more text come. Raises BadReplyError if there is no more, or enough for any entry."""
        if is_whole:
            raise BadReplyError(f"it is no JSON: entry {self._total}: {error}") from error
        if len(self._text) - self._position > LONGEST_ENTRY:
            raise BadReplyError(
                f"entry {self._total} is no JSON, or has more than {LONGEST_ENTRY} characters"
            )
        return False

    def _take(self, value: Any) -> None:
        number = self._total
        self._total += 1
        try:
            entry = parse_entry(value)
        except ValueError as error:
            self._bad += 1
            if len(self._faults) < _KEPT_FAULTS:
                self._faults.append(f"entry {number}: {error}")
        else:
            self._kept.add(entry)


_NO_LIST = "it is not a list of trials"


class _Kept:
    """The selected entries. Of the others only the soonest stay, whatever comes in which order."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._own: dict[str, tuple[int, Entry]] = {}
        self._heap: list[tuple[float, int]] = []
        """The latest first: minus the start time, and the entry's number."""
        self._others: dict[int, Entry] = {}
        self._characters = 0
        self._ahead = 0
        self._hashes = array("Q")
        """Of every entry that is not of `ids`: which of two with one ID came first is seen at the end."""

    def add(self, entry: Entry) -> None:
        also = self._selection.also
        if entry.id in self._selection.ids or (also is not None and also(entry.id)):
            self._own.setdefault(entry.id, (len(self._hashes), entry))
        elif self._selection.others:
            number = len(self._hashes)
            self._hashes.append(hash(entry.id) & _HASH_MASK)
            if self._selection.after is None or entry.start_time > self._selection.after:
                self._add_other(number, entry)

    def _add_other(self, number: int, entry: Entry) -> None:
        self._ahead += 1
        heapq.heappush(self._heap, (-entry.start_time.timestamp(), -number))
        self._others[number] = entry
        self._characters += len(entry.id)
        while len(self._heap) > self._selection.others or self._characters > _MOST_KEPT_CHARACTERS:
            _, latest = heapq.heappop(self._heap)
            self._characters -= len(self._others.pop(-latest).id)

    def entries(self) -> tuple[tuple[Entry, ...], int]:
        """Return what is kept, in the list's order, and how many of the others were too many."""
        wanted = {hash(entry.id) & _HASH_MASK for entry in self._others.values()}
        first: dict[int, int] = {}
        for number, digest in enumerate(self._hashes):
            if digest in wanted:
                first.setdefault(digest, number)
        others = [
            (number, entry)
            for number, entry in self._others.items()
            if first[hash(entry.id) & _HASH_MASK] == number
        ]
        kept = sorted([*self._own.values(), *others], key=lambda numbered: numbered[0])
        return tuple(entry for _, entry in kept), self._ahead - len(self._others)
