#!/usr/bin/env python3
"""Writes docs/reference/*.md, the fields of the four kinds, from deploy/crds/; called after generate.py.

A part that several kinds share is described once: the lists of activities in TrialPlan, the contents of an
imported Trial in Trial. It must not add anything that the CRDs don't say.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
CRDS = REPOSITORY / "deploy" / "crds"
TARGET = REPOSITORY / "docs" / "reference"
KINDS = ("trials", "trialengines", "trialplans", "trialregistries")
HEADER = "<!-- Made by tools/crds/reference.py from deploy/crds/. -->\n"
ACTIVITIES = "As `activities` of [TrialPlan](trialplans.md)."
SHARED = {
    "spec.activities": ACTIVITIES,
    "spec.onFailure": ACTIVITIES,
    "spec.finally": ACTIVITIES,
    "spec.trialTemplate": "As `spec` of [Trial](trials.md).",
}
BOUNDS = (
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
)
Schema = dict[str, Any]


def kind_of(schema: Schema) -> str:
    """Return the type of a field in words."""
    if "items" in schema:
        return f"list of {kind_of(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map to {kind_of(schema['additionalProperties'])}"
    if "not" in schema:  # the one kind of field that excludes types: see `number` in plan.yaml
        return "number or text"
    return "time" if schema.get("format") == "date-time" else str(schema.get("type", "any JSON"))


def allowed(schema: Schema) -> str:
    """Return the bounds of a field and of the items that it holds."""
    said = [f"`{value}`" for value in schema.get("enum", ())]
    bounds = ("minimum", "maximum") if "not" in schema else BOUNDS
    said += [f"{key} {json.dumps(schema[key])}" for key in bounds if key in schema]
    if "pattern" in schema:
        said.append(f"`{schema['pattern']}`")
    inner = schema.get("items") or schema.get("additionalProperties")
    if inner and "properties" not in inner:
        said.append(f"each {allowed(inner)}")
    return ", ".join(said)


def rows(schema: Schema, path: str, shared: dict[str, str]) -> Iterator[str]:
    """Yield the table's row of each field below a schema."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        below = f"{path}.{name}"
        default = (
            "required"
            if name in required
            else f"`{json.dumps(field['default'])}`"
            if "default" in field
            else ""
        )
        text = f"{field.get('description', '')} {shared.get(below, '')}".strip()
        cells = (f"`{below}`", kind_of(field), default, allowed(field), text)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if below not in shared:
            yield from rows(field, below, shared)
            yield from rows(field.get("items", {}), f"{below}[]", shared)


def rules(schema: Schema, path: str, shared: dict[str, str]) -> Iterator[str]:
    """Yield what else the API server checks, a line for each CEL rule."""
    if path in shared:
        return
    for rule in schema.get("x-kubernetes-validations", ()):
        yield f"- `{path or 'the object'}`: {rule['message']}"
    for name, field in schema.get("properties", {}).items():
        yield from rules(field, f"{path}.{name}".lstrip("."), shared)
    if "items" in schema:
        yield from rules(schema["items"], f"{path}[]", shared)


def page(kind: str) -> str:
    """Return the page of a kind (its plural)."""
    crd = yaml.safe_load((CRDS / f"{kind}.yaml").read_text(encoding="utf-8"))["spec"]
    (version,) = crd["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    told_here = "spec.activities" if kind == "trialplans" else ""
    shared = {path: text for path, text in SHARED.items() if path != told_here}
    lines = [
        f"# {crd['names']['kind']}",
        "",
        schema["description"],
        "",
        f"`apiVersion: {crd['group']}/{version['name']}`, short name `{crd['names']['shortNames'][0]}`.",
    ]
    for part in ("spec", "status"):
        if part in schema["properties"]:
            lines += ["", f"## {part}", "", "| field | type | default | allowed | description |"]
            lines.append("|" + "---|" * 5)
            lines += rows(schema["properties"][part], part, shared)
    lines += ["", "## Other rules that the API server checks", "", *rules(schema, "", shared)]
    if selectable := version.get("selectableFields"):
        chosen = ", ".join(f"`{field['jsonPath'].lstrip('.')}`" for field in selectable)
        lines += ["", f"`kubectl get --field-selector` accepts {chosen}."]
    return HEADER + "\n".join(lines) + "\n"


def main() -> None:
    """Write the pages."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        (TARGET / f"{kind}.md").write_text(page(kind), encoding="utf-8")


if __name__ == "__main__":
    main()
