"""The written side is true of the code: reasons, links, commands and the index."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from lcm_operator.api import reasons

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PACKAGE = REPOSITORY / "operator" / "lcm_operator"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md")])
CONSTANTS = {name: value for name, value in vars(reasons).items() if name.isupper()}
STATUSES = ("True", "False", "Unknown")


@cache
def tables() -> dict[str, list[list[str]]]:
    """Return the rows of each section of docs/reasons.md, as their cells, without the heads."""
    found: dict[str, list[list[str]]] = {}
    section = ""
    for line in (DOCS / "reasons.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith(("| status ", "| type ")):
            found.setdefault(section, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def code_spans(cell: str) -> list[str]:
    """Return the texts in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def conditions() -> set[tuple[str, str, str]]:
    """Return type, status and reason of every row about a condition."""
    return {
        (section, status, reason)
        for section, rows in tables().items()
        if section != "Events"
        for row in rows
        for status in code_spans(row[0])
        for reason in code_spans(row[1])
    }


def events() -> set[str]:
    return {reason for row in tables()["Events"] for reason in code_spans(row[1])}


def calls() -> Iterator[ast.Call]:
    """Yield each call in what decides and applies."""
    for folder in ("domain", "controllers"):
        for file in (PACKAGE / folder).glob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def constant(node: ast.AST) -> str | None:
    """Return the value of `reasons.NAME`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "reasons":
        return CONSTANTS[node.attr]
    return None


def called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def conditions_set() -> set[tuple[str, str, str]]:
    """Return type, status and reason of each condition that the code sets by these three."""
    found = set()
    for call in calls():
        for kind, status, reason in zip(call.args, call.args[1:], call.args[2:], strict=False):
            literal = status.value if isinstance(status, ast.Constant) else None
            if constant(kind) and constant(reason) and literal in STATUSES:
                found.add((constant(kind), literal, constant(reason)))
    return found


def problems() -> set[str]:
    """Return the reasons that can prevent arming or a start."""
    return {
        reason
        for call in calls()
        if called(call) == "Problem" and call.args and (reason := constant(call.args[0]))
    }


def events_recorded() -> set[str]:
    return {
        reason
        for call in calls()
        if called(call) in {"RecordEvent", "tell"}
        for argument in call.args
        if (reason := constant(argument))
    }


def test_every_reason_is_documented_and_no_other():
    documented = {reason for _, _, reason in conditions()} | {kind for kind, _, _ in conditions()} | events()

    assert documented == set(CONSTANTS.values())


def test_every_condition_that_the_code_sets_is_in_its_table():
    assert len(conditions_set()) > 10
    assert conditions_set() - conditions() == set()


def test_everything_that_prevents_a_start_is_reported_under_armed():
    assert len(problems()) > 5
    assert {("Armed", "False", reason) for reason in problems()} - conditions() == set()


def test_every_event_that_the_code_records_is_in_its_table():
    assert len(events_recorded()) > 5
    assert events_recorded() - events() == set()


def test_what_is_not_good_says_what_to_do():
    silent = [row[1] for rows in tables().values() for row in rows if row[0] == "`False`" and not row[3]]

    assert silent == ["`Cancelled`"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page):
    text = re.sub(r"`[^`]*`", "", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)]+)\)", text)
    files = [link.partition("#")[0] for link in links if not link.startswith(("http:", "https:", "#"))]

    assert [file for file in files if not (page.parent / file).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_make_target_that_is_named_exists(page):
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    named = re.findall(r"(?:`|^)make ([a-z0-9-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(named) - targets == set()


def test_every_module_that_the_architecture_names_exists():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    folders = "|".join(folder.name for folder in PACKAGE.iterdir() if folder.is_dir())
    named = re.findall(rf"`((?:{folders})/[a-z0-9_/]*(?:\.py)?)`", text)

    assert len(named) > 10
    assert [path for path in named if not (PACKAGE / path).exists()] == []


def test_the_architecture_names_every_module_of_the_domain():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("| in `domain/` | decides |")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in code_spans(row.split("|")[1])]

    assert sorted(named) == sorted(
        module.stem for module in (PACKAGE / "domain").glob("*.py") if module.stem != "__init__"
    )


def test_the_index_names_every_page():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if page != DOCS / "README.md"]

    assert [page for page in pages if f"({page})" not in index] == []


def test_no_two_decisions_have_one_number():
    numbers = sorted(int(file.name[:4]) for file in (DOCS / "adr").glob("*.md"))

    assert numbers == sorted(set(numbers))
