"""What pyproject.toml declares is what is imported: at runtime by the product, in development by the rest."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PRODUCT = REPOSITORY / "operator" / "lcm_operator"
DEVELOPMENT = ("benchmarks", "devcluster", "dummies", "tests", "tools")
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
USED_BY_NAME = {"mkdocs-swagger-ui-tag": ("rest/http/openapi.py", "mkdocs_swagger_ui_tag")}
"""Whose files are read, not imported: the module that does, and the name that it must hold."""


def normal(name: str) -> str:
    """Return the name of a distribution, as pip compares them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[^\w.-]", requirement, maxsplit=1)[0]) for requirement in requirements}


RUNTIME = names(PROJECT["dependencies"])
DECLARED_FOR_DEVELOPMENT = names(PROJECT["optional-dependencies"]["dev"])


@cache
def distributions() -> dict[str, set[str]]:
    """Return the distributions that bring each module of the environment."""
    return {module: set(map(normal, found)) for module, found in packages_distributions().items()}


def modules(tree: ast.Module) -> Iterator[str]:
    """Yield the top-level module of each import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def imported(folder: Path) -> dict[str, str]:
    """Return every distribution that is imported below a folder, with a file that does."""
    siblings = {file.stem for file in folder.glob("*.py")}  # of programs that run as files
    own = {"lcm_operator", *DEVELOPMENT, *siblings, *sys.stdlib_module_names}
    found = {}
    for file in sorted(folder.rglob("*.py")):
        for module in modules(ast.parse(file.read_text(encoding="utf-8"))):
            if module not in own:
                (distribution,) = distributions()[module]
                found[distribution] = str(file.relative_to(REPOSITORY))
    return found


def test_the_product_imports_what_it_declares_and_declares_what_it_imports():
    assert imported(PRODUCT).keys() | USED_BY_NAME.keys() == RUNTIME


@pytest.mark.parametrize("distribution", USED_BY_NAME)
def test_what_is_used_by_name_is_named(distribution):
    file, name = USED_BY_NAME[distribution]

    assert f'"{name}"' in (PRODUCT / file).read_text(encoding="utf-8")
    assert distributions()[name] == {distribution}


@pytest.mark.parametrize("folder", DEVELOPMENT)
def test_development_imports_what_is_declared(folder):
    on_the_image = folder == "dummies"  # dummies/Dockerfile adds them to the operator's, and no package
    declared = RUNTIME if on_the_image else RUNTIME | DECLARED_FOR_DEVELOPMENT

    assert {name: file for name, file in imported(REPOSITORY / folder).items() if name not in declared} == {}


def test_nothing_is_declared_twice():
    assert set() == RUNTIME & DECLARED_FOR_DEVELOPMENT


def test_the_lock_of_the_image_is_of_what_the_product_declares():
    lock = (REPOSITORY / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", lock)
    direct = [entry for entry in entries if "lcm-operator (pyproject.toml)" in entry]

    assert names(direct) == RUNTIME
