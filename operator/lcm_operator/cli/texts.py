"""The texts of an activity that are rendered, and what their expressions look up.

Used by `plan_faults`; it knows no plan as a whole.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from jinja2 import nodes

from lcm_operator.cli.documents import Place
from lcm_operator.engine.expressions import syntax

_SEEING_NO_RESPONSE: tuple[Place, ...] = (
    ("when",),
    ("http", "url"),
    ("http", "query"),
    ("http", "headers"),
    ("http", "basicAuth"),
    ("http", "json"),
    ("http", "body"),
    ("exec", "env"),
)
_SEEING_THE_RESPONSE: tuple[Place, ...] = (
    ("http", "expect", "condition"),
    ("http", "until", "condition"),
    ("http", "capture"),
)
_CONDITIONS = {"when", "condition"}
Chain = tuple[str, ...]


class Text(msgspec.Struct, frozen=True):
    """A text of an activity, and where in it."""

    source: str
    place: Place
    sees_response: bool
    sees_itself: bool = False

    @property
    def is_condition(self) -> bool:
        """Whether it must come out true or false."""
        return self.place[-1] in _CONDITIONS and self.place[-2:-1] != ("capture",)


def texts(activity: dict[str, Any]) -> Iterator[Text]:
    """Yield the texts of an activity, as far as they are ones."""
    for place in _SEEING_NO_RESPONSE:
        yield from (Text(source, here, False) for here, source in _leaves(activity, place))
    for place in _SEEING_THE_RESPONSE:
        yield from (Text(source, here, True) for here, source in _leaves(activity, place))
    for here, source in _leaves(activity, ("set",)):
        yield Text(source, here, "http" in activity, sees_itself=True)


def lookups(source: str) -> Iterator[Chain]:
    """Yield what the expressions of a text look up: `outputs`, `outputs.a`, `outputs.a.b` for the last.

    What is computed, as in `outputs[values.which]`, is no name that could be checked. Raises TemplateError.
    """
    for node in syntax(source).find_all((nodes.Name, nodes.Getattr, nodes.Getitem)):
        if chain := _chain(node):
            yield chain


def _chain(node: nodes.Node) -> Chain:
    match node:
        case nodes.Name():
            return (node.name,)
        case nodes.Getattr():
            name = node.attr
        case nodes.Getitem(arg=nodes.Const(value=str(key))):
            name = key
        case _:
            return ()
    before = _chain(node.node)
    return (*before, name) if before else ()


def _leaves(activity: dict[str, Any], place: Place) -> Iterator[tuple[Place, str]]:
    found: Any = activity
    for key in place:
        found = found.get(key) if isinstance(found, dict) else None
    yield from _texts_in(found, place)


def _texts_in(tree: Any, place: Place) -> Iterator[tuple[Place, str]]:
    match tree:
        case str():
            yield place, tree
        case dict():
            for key, below in tree.items():
                yield from _texts_in(below, (*place, key))
        case list():
            for index, below in enumerate(tree):
                yield from _texts_in(below, (*place, index))
