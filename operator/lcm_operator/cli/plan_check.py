"""`lcm plan check FILE`: reports every error in the TrialPlans and Trials of a file.

    FILE:LINE: field.path: message

The exit code is 0 without errors, 1 with errors, and 2 if the file is unreadable or has no plan.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lcm_operator.api.names import API_VERSION
from lcm_operator.cli import schema
from lcm_operator.cli.documents import Document, UnreadableError, read
from lcm_operator.plan import lint
from lcm_operator.plan.validation import Fault

FINE, FAULTY, UNREADABLE = 0, 1, 2


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
    found = [line for document in documents for line in _lines(document)]
    for line, fault in found:
        print(f"{name}:{line}: {fault}")
    return FAULTY if found else FINE


def _kind(manifest: Any) -> str | None:
    """Return the kind of a manifest that can be checked."""
    kind = manifest.get("kind") if isinstance(manifest, dict) else None
    return kind if kind in schema.PLURALS else None


def _lines(document: Document) -> list[tuple[int, Fault]]:
    """Return each error once with its line, in the order of lines."""
    repeated = {(line, Fault(place, "is a repeated key")) for line, place in document.repeated}
    found = {(document.line(fault.place), fault) for fault in _faults(document.value)}
    return sorted(
        repeated | found, key=lambda each: (each[0], [str(key) for key in each[1].place], each[1].message)
    )


def _faults(manifest: dict[str, Any]) -> Iterator[Fault]:
    if manifest.get("apiVersion") != API_VERSION:
        yield Fault(("apiVersion",), f"must be {API_VERSION}")
    yield from schema.faults(manifest["kind"], manifest)
    match manifest:
        case {"kind": "Trial", "spec": {"activities": _, **spec}}:
            parameters = spec.get("parameters")
            known = parameters.keys() if isinstance(parameters, dict) else frozenset()
        case {"kind": "TrialPlan", "spec": {**spec}}:
            declared = spec.get("parameters")
            items = declared if isinstance(declared, list) else []
            known = frozenset(str(item.get("name")) for item in items if isinstance(item, dict))
        case _:
            return
    for fault in lint.faults(manifest["spec"], known):
        yield Fault(("spec", *fault.place), fault.message)
