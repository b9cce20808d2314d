"""The examples in docstrings do what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ROOTS = {"lcm_operator": REPOSITORY / "operator", "devcluster": REPOSITORY, "dummies": REPOSITORY}
MODULES = [
    ".".join(path.relative_to(root).with_suffix("").parts)
    for package, root in ROOTS.items()
    for path in sorted((root / package).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def test_there_are_examples():
    assert MODULES


@pytest.mark.parametrize("module", MODULES)
def test_examples_of(module):
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried > 0
    assert failed == 0
