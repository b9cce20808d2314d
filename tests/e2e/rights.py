"""Who may do what: by docs/reference/rights.md, and by the API server."""

import re
from collections.abc import Iterator
from itertools import product

from tests.e2e.release import Release

from devcluster.cluster.layout import REPOSITORY

PAGE = REPOSITORY / "docs" / "reference" / "rights.md"
Right = tuple[str, str, str]
"""A resource as kubectl writes it, the name of the one object that is meant or nothing, and a verb."""


def documented(heading: str) -> set[Right]:
    """Return the rights below a heading of the page."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    assert rows, heading
    return set(_rights([(row[1].replace("`", ""), row[2].replace("`", ""), row[3]) for row in rows]))


def shown(release: Release, account: str, home: str, namespace: str) -> set[Right]:
    """Return what `kubectl auth can-i --list` shows of an account, and doesn't show of any account."""
    return _listed(release, account, home, namespace) - _listed(release, "nobody", home, namespace)


def _listed(release: Release, account: str, home: str, namespace: str) -> set[Right]:
    who = f"--as=system:serviceaccount:{home}:{account}"
    said = release.kubectl("auth", "can-i", "--list", f"--namespace={namespace}", who).stdout
    rows = re.findall(r"^(\S*) +\[(.*?)\] +\[(.*?)\] +\[(.*?)\]$", said, re.MULTILINE)
    assert len(rows) == len(said.splitlines()) - 1
    return set(_rights([(resource or urls, names, verbs) for resource, urls, names, verbs in rows]))


def _rights(rows: list[tuple[str, str, str]]) -> Iterator[Right]:
    for resources, names, verbs in rows:
        yield from product(_words(resources), _words(names) or [""], _words(verbs))


def _words(cell: str) -> list[str]:
    return re.split(r"[, ]+", cell.strip()) if cell.strip() else []
