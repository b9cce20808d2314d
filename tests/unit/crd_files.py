"""The manifests in deploy/crds/, as the tests about them read them."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CRDS = Path(__file__).parents[2] / "deploy" / "crds"
KINDS = ("trials", "trialengines", "trialplans", "trialregistries")


@cache
def crd(kind: str) -> dict[str, Any]:
    """Return the CRD of a kind (its plural)."""
    return yaml.safe_load((CRDS / f"{kind}.yaml").read_text(encoding="utf-8"))


def schema(kind: str) -> dict[str, Any]:
    """Return the schema of a kind."""
    (version,) = crd(kind)["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema below a schema with its path: `.spec.activities[].name`, `.spec.parameters{}`."""
    for name, below in node.get("properties", {}).items():
        yield f"{path}.{name}", below
        yield from nodes(below, f"{path}.{name}")
    for mark, key in (("[]", "items"), ("{}", "additionalProperties")):
        if key in node:
            yield path + mark, node[key]
            yield from nodes(node[key], path + mark)
