"""`lcm plan check FILE`: all that is wrong with the TrialPlans and the inline plans of Trials in a file.

    FILE:LINE: field.path: message

Exit code 0: nothing is wrong; 1: something is; 2: the file can't be read, or holds no plan.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lcm_operator.cli import plan_faults, schema
from lcm_operator.cli.documents import Document, Place, UnreadableError, read
from lcm_operator.cli.schema import Fault

_API_VERSION = "lcm.5gdrones.eu/v1alpha1"
FINE, FAULTY, UNREADABLE = 0, 1, 2


def run(file: str) -> int:
    """Print what is wrong with a file, and return the exit code."""
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
        print(f"{name}: no TrialPlan and no Trial stands in it", file=sys.stderr)
        return UNREADABLE
    found = [line for document in documents for line in _lines(document)]
    for line, place, message in found:
        print(f"{name}:{line}: {_shown(place)}: {message}")
    return FAULTY if found else FINE


def _kind(manifest: Any) -> str | None:
    """Return the kind of a manifest that is ours to check."""
    kind = manifest.get("kind") if isinstance(manifest, dict) else None
    return kind if kind in schema.PLURALS else None


def _lines(document: Document) -> list[tuple[int, Place, str]]:
    """Return line, place and message of all that is wrong, from above to below, each once."""
    repeated = {(line, place, "stands twice") for line, place in document.repeated}
    found = {(document.line(fault.place), fault.place, fault.message) for fault in _faults(document.value)}
    return sorted(repeated | found, key=lambda each: (each[0], [str(key) for key in each[1]], each[2]))


def _faults(manifest: dict[str, Any]) -> Iterator[Fault]:
    if manifest.get("apiVersion") != _API_VERSION:
        yield Fault(("apiVersion",), f"must be {_API_VERSION}")
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
    for fault in plan_faults.faults(manifest["spec"], known):
        yield Fault(("spec", *fault.place), fault.message)


def _shown(place: Place) -> str:
    """Return a place as people write it: `spec.activities[2].http.url`."""
    keys = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in place)
    return "".join(keys).removeprefix(".") or "."
