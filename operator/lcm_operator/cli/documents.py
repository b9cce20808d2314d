"""YAML documents with the line of each field.

They are read as kubectl reads them: YAML 1.1, in which `y` and `n` are booleans, but a time stays text.
Repeated keys of a mapping are reported; other readers silently use the last.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from lcm_operator.plan.validation import Place

_TIME, _BOOLEAN = "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool"


class UnreadableError(Exception):
    """A file is not YAML that can be converted to JSON."""

    def __init__(self, mark: yaml.Mark | None, message: str) -> None:
        super().__init__(message)
        self.line = mark.line + 1 if mark is not None else None


class Document(msgspec.Struct, frozen=True):
    """One document: its value as JSON, the line of each place, and its repeated keys."""

    value: Any
    lines: dict[Place, int]
    repeated: tuple[tuple[int, Place], ...]

    def line(self, place: Place) -> int:
        """Return the line of a place, or of the nearest enclosing one."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]


def read(text: str) -> list[Document]:
    """Return the documents of a file, without empty ones. Raises UnreadableError."""
    try:
        return [document for document in _documents(text) if document.value is not None]
    except yaml.MarkedYAMLError as error:
        raise UnreadableError(error.problem_mark, error.problem or "not YAML") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UnreadableError(None, " ".join(str(error).split())) from error


def _documents(text: str) -> Iterator[Document]:
    loader = _Loader(text)
    try:
        while loader.check_node() and (node := loader.get_node()) is not None:
            reader = _Reader(loader)
            value = reader.read(node, ())
            yield Document(value, reader.lines, tuple(reader.repeated))
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Records the nodes of repeated keys."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.again: set[yaml.Node] = set()

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if (name := (key.tag, str(key.value))) in seen:
                self.again.add(key)
            seen.add(name)
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != _TIME]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.bool_values = yaml.SafeLoader.bool_values | {"y": True, "n": False}
_Loader.add_implicit_resolver(_BOOLEAN, re.compile(r"[yYnN]\Z"), list("yYnN"))


class _Reader:
    """Converts the nodes of one document to JSON and records their lines."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._around: list[yaml.Node] = []
        self.lines: dict[Place, int] = {}
        self.repeated: list[tuple[int, Place]] = []

    def read(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if node in self._around:
            raise UnreadableError(node.start_mark, "an alias refers to a node that contains it")
        self._around.append(node)
        value = self._value(node, place)
        self._around.pop()
        return value

    def _value(self, node: yaml.Node, place: Place) -> Any:
        match node:
            case yaml.MappingNode():
                self._loader.flatten_mapping(node)
                return dict(self._item(key, below, place) for key, below in node.value)
            case yaml.SequenceNode():
                return [self.read(item, (*place, index)) for index, item in enumerate(node.value)]
            case _:
                return self._loader.construct_object(node)

    def _item(self, key: yaml.Node, below: yaml.Node, place: Place) -> tuple[str, Any]:
        if not isinstance(key, yaml.ScalarNode):
            is_expression = isinstance(key, yaml.MappingNode) and key.flow_style
            text = 'an expression must be in quotes: "{{ … }}"' if is_expression else "a key must be text"
            raise UnreadableError(key.start_mark, text)
        found = self._loader.construct_object(key)
        name = str(found).lower() if isinstance(found, bool) else str(key.value)
        here, line = (*place, name), key.start_mark.line + 1
        if key in self._loader.again:
            self.repeated.append((line, here))
        self.lines[here] = line
        return name, self.read(below, here)
