"""The names of tests: short enough to be read in one line of a report."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
_LONGEST = 72


def test_names_of_tests_have_at_most_72_characters():
    long = [name for name in _names() if len(name) > _LONGEST]
    assert long == []


def _names() -> Iterator[str]:
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield node.name
