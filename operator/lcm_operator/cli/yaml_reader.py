"""One YAML document as kubectl reads it.

PyYAML scans and composes; types of scalars and merges are those of goyaml v2 (ADR 0036).
"""

import json
import re
from typing import Any

import yaml

from lcm_operator.cli import scalars
from lcm_operator.cli.document import DEEPEST, LARGEST, TOO_DEEP, TOO_LARGE, Change, Document, UnreadableError
from lcm_operator.plan.faults import Place

try:
    from yaml._yaml import CParser as Parser
except ImportError:  # a PyYAML without libyaml, which differs in tabs only

    class Parser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):  # type: ignore[no-redef]
        """The parser that is written in Python."""

        def __init__(self, text: str) -> None:
            yaml.reader.Reader.__init__(self, text)
            yaml.scanner.Scanner.__init__(self)
            yaml.parser.Parser.__init__(self)


_ESCAPED_SLASH = re.compile(r"(?<!\\)(?:\\\\)*\\/")
_NO_ESCAPE = "YAML has no escape \\\\/: write /"
_MOST_ALIASES, _FEW_NODES, _LARGEST_SHARE, _MOST_NODES = 100, 1000, 0.99, 400_000


def read_yaml(text: str, first_line: int) -> Document:
    """Return the only document of a text. Raises UnreadableError."""
    if len(text) > LARGEST:
        raise UnreadableError(first_line, TOO_LARGE)
    try:
        loader = _Loader(text)
        try:
            if not loader.check_node():
                return Document(None, {(): first_line})
            node = loader.get_node_of_first_document()
        finally:
            loader.dispose()
        return _Reader(first_line).document(node)
    except yaml.reader.ReaderError as error:
        line = first_line + text.count("\n", 0, error.position)
        raise UnreadableError(line, f"character #x{error.character:04x} is not allowed") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line_of = first_line + mark.line if mark is not None else first_line
        raise UnreadableError(line_of, error.problem or error.context or "not YAML") from error


