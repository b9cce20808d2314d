"""A registry's list of trials, parsed while it arrives. Pure.

An invalid entry is skipped and reported; it must not fail the list. Of two entries with the same ID the first
counts. Memory is bounded: half a megabyte of text, 8 bytes per entry, and the entries of the `Selection`.
"""

import codecs
import heapq
import json
from array import array
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lcm_operator.outside import OutsideError, encoding
from lcm_operator.registry.errors import BadReplyError
from lcm_operator.registry.replies import Entry, Number, parse_entry

MOST_ENTRIES = 700_000
"""More than a list of 32 MiB can have."""
LONGEST_ENTRY = 64 * 1024
_MOST_KEPT_CHARACTERS = 1_000_000
_KEPT_FAULTS = 10
_BLANKS = " \t\n\r"
_HASH_MASK = 2**64 - 1


@dataclass(frozen=True)
class Selection:
    """The entries to keep: all of `ids`, and of the others the `others` soonest that start after `after`.

    IDs for which `also` returns True count as `ids`. Fewer of the others are kept if their IDs have more than
    a million characters in total.
    """

    ids: Collection[str] = frozenset()
    others: int = MOST_ENTRIES
    after: datetime | None = None
    also: Callable[[str], bool] | None = None


@dataclass(frozen=True)
class Listing:
    """The selected entries in the registry's order; `faults` describes the first invalid ones."""

    entries: tuple[Entry, ...]
    total: int
    """The number of entries in the list, including invalid and repeated ones."""
    bad: int = 0
    faults: tuple[str, ...] = ()
    left_out: int = 0
    """The number of others that start after the selection's time but were not kept."""


class ListReader:
    """Parses a reply in pieces."""

    def __init__(self, selection: Selection, content_type: str | None = None) -> None:
        """`content_type`: the reply's header. Raises BadReplyError if its charset is not known."""
        self._kept = _Kept(selection)
        try:
            self._decoder = codecs.getincrementaldecoder(encoding(content_type))("surrogateescape")
        except OutsideError as error:
            raise BadReplyError(str(error)) from error
        # NaN and Infinity are not JSON: no ID, no time.
        self._scan = json.JSONDecoder(
            parse_int=Number, parse_float=Number, parse_constant=lambda _: None
        ).raw_decode
        self._text = ""
        self._position = 0
        self._next = "["
        self._total = self._bad = 0
        self._faults: list[str] = []

    def feed(self, chunk: bytes) -> None:
        """Parse the next piece. Raises BadReplyError."""
        self._text = self._text[self._position :] + self._decode(chunk)
        self._position = 0
        self._read(is_whole=False)

    def finish(self) -> Listing:
        """Return the list. Raises BadReplyError if it is not complete."""
        self._text = self._text[self._position :] + self._decode(b"", final=True)
        self._position = 0
        self._read(is_whole=True)
        if self._next != "end":
            raise BadReplyError(
                "it is not JSON: it ends early" if self._total or self._next != "[" else _NO_LIST
            )
        entries, left_out = self._kept.entries()
        return Listing(entries, self._total, self._bad, tuple(self._faults), left_out)

    def _decode(self, chunk: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(chunk, final=final)
        except ValueError as error:  # a charset without surrogates
            raise BadReplyError("it is not text in the charset that its Content-Type names") from error

    def _read(self, *, is_whole: bool) -> None:
        """Parse as much of the text as is complete."""
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
        """Skip blanks; return whether any text is left."""
        text, end = self._text, len(self._text)
        while self._position < end and text[self._position] in _BLANKS:
            self._position += 1
        return self._position < end

    def _sign(self, letter: str) -> None:
        """Parse the brackets and commas around the entries."""
        if self._next == "[" and letter == "[":
            self._next = "first"
        elif self._next == ", or ]" and letter == ",":
            self._next = "entry"
        elif self._next in (", or ]", "first") and letter == "]":
            self._next = "end"
        elif self._next == "[":
            raise BadReplyError("it is not JSON" if letter not in '{"ntf-0123456789' else _NO_LIST)
        else:
            raise BadReplyError(f"it is not JSON: {letter!r} after entry {self._total - 1}")

    def _entry(self, *, is_whole: bool) -> bool:
        """Parse one entry; return False if it is not complete yet."""
        try:
            value, end = self._scan(self._text, self._position)
        except RecursionError as error:
            raise BadReplyError(f"it is not JSON: entry {self._total} nests too deeply") from error
        except ValueError as error:
            return self._wait(is_whole, error)
        if end == len(self._text) and not is_whole:  # a number may continue
            return self._wait(is_whole, None)
        if self._total >= MOST_ENTRIES:
            raise BadReplyError(f"it has more than {MOST_ENTRIES} entries")
        self._take(value)
        self._position = end
        return True

    def _wait(self, is_whole: bool, error: ValueError | None) -> bool:
        """Wait for more text. Raises BadReplyError if there is none, or already enough for any entry."""
        if is_whole:
            raise BadReplyError(f"it is not JSON: entry {self._total}: {error}") from error
        if len(self._text) - self._position > LONGEST_ENTRY:
            raise BadReplyError(
                f"entry {self._total} is not JSON, or has more than {LONGEST_ENTRY} characters"
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
    """The selected entries; of the others only the soonest are kept."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._own: dict[str, tuple[int, Entry]] = {}
        self._heap: list[tuple[float, int]] = []
        """Negated start time and number of each other entry: the latest is popped first."""
        self._others: dict[int, Entry] = {}
        self._characters = 0
        self._ahead = 0
        self._hashes = array("Q")
        """Of every other entry, to find the first of two with the same ID at the end."""

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
        """Return the kept entries in the list's order, and how many of the others were dropped."""
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
