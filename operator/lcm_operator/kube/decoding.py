"""Decodes untrusted JSON. Pure.

The API server stores 9,000 levels of nesting; a decoder fails at 1,000, or from Python 3.14 on when its stack
is full, and one such object would fail a whole list or watch. So text that does not decode is decoded with
losses: values below level DEEPEST and numbers beyond a float become null, invalid characters U+FFFD.
Everything else is kept: metadata, and all other objects of a list.

    bytes ──decode──> as it is                                        (nearly always; costs nothing more)
              └─fails─> cut below level DEEPEST ──decode──> value
                                                   └─fails─> read by hand ──> value, or UnavailableError

Nothing here recurses with the depth of the text, and large texts are processed in pieces, so that the event
loop continues.
"""

import asyncio
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from lcm_operator.kube import errors

DEEPEST = 250
"""The levels of lists and objects that are kept.

No record needs that many, and most objects have fewer brackets, which then need not be matched.
"""
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{\]}]|"', re.DOTALL)
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_AS_LISTS = bytes.maketrans(b"{}", b"[]")
_OPENING, _QUOTE = b"[{", b'"'
_TOKENS_AT_ONCE = 20_000
_MOST_DIGITS = 300
_LONG_NUMBER = b"0" * (_MOST_DIGITS + 1)
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_ORDINARY_LEVELS, _LARGEST_TO_REDUCE = 20, 64 * 1024
_SKIP = msgspec.json.Decoder(msgspec.Raw)


async def read(content: bytes) -> Any:
    """Return the JSON value of `content`. Raises UnavailableError."""
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        return _decode(await _cut_in_turns(content))


def decode(content: bytes) -> Any:
    """Return the JSON value of a small `content` at once. Raises UnavailableError."""
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        return _decode(b"".join(_pieces(content)))


async def read_shallow(content: bytes) -> Any:
    """Return the JSON value of `content`, of at most DEEPEST levels: for code that recurses by them.

    Raises UnavailableError.
    """
    return _decode(await _cut_in_turns(content) if nests_deeper(content, DEEPEST) else content)


async def plain(content: bytes) -> bytes:
    """Return JSON for decoders that are not ours: UTF-8, at most DEEPEST levels, no number out of range.

    It is `content` itself where that is so. Raises UnavailableError.
    """
    if nests_deeper(content, DEEPEST) or not _is_strict(content):
        return msgspec.json.encode(_decode(await _cut_in_turns(content)))
    return content


def nests_deeper(content: bytes, levels: int) -> bool:
    """Return whether lists and objects nest deeper than `levels`; True if in doubt.

    Exact for well-formed JSON of ordinary size: it removes strings, then empty pairs of brackets level by
    level.
    """
    if content.count(b"[") + content.count(b"{") <= levels:
        return False
    if b"\\" in content:
        content = _ESCAPE.sub(b"", content)
    left = b"".join(content.split(_QUOTE)[::2]).translate(_AS_LISTS, _NO_BRACKETS)
    for level in range(levels):
        fewer = left.replace(b"[]", b"")
        if not fewer or len(fewer) == len(left):
            return bool(fewer)
        if level > _ORDINARY_LEVELS and len(fewer) > _LARGEST_TO_REDUCE:
            return True
        left = fewer
    return True


def _is_strict(content: bytes) -> bool:
    try:
        content.decode()
        _SKIP.decode(content)
    except (ValueError, RecursionError):
        return False
    return _LONG_NUMBER not in content.translate(_ZEROS)


def _decode(cut: bytes) -> Any:
    try:
        return msgspec.json.decode(cut)
    except (ValueError, RecursionError):
        return _by_hand(cut)


def _by_hand(cut: bytes) -> Any:
    """Decode what is valid JSON by its grammar, but not for a strict decoder."""
    try:
        value = json.loads(
            cut.decode("utf-8-sig", errors="replace"),
            parse_int=_integer,
            parse_float=_number,
            parse_constant=lambda _: None,
        )
        text = json.dumps(value, ensure_ascii=False).encode(errors="replace")  # half surrogate pairs
        return msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise errors.unreadable(f"no JSON: {str(error)[:200]}") from error


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS else None


def _number(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


async def _cut_in_turns(content: bytes) -> bytes:
    pieces: list[bytes] = []
    for piece in _pieces(content):
        pieces.append(piece)
        if not piece:
            await asyncio.sleep(0)
    return b"".join(pieces)


def _pieces(content: bytes) -> Iterator[bytes]:
    """Yield `content` with null below level DEEPEST; sometimes b"", as a place to pause."""
    depth = start = 0
    for count, token in enumerate(_TOKEN.finditer(content), 1):
        if count % _TOKENS_AT_ONCE == 0:
            yield b""
        character = content[token.start()]
        if character in _QUOTE:
            continue
        if character in _OPENING:
            depth += 1
            if depth == DEEPEST + 1:
                yield content[start : token.start()]
        else:
            if depth == DEEPEST + 1:
                yield b"null"
                start = token.end()
            depth -= 1
    yield content[start:]
