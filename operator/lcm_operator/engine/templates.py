"""How the texts of a plan become values: one `Scope` for each try of an activity.

Used by `steps` and the activities. A text is rendered once, its result never again. Text without
expressions is returned as it is, so that jinja2 is imported only by an engine whose plan needs it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lcm_operator.api.storage import rfc3339

if TYPE_CHECKING:
    from lcm_operator.engine.expressions import Piece

LONGEST_TEXT = 1024 * 1024
_LARGEST_INTEGER = 2**63 - 1
_DEEPEST = 64
_WORDS = {"true": True, "false": False, "": False}


class TemplateError(Exception):
    """An expression can't be evaluated, or its result can't stand where it is put; names the expression."""


class Absent(Struct, frozen=True):
    """Stands for a variable that an expression could expect, and says why it is undefined."""

    reason: str


class Scope(Struct, frozen=True):
    """What the expressions of one activity see, and the ways to render its texts."""

    variables: Mapping[str, Any]

    def with_(self, **more: Any) -> "Scope":
        """Return a scope that sees `more` too."""
        return replace(self, variables={**self.variables, **more})

    def pieces(self, source: str) -> "tuple[str | Piece, ...]":
        """Return literal text and expressions of `source` in their order."""
        if "{{" not in source and "{%" not in source:
            return (source,)
        from lcm_operator.engine.expressions import parse  # noqa: PLC0415 - see the module's docstring

        return parse(source)

    def value(self, source: str) -> Any:
        """Return what `source` says, as JSON: a text that is exactly one expression keeps its type."""
        match self.pieces(source):
            case (str(literal),):
                return literal
            case (expression,) if not isinstance(expression, str):
                return plain(expression.evaluate(self.variables), source)
            case pieces:
                return self._joined(pieces, source)

    def text(self, source: str) -> str:
        """Return what `source` says, as text."""
        return as_text(self.value(source))

    def texts(self, sources: Mapping[str, str]) -> dict[str, str]:
        """Return `sources` with their values as text, without those that render to null or ''."""
        rendered = {key: self.text(source) for key, source in sources.items()}
        return {key: value for key, value in rendered.items() if value != ""}

    def condition(self, source: str) -> bool:
        """Return whether `source` holds. Text counts only if it says true or false (or is empty)."""
        value = self.value(source)
        if not isinstance(value, str):
            return bool(value)
        word = value.strip().lower()
        if word not in _WORDS:
            raise TemplateError(f"a condition must be true or false, not text: {shown(source)}")
        return _WORDS[word]

    def tree(self, tree: Any) -> Any:
        """Return JSON with every text in it rendered (keys are not)."""
        match tree:
            case str():
                return self.value(tree)
            case dict():
                return {key: self.tree(value) for key, value in tree.items()}
            case list():
                return [self.tree(value) for value in tree]
            case _:
                return tree

    def _joined(self, pieces: "tuple[str | Piece, ...]", source: str) -> str:
        text = "".join(
            piece if isinstance(piece, str) else as_text(plain(piece.evaluate(self.variables), source))
            for piece in pieces
        )
        if len(text) > LONGEST_TEXT:
            raise TemplateError(f"longer than {LONGEST_TEXT} characters: {shown(source)}")
        return text


def as_text(value: Any) -> str:
    """Return JSON as text: strings as they are, null as '', the rest as JSON writes it."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def plain(value: Any, source: str, *, depth: int = 0) -> Any:
    """Return `value`, which an expression in `source` gave, as JSON that the API server gives back alike.

    Times become RFC 3339, whole floats integers (as Go writes them). Raises TemplateError for what is no
    JSON, an undefined value within included.
    """
    if depth > _DEEPEST:
        raise TemplateError(f"nested too deep: {shown(source)}")
    match value:
        case None | bool():
            return value
        case str():
            return str(value)
        case int() if abs(value) <= _LARGEST_INTEGER:
            return value
        case int():
            raise TemplateError(f"an integer of more than 64 bits: {shown(source)}")
        case float() if value.is_integer() and abs(value) <= _LARGEST_INTEGER:
            return int(value)
        case float() if value - value == 0:  # neither infinite nor not a number
            return value
        case datetime():
            return rfc3339(value)
        case Mapping():
            return {str(key): plain(item, source, depth=depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [plain(item, source, depth=depth + 1) for item in value]
        case _:
            raise TemplateError(f"{type(value).__name__} is no JSON value: {shown(source)}")


def shown(source: str) -> str:
    """Return `source` for a message: one line, not too long."""
    line = " ".join(source.split())
    return f"`{line}`" if len(line) <= 200 else f"`{line[:199]}…`"  # noqa: PLR2004 - what fits a line