class _Loader(yaml.composer.Composer, Parser):
    """Composes nodes without resolving their types: the tag of a plain scalar is ''."""

    def __init__(self, text: str) -> None:
        Parser.__init__(self, text)
        yaml.composer.Composer.__init__(self)
        self._text = text
        self._depth = 0

    def get_node_of_first_document(self) -> yaml.Node:
        """Return the node; what follows a line `...` is not read."""
        self.get_event()
        node: yaml.Node = self.compose_node(None, None)
        self.get_event()
        return node

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        """Compose with a bounded depth; an anchor may be set again."""
        event: Any = self.peek_event()
        if self._depth >= DEEPEST:
            raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=event.start_mark)
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(event.anchor, None)
        if isinstance(event, yaml.ScalarEvent):
            self._adjust(event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _adjust(self, event: Any) -> None:
        """Treat a scalar as goyaml where libyaml differs."""
        if event.style == '"':
            source = self._text[event.start_mark.index : event.end_mark.index]
            if _ESCAPED_SLASH.search(source):
                raise yaml.MarkedYAMLError(problem=_NO_ESCAPE, problem_mark=event.start_mark)
        if event.tag == "!":
            event.tag = scalars.STR

    def descend_resolver(self, parent: Any, index: Any) -> None:
        """Do nothing: there are no path resolvers."""

    def ascend_resolver(self) -> None:
        """Do nothing."""

    def resolve(self, kind: type, value: Any, implicit: Any) -> str:
        """Return the tag of a node that has none; only plain scalars are of a type by their form."""
        del value
        return "" if kind is yaml.ScalarNode and implicit[0] else scalars.STR


class _Reader:
    """Converts the nodes of one document to JSON and records their lines."""

    def __init__(self, first_line: int) -> None:
        self._first_line = first_line
        self._around: list[yaml.Node] = []
        self._known: set[yaml.Node] = set()
        self._count = self._aliased = self._aliases = 0
        self.lines: dict[Place, int] = {}
        self.repeated: list[tuple[int, Place]] = []
        self.changed: list[Change] = []

    def document(self, node: yaml.Node) -> Document:
        value = self.read(node, ())
        return Document(value, self.lines, tuple(self.repeated), tuple(self.changed))

    def _line(self, node: yaml.Node) -> int:
        line: int = self._first_line + node.start_mark.line
        return line

    def _error(self, node: yaml.Node, message: str) -> UnreadableError:
        return UnreadableError(self._line(node), message)

    def read(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, self._line(node))
        with_alias = self._enter(node)
        value: Any = None
        match node:
            case yaml.MappingNode():
                value = {}
                self._fill(node, place, value, set())
            case yaml.SequenceNode():
                value = [self.read(item, (*place, index)) for index, item in enumerate(node.value)]
            case yaml.ScalarNode():
                value = self._scalar(node, place)
        self._leave(with_alias)
        return value

    def _enter(self, node: yaml.Node) -> bool:
        """Count a node, and refuse what aliases blow up, by the rule of goyaml."""
        if node in self._around:
            raise self._error(node, "an alias refers to a node that contains it")
        is_alias = node in self._known
        self._known.add(node)
        self._around.append(node)
        self._aliases += is_alias
        self._count += 1
        self._aliased += self._aliases > 0
        if (
            self._aliased > _MOST_ALIASES
            and self._count > _FEW_NODES
            and (self._aliased > _LARGEST_SHARE * self._count or self._count > _MOST_NODES)
        ):
            raise self._error(node, "aliases make the document too large")
        return is_alias

    def _leave(self, is_alias: bool) -> None:
        self._around.pop()
        self._aliases -= is_alias

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        try:
            value = scalars.as_json(scalars.resolve(node.tag, node.value))
        except ValueError as error:
            raise self._error(node, str(error)) from error
        if node.tag == "" and (why := _rewritten(node.value, value)):
            self.changed.append(Change(place, why))
        return value

    def _fill(self, node: yaml.MappingNode, place: Place, into: dict[str, Any], own: set[str]) -> None:
        """Read the items of a mapping in their order; those of merged mappings count where `<<` is."""
        for key, below in node.value:
            if _is_merge(key):
                self._merge(below, place, into)
                continue
            name = self._key(key, place)
            here, line = (*place, name), self._line(key)
            if name in own:
                self.repeated.append((line, here))
            own.add(name)
            self.lines[here] = line
            into[name] = self.read(below, here)

    def _merge(self, node: yaml.Node, place: Place, into: dict[str, Any]) -> None:
        is_list = isinstance(node, yaml.SequenceNode) and node not in self._known
        for merged in reversed(node.value) if is_list else [node]:
            if not isinstance(merged, yaml.MappingNode):
                raise self._error(node, "<< takes a mapping or a list of mappings")
            with_alias = self._enter(merged)
            self._fill(merged, place, into, set())
            self._leave(with_alias)

    def _key(self, node: yaml.Node, place: Place) -> str:
        if not isinstance(node, yaml.ScalarNode):
            is_expression = isinstance(node, yaml.MappingNode) and node.flow_style
            text = 'an expression must be in quotes: "{{ … }}"' if is_expression else "a key must be text"
            raise self._error(node, text)
        try:
            name = scalars.as_key(scalars.resolve(node.tag, node.value))
        except ValueError as error:
            raise self._error(node, str(error)) from error
        if name != node.value and node.tag == "":
            self.changed.append(
                Change(
                    (*place, name),
                    f'the key {node.value} is read as "{name}"; for text put it in quotes',
                    is_key=True,
                )
            )
        return name


def _is_merge(key: yaml.Node) -> bool:
    return (
        isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.tag in ("", "tag:yaml.org,2002:merge")
    )


def _rewritten(source: str, value: Any) -> str:
    """Return why a plain scalar means something else than it seems to; '' if it does not."""
    if value is None or isinstance(value, str):
        return ""
    shown = json.dumps(value)
    return (
        ""
        if shown == source.lower()
        else f'{source} is read as {shown}; for text put it in quotes: "{source}"'
    )
