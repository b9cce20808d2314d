"""`lcm plan check FILE`: reports every error in the TrialPlans and Trials of a file.

    FILE:LINE: field.path: message

Parameters of a Trial are compared with its TrialPlan if that is in the same file. Without errors it prints
how many activities it has checked. The exit code is 0 without errors, 1 with errors, and 2 if the file is
unreadable or has no plan.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lcm_operator.api.names import API_VERSION
from lcm_operator.cli import schema
from lcm_operator.cli.documents import Document, UnreadableError, read
from lcm_operator.domain.manifests import refused_template_fields
from lcm_operator.plan import lint
from lcm_operator.plan.rules import activities
from lcm_operator.plan.validation import Fault, parameter_faults

FINE, FAULTY, UNREADABLE = 0, 1, 2
Plans = Mapping[str | None, dict[str, Any]]
"""The TrialPlans of a file by name."""


def run(file: str) -> int:
    """Print the errors of a file and return the exit code."""
    name = "stdin" if file == "-" else file
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
        documents = [document for document in read(text) if _kind(document.value)]
    except UnreadableError as error:
        where = f"{name}:{error.line}" if error.line is not None else name
        print(f"{where}: {error}", file=sys.stderr)
        return UNREADABLE
    except (OSError, UnicodeDecodeError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return UNREADABLE
    if not documents:
        print(f"{name}: the file contains no TrialPlan and no Trial", file=sys.stderr)
        return UNREADABLE
    plans = {_name(each.value): each.value for each in documents if each.value["kind"] == "TrialPlan"}
    found = [line for document in documents for line in _lines(document, plans)]
    for line, fault in found:
        print(f"{name}:{line}: {fault}")
    if found:
        return FAULTY
    number = sum(1 for document in documents for _ in activities(document.value.get("spec")))
    print(f"OK: {number} {'activity' if number == 1 else 'activities'}")
    return FINE


def _kind(manifest: Any) -> str | None:
    """Return the kind of a manifest that can be checked."""
    kind = manifest.get("kind") if isinstance(manifest, dict) else None
    return kind if kind in schema.PLURALS else None


def _name(manifest: dict[str, Any]) -> str | None:
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else None


def _lines(document: Document, plans: Plans) -> list[tuple[int, Fault]]:
    """Return each error once with its line, in the order of lines."""
    repeated = {(line, Fault(place, "is a repeated key")) for line, place in document.repeated}
    found = {(document.line(fault.place), fault) for fault in _faults(document.value, plans)}
    return sorted(
        repeated | found, key=lambda each: (each[0], [str(key) for key in each[1].place], each[1].message)
    )


def _faults(manifest: dict[str, Any], plans: Plans) -> Iterator[Fault]:
    if manifest.get("apiVersion") != API_VERSION:
        yield Fault(("apiVersion",), f"must be {API_VERSION}")
    yield from schema.faults(manifest["kind"], manifest)
    match manifest:
        case {"spec": {"engine": {"template": dict(template)}}}:
            yield from refused_template_fields(template)
    match manifest:
        case {"kind": "Trial", "spec": {"activities": _, **spec}}:
            parameters = spec.get("parameters")
            known = parameters.keys() if isinstance(parameters, dict) else frozenset()
        case {"kind": "Trial", "spec": {"planRef": {"name": str(name)}, **spec}} if name in plans:
            given = spec.get("parameters", {})
            for fault in parameter_faults(given if isinstance(given, dict) else {}, _declared(plans[name])):
                yield Fault(("spec", *fault.place), fault.message)
            return
        case {"kind": "TrialPlan", "spec": {**spec}}:
            known = _declared(manifest).keys()
        case _:
            return
    for fault in lint.faults(manifest["spec"], known):
        yield Fault(("spec", *fault.place), fault.message)


def _declared(plan: dict[str, Any]) -> dict[str, bool]:
    """Return the parameters that a TrialPlan declares, and whether each is required."""
    spec = plan.get("spec")
    items = spec.get("parameters") if isinstance(spec, dict) else None
    return {
        str(item.get("name")): not {"default", "secretKeyRef"} & item.keys()
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict)
    }
