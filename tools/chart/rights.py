"""The page of all rights: docs/reference/rights.md, made from deploy/rbac by `make chart`.

Every rule there has its reason in a comment above it; YAML alone would lose that.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product, starmap
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[2]
RBAC = REPOSITORY / "deploy" / "rbac"
PAGE = REPOSITORY / "docs" / "reference" / "rights.md"
HEAD = """\
<!-- Made by tools/chart/rights.py from deploy/rbac/. -->
# All rights

The rights that `kubectl auth can-i --list --as=system:serviceaccount:NAMESPACE:ACCOUNT` shows for our
accounts, except those that every account has: discovery, and reviews of itself.
[Who can do what](../security.md) describes the accounts.
"""
ACCOUNTS = {
    "operator.yaml": "## Operator\n\nIn each namespace that it watches; the last two only with"
    " `clusterWide: true`.",
    "rest.yaml": "## REST interface\n\nIn the namespace that it serves; the last one cluster-wide. Unless"
    " `rest.standalone` is set, the operator's account has these as well.",
    "engine.yaml": "## Engine\n\nIn each namespace for trials.",
}


@dataclass(frozen=True)
class Rule:
    """One rule: what it is about, as kubectl writes it, the verbs, and why it is there."""

    resources: tuple[str, ...]
    names: tuple[str, ...]
    verbs: tuple[str, ...]
    reason: str


def rules(file: str) -> Iterator[Rule]:
    """Yield the rules of a file in deploy/rbac."""
    text = (RBAC / file).read_text(encoding="utf-8")
    for comment, body in re.findall(r"((?:^#.*\n)+)(- apiGroups:.*\n(?:  .*\n)+)", text, re.MULTILINE):
        (rule,) = yaml.safe_load(body)
        yield Rule(
            resources=tuple(starmap(_with_group, product(rule["apiGroups"], rule["resources"]))),
            names=tuple(rule.get("resourceNames", ())),
            verbs=tuple(rule["verbs"]),
            reason=" ".join(line.removeprefix("#").strip() for line in comment.splitlines()),
        )


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for file, about in ACCOUNTS.items():
        table = ["| resource | name | verbs | reason |", "|---|---|---|---|"]
        table += [
            f"| {_code(rule.resources)} | {_code(rule.names)} | {' '.join(rule.verbs)} | {rule.reason} |"
            for rule in rules(file)
        ]
        parts.append("\n".join([about, "", *table, ""]))
    return "\n".join(parts)


def _with_group(group: str, resource: str) -> str:
    kind, slash, part = resource.partition("/")
    return f"{kind}.{group}{slash}{part}" if group else resource


def _code(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)
