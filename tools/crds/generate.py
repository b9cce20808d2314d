#!/usr/bin/env python3
"""Writes deploy/crds/*.yaml from the sources beside this file; run it after a change of those.

All four kinds contain the plan, so the sources hold each part once: `$ref: FILE#/NAME` takes a part, and
the fields beside `$ref` are merged over it (maps are merged, lists joined, all else replaced). It must not
know what a CRD is. tests/unit/test_crd_sources.py checks that the files in deploy/crds/ are what this makes.
"""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

SOURCES = Path(__file__).parent
TARGET = SOURCES.parents[1] / "deploy" / "crds"
KINDS = ("trials", "trialengines", "trialplans", "trialregistries")
HEADER = "# Made by tools/crds/generate.py from the files beside it; change those and run it again.\n"


@cache
def source(name: str) -> Any:
    """Return the content of one source file."""
    return yaml.safe_load((SOURCES / name).read_text(encoding="utf-8"))


def merged(below: Any, above: Any) -> Any:
    """Return `above` merged over `below`."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {
            key: merged(below[key], above[key]) if key in below and key in above else value
            for key, value in {**above, **below}.items()
        }
    if isinstance(below, list) and isinstance(above, list):
        return [*above, *below]
    return above


def resolved(node: Any) -> Any:
    """Return `node` with every `$ref` replaced by the piece that it names."""
    if isinstance(node, list):
        return [resolved(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: resolved(value) for key, value in node.items() if key != "$ref"}
    if "$ref" not in node:
        return plain
    name, piece = node["$ref"].split("#/")
    return merged(resolved(source(name)[piece]), plain)


class PlainDumper(yaml.SafeDumper):
    """Writes every value out, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never refer to a value written before."""
        del data
        return True


def manifest(kind: str) -> str:
    """Return the complete CRD of a kind (its plural) as YAML."""
    body = yaml.dump(
        resolved(source(f"{kind}.yaml")), Dumper=PlainDumper, sort_keys=False, allow_unicode=True, width=110
    )
    return HEADER + body


def main() -> None:
    """Write the CRDs."""
    for kind in KINDS:
        (TARGET / f"{kind}.yaml").write_text(manifest(kind), encoding="utf-8")


if __name__ == "__main__":
    main()
