"""The JSON documents at the beginning of a file as kubectl reads them."""

import json
import re
from typing import Any

from lcm_operator.cli import scalars
from lcm_operator.cli.document import DEEPEST, LARGEST, TOO_DEEP, TOO_LARGE, Document, UnreadableError
from lcm_operator.plan.faults import Place

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def leading_json(text: str) -> tuple[list[Document], int]:
    """Return the JSON documents at the beginning of a stream and where they end.

    As long as there is at most one, kubectl takes the rest for YAML.
    """
    found: list[Document] = []
    position = 0
    while True:
        begin = position + len(text[position:]) - len(text[position:].lstrip(" \t\r\n"))
        if begin == len(text):
            return found, begin
        try:
            value, end = _JSON.raw_decode(text, begin)
        except RecursionError:
            _located(text, begin, len(text))
            raise UnreadableError(text.count("\n", 0, begin) + 1, TOO_DEEP) from None
        except ValueError as error:
            if len(found) > 1:
                at = error.lineno if isinstance(error, json.JSONDecodeError) else None
                raise UnreadableError(at, f"not JSON: {error}") from error
            return found, position
        try:
            lines, repeated = _located(text, begin, end)
            found.append(Document(_stored(value), lines, repeated))
        except ValueError as error:
            raise UnreadableError(text.count("\n", 0, begin) + 1, str(error)) from error
        position = end


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse)


def _stored(value: Any) -> Any:
    """Return a JSON value with its numbers as they are sent."""
    match value:
        case dict():
            return {_text(key): _stored(item) for key, item in value.items()}
        case list():
            return [_stored(item) for item in value]
        case str():
            return _text(value)
        case _:
            return scalars.as_json(value)


def _text(value: str) -> str:
    """Return a text without halves of characters, which Go replaces."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _located(text: str, begin: int, end: int) -> tuple[dict[Place, int], tuple[tuple[int, Place], ...]]:
    """Return the lines of the places in JSON, and repeated keys. Raises UnreadableError if it is too much."""
    if end - begin > LARGEST:
        raise UnreadableError(text.count("\n", 0, begin) + 1, TOO_LARGE)
    lines: dict[Place, int] = {}
    repeated: list[tuple[int, Place]] = []
    stack: list[Any] = []  # the key or index within each open object or list; None before a key
    line, last = text.count("\n", 0, begin) + 1, begin
    for token in _TOKEN.finditer(text, begin, end):
        line, last = line + text.count("\n", last, token.start()), token.start()
        match token[0]:
            case "}" | "]":
                stack.pop()
            case ",":
                stack[-1] = stack[-1] + 1 if isinstance(stack[-1], int) else None
            case ":":
                pass
            case key if stack and stack[-1] is None:
                stack[-1] = _text(json.loads(key))
                if (here := tuple(stack)) in lines:
                    repeated.append((line, here))
                lines[here] = line
            case other:
                lines.setdefault(tuple(stack), line)
                if other in ("{", "["):
                    if len(stack) == DEEPEST:
                        raise UnreadableError(line, TOO_DEEP)
                    stack.append(None if other == "{" else 0)
    return lines, tuple(repeated)
