"""Renders the texts of a plan, in one `Scope` for each try of an activity.

A text is rendered once, and its result never again. Text without expressions is returned unchanged, so that
only an engine whose plan needs jinja2 imports it.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from lcm_operator.plan.values import LONGEST_TEXT, TemplateError, as_text, plain, quoted

if TYPE_CHECKING:
    from lcm_operator.plan.expressions import Piece

_WORDS = {"true": True, "false": False, "": False}


def is_known(source: str, parameters: Collection[str]) -> bool:
    """Return whether a text depends on nothing but these parameters. Raises TemplateError."""
    return all(
        isinstance(piece, str) or (piece.parameters is not None and piece.parameters <= set(parameters))
        for piece in Scope({}).pieces(source)
    )


class Scope(Struct, frozen=True):
    """The variables of one activity, and the ways to render its texts."""

    variables: Mapping[str, Any]

    def with_(self, **more: Any) -> "Scope":
        """Return a scope with `more` variables."""
        return replace(self, variables={**self.variables, **more})

    def pieces(self, source: str) -> "tuple[str | Piece, ...]":
        """Return the literal text and the expressions of `source` in order."""
        if "{{" not in source and "{%" not in source:
            return (source,)
        from lcm_operator.plan.expressions import parse  # noqa: PLC0415 - see the module's docstring

        return parse(source)

    def value(self, source: str) -> Any:
        """Return the JSON value of `source`: a text that is exactly one expression keeps its type."""
        match self.pieces(source):
            case (str(literal),):
                return literal
            case (expression,) if not isinstance(expression, str):
                return plain(expression.evaluate(self.variables), source)
            case pieces:
                return self._joined(pieces, source)

    def text(self, source: str) -> str:
        """Return the value of `source` as text."""
        return as_text(self.value(source))

    def texts(self, sources: Mapping[str, str]) -> dict[str, str]:
        """Return the values of `sources` as text, without those that render to null or ''."""
        rendered = {key: self.text(source) for key, source in sources.items()}
        return {key: value for key, value in rendered.items() if value != ""}

    def condition(self, source: str) -> bool:
        """Return whether `source` is true. Text must be true, false or empty."""
        value = self.value(source)
        if not isinstance(value, str):
            return bool(value)
        word = value.strip().lower()
        if word not in _WORDS:
            raise TemplateError(f"a condition must be true or false, not other text: {quoted(source)}")
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
            raise TemplateError(f"the text is longer than {LONGEST_TEXT} characters: {quoted(source)}")
        return text
