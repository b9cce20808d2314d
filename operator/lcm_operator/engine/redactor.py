"""Masks secret values in all text that leaves the engine: status, messages, logs.

It knows the parameters from Secrets; `secretCapture` and credentials add to it. It compares values: a secret
that a partner echoes is masked as well, also percent-encoded, as JSON or in base64.
"""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
# A shorter value is masked only as a whole word: otherwise a secret `1` would leave no number readable.
_SHORTEST_WITHIN = 4


class Redactor:
    """The secrets of one engine. They are added and never removed."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for value in values:
            self.add(value)

    @property
    def longest(self) -> int:
        """The length of the longest text that would be masked; 0 if there is none."""
        return max(map(len, self._forms), default=0)

    def add(self, secret: Any) -> None:
        """Mask `secret` from now on: a text, a number, or each of them in JSON."""
        known = len(self._forms)
        for leaf in _leaves(secret):
            self._forms.update(_forms(leaf))
        if len(self._forms) != known:
            self._pattern = re.compile("|".join(map(_pattern, sorted(self._forms, key=len, reverse=True))))

    def text(self, text: str) -> str:
        """Return `text` with every secret in it masked."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def tree(self, tree: Any) -> Any:
        """Return JSON with every secret in its texts, keys and numbers masked."""
        if self._pattern is None:
            return tree
        match tree:
            case str():
                return self.text(tree)
            case dict():
                return {self.text(key): self.tree(value) for key, value in tree.items()}
            case list():
                return [self.tree(value) for value in tree]
            case int() | float() if not isinstance(tree, bool) and str(tree) in self._forms:
                return MASK
            case _:
                return tree


def _leaves(secret: Any) -> Iterator[str]:
    match secret:
        case None | bool():
            return
        case dict():
            for value in secret.values():
                yield from _leaves(value)
        case list():
            for value in secret:
                yield from _leaves(value)
        case _:
            yield str(secret)


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms in which `secret` may occur in a text."""
    import json  # noqa: PLC0415 - only an engine with secrets needs it

    whole = secret.strip()
    if not whole:
        return
    lines = [line.strip() for line in whole.splitlines()]
    yield from {whole, *(line for line in lines if len(line) >= _SHORTEST_WITHIN)}
    for text in {whole, secret}:
        content = text.encode(errors="surrogateescape")
        yield from (quote(content, safe=""), quote(content), quote_plus(content))
        yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
        yield from (b64encode(content).decode(), urlsafe_b64encode(content).decode())


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _SHORTEST_WITHIN else rf"(?<!\w){escaped}(?!\w)"
