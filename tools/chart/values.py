"""The values of the chart, from their one source: their schema, values.yaml, and the table of all values.

values.yaml beside this file is a JSON schema in YAML, in which anchors hold what several sections share.
"""

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).with_name("values.yaml")
Schema = Mapping[str, Any]
_MERGE = "tag:yaml.org,2002:merge"
_WIDTH = 118
_HEAD = """\
# Values of the chart; values.schema.json allows exactly these.
# Made by `make chart` from tools/chart/values.yaml.
"""


class _Loader(yaml.SafeLoader):
    """Keeps a mapping's own keys before those that it merges, so that they come first on all pages."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        own = [pair for pair in node.value if pair[0].tag != _MERGE]
        super().flatten_mapping(node)
        node.value = own + [pair for pair in node.value if pair not in own]


class _Dumper(yaml.SafeDumper):
    """Writes texts that need quotes with double ones."""

    def analyze_scalar(self, scalar: str) -> Any:
        analysis = super().analyze_scalar(scalar)
        analysis.allow_single_quoted = False
        return analysis


def load() -> dict[str, Any]:
    """Return the source, without what is there for its anchors only."""
    source = yaml.load(SOURCE.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    return {key: value for key, value in source.items() if not key.startswith("x-")}


def schema_text() -> str:
    """Return values.schema.json."""
    return json.dumps(load(), indent=1, ensure_ascii=False) + "\n"


def leaves(field: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield each value that can be set, by its path; no sections."""
    for name, inner in _shown(field):
        if "properties" in inner:
            yield from leaves(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", inner


def _shown(field: Schema) -> list[tuple[str, Schema]]:
    return [(name, inner) for name, inner in field["properties"].items() if "x-hidden" not in inner]


def defaults_text() -> str:
    """Return values.yaml: every value with its default, below a comment that describes it."""
    return _HEAD + "".join(_commented(load(), ""))


def _commented(field: Schema, indent: str) -> Iterator[str]:
    for name, inner in _shown(field):
        comment = inner.get("description", "")
        if not indent:
            yield "\n"
        yield from (
            f"{indent}# {line}\n"
            for line in textwrap.wrap(comment, _WIDTH - len(indent), break_on_hyphens=False)
        )
        if "properties" in inner:
            yield f"{indent}{name}:\n"
            yield from _commented(inner, indent + "  ")
        else:
            text = _dumped({name: inner["default"]})
            yield textwrap.indent(_without_braces(text), indent)


def _dumped(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=_WIDTH, default_flow_style=None)


def _without_braces(text: str) -> str:
    """Return a mapping of one value in block style, which PyYAML writes in braces if the value is short."""
    return f"{text.strip()[1:-1]}\n" if text.startswith("{") else text


def table() -> str:
    """Return the table of all values, in Markdown."""
    head = ["| value | default | allowed | description |", "|" + "---|" * 4]
    return "\n".join([*head, *_rows(load(), "")]) + "\n"


def _rows(field: Schema, path: str) -> Iterator[str]:
    for name, inner in _shown(field):
        section = "properties" in inner
        text = inner.get("description", "")
        if text:
            default = "" if section else f"`{json.dumps(inner['default'])}`"
            cells = (f"`{path}{name}`", default, _allowed(inner), text)
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if section:
            yield from _rows(inner, f"{path}{name}.")


def _allowed(field: Schema) -> str:
    said = [f"`{json.dumps(value)}`".replace('"', "") for value in field.get("enum", ()) if value != ""]
    said += [f"{key} {field[key]}" for key in ("minimum", "maximum", "maxLength", "maxItems") if key in field]
    return ", ".join(said)
