"""`lcm plan check FILE`: reports every error in the TrialPlans and Trials of a file.

    FILE:LINE: field.path: message

Parameters of a Trial are compared with its TrialPlan if that is in the same file, and the numbers that they
determine are calculated. Without errors it prints how many activities it has checked. The exit code is 0
without errors, 1 with errors, and 2 if the file is unreadable or has no plan.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lcm_operator.api.engine import Parameter
from lcm_operator.api.names import API_VERSION
from lcm_operator.api.plan import Plan, TrialPlanSpec
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.cli import schema
from lcm_operator.cli.document import Document, UnreadableError
from lcm_operator.cli.documents import decoded, read
from lcm_operator.domain.engine_template import template_faults
from lcm_operator.plan import lint
from lcm_operator.plan.faults import Fault, Place
from lcm_operator.plan.numbers import resolve_numbers
from lcm_operator.plan.rules import activities
from lcm_operator.plan.validation import parameter_faults

FINE, FAULTY, UNREADABLE = 0, 1, 2
Plans = Mapping[str | None, dict[str, Any]]
"""The TrialPlans of a file by name."""


def run(file: str) -> int:
    """Print the errors of a file and return the exit code."""
    name = "stdin" if file == "-" else file
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        documents = [
            document for document in read(decoded(content)) if _kind(document.value) or _is_merged(document)
        ]
    except UnreadableError as error:
        where = f"{name}:{error.line}" if error.line is not None else name
        print(f"{where}: {error}", file=sys.stderr)
        return UNREADABLE
    except OSError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return UNREADABLE
    if not documents:
        print(f"{name}: the file contains no TrialPlan and no Trial", file=sys.stderr)
        return UNREADABLE
    plans = {_name(each.value): each.value for each in documents if _kind(each.value) == "TrialPlan"}
    found = [line for document in documents for line in _lines(document, plans)]
    for line, fault in found:
        print(f"{name}:{line}: {fault}")
    if found:
        return FAULTY
    count = sum(1 for document in documents for _ in activities(document.value.get("spec")))
    print(f"OK: {count} {'activity' if count == 1 else 'activities'}")
    return FINE


def _kind(manifest: Any) -> str | None:
    """Return the kind of a manifest that can be checked."""
    kind = manifest.get("kind") if isinstance(manifest, dict) else None
    return kind if kind in schema.PLURALS else None


def _is_merged(document: Document) -> bool:
    """Return whether a document looks like several manifests: its kind is given more than once."""
    return ("kind",) in {place for _, place in document.repeated}


def _name(manifest: dict[str, Any]) -> str | None:
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else None


def _lines(document: Document, plans: Plans) -> list[tuple[int, Fault]]:
    """Return each error once with its line, in the order of lines."""
    repeated = {(line, Fault(place, _repeated(place))) for line, place in document.repeated}
    if _is_merged(document):
        return sorted(repeated, key=lambda each: each[0])
    found = {(document.line(fault.place), fault) for fault in _faults(document.value, plans)}
    return sorted(
        repeated | found, key=lambda each: (each[0], [str(key) for key in each[1].place], each[1].message)
    )


def _repeated(place: Place) -> str:
    hint = "; put a line --- between two manifests" if place == ("kind",) else ""
    return f"is a repeated key{hint}"


def _faults(manifest: dict[str, Any], plans: Plans) -> Iterator[Fault]:
    if manifest.get("apiVersion") != API_VERSION:
        yield Fault(("apiVersion",), f"must be {API_VERSION}")
    yield from schema.faults(manifest["kind"], manifest)
    match manifest:
        case {"spec": {"engine": {"template": dict(template)}}}:
            yield from template_faults(template)
    match manifest:
        case {"kind": "Trial", "spec": {"activities": _, **spec}}:
            given = _given(spec)
            found = list(lint.faults(manifest["spec"], given.keys())) or _number_faults(
                manifest["spec"], given
            )
        case {"kind": "Trial", "spec": {"planRef": {"name": str(name)}, **spec}} if name in plans:
            found = list(_misfits(plans[name], name, _given(spec)))
        case {"kind": "TrialPlan", "spec": {**spec}}:
            found = list(lint.faults(manifest["spec"], _declared(manifest).keys()))
        case _:
            return
    for fault in found:
        yield Fault(("spec", *fault.place), fault.message)


def _given(spec: Mapping[Any, Any]) -> dict[str, Any]:
    given = spec.get("parameters")
    return given if isinstance(given, dict) else {}


def _misfits(plan: dict[str, Any], name: str, given: dict[str, Any]) -> Iterator[Fault]:
    """Yield why these parameters do not fit a TrialPlan of the file."""
    declared = _declared(plan)
    if faults := parameter_faults(given, declared):
        yield from faults
    elif isinstance(spec := plan.get("spec"), dict) and not list(lint.faults(spec, declared.keys())):
        for fault in _number_faults(spec, given):
            yield Fault(("parameters",), f"{fault.path} of TrialPlan {name}: {fault.message}")


def _number_faults(spec: dict[str, Any], given: dict[str, Any]) -> list[Fault]:
    """Return the errors of the numbers that plain parameters determine; none of a plan with other errors."""
    try:
        plan = parse(spec, Plan)
        declared = parse(spec, TrialPlanSpec).parameters if isinstance(spec.get("parameters"), list) else ()
        own = [Parameter(name=each.name, value=each.default) for each in declared if each.name not in given]
        set_ = [Parameter(name=name, value=value) for name, value in given.items() if isinstance(value, str)]
        found = resolve_numbers(plan, [*own, *set_])
    except MalformedError:
        return []
    return found if isinstance(found, list) else []


def _declared(plan: dict[str, Any]) -> dict[str, bool]:
    """Return the parameters that a TrialPlan declares, and whether each is required."""
    spec = plan.get("spec")
    items = spec.get("parameters") if isinstance(spec, dict) else None
    return {
        str(item.get("name")): not {"default", "secretKeyRef"} & item.keys()
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict)
    }
