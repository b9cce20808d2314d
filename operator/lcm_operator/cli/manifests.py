"""The manifests of files: documents, and the items of a `kind: List`."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from lcm_operator.api.names import API_VERSION
from lcm_operator.api.similar import did_you_mean
from lcm_operator.cli import schema
from lcm_operator.cli.document import Document
from lcm_operator.plan.faults import Fault, Place

_GROUP = API_VERSION.partition("/")[0] + "/"
_OTHER_KINDS = {"TrialEngine"}
"""Kinds of ours that nobody writes plans in."""


class Manifest(msgspec.Struct, frozen=True):
    """One object of a file, at a place of its document; `value` is what the API server would store."""

    file: str
    document: Document
    place: Place
    value: Any

    @property
    def kind(self) -> str | None:
        """The kind, if it is one that is checked."""
        kind = self.value.get("kind") if isinstance(self.value, dict) else None
        return kind if isinstance(kind, str) and kind in schema.PLURALS else None

    @property
    def name(self) -> str | None:
        """The name in its metadata."""
        match self.value:
            case {"metadata": {"name": str(name)}}:
                return name
        return None

    @property
    def namespace(self) -> str | None:
        """The namespace in its metadata."""
        match self.value:
            case {"metadata": {"namespace": str(namespace)}}:
                return namespace
        return None

    def __str__(self) -> str:
        """Return kind and name."""
        return f"{self.kind} {self.name}"

    def line(self, place: Place) -> int:
        """Return the line of a place in this manifest."""
        return self.document.line((*self.place, *place))

    @property
    def is_merged(self) -> bool:
        """Whether it looks like several manifests: its kind is given more than once."""
        return any(place == (*self.place, "kind") for _, place in self.document.repeated)

    def repeated_keys(self) -> Iterator[Fault]:
        """Yield the keys that a mapping has more than once."""
        for _, place in self.document.repeated:
            if place[: len(self.place)] == self.place:
                own = place[len(self.place) :]
                hint = "; put a line --- between two manifests" if own == ("kind",) else ""
                yield Fault(own, f"is a repeated key{hint}")

    def plans(self) -> Iterator[dict[str, Any]]:
        """Yield the plans that it contains: of a TrialPlan, or inline."""
        match self.value:
            case {"kind": "TrialPlan", "spec": dict(spec)}:
                yield spec
        yield from (spec for _, spec in self.trial_specs() if "activities" in spec)

    def trial_specs(self) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Yield the spec of a Trial, or of the Trials that a TrialRegistry imports, with its place."""
        match self.value:
            case {"kind": "Trial", "spec": dict(spec)}:
                yield ("spec",), spec
            case {"kind": "TrialRegistry", "spec": {"trialTemplate": dict(spec)}}:
                yield ("spec", "trialTemplate"), spec


def manifests(file: str, documents: Iterable[Document]) -> Iterator[Manifest]:
    """Yield the manifests of a file in their order."""
    for document in documents:
        yield from _within(file, document, (), document.value)


def _within(file: str, document: Document, place: Place, value: Any) -> Iterator[Manifest]:
    match value:
        case {"kind": str(kind), "items": list(items)} if kind.endswith("List"):
            for index, item in enumerate(items):
                yield from _within(file, document, (*place, "items", index), item)
        case {"kind": str(kind)} if kind in schema.PLURALS:
            yield Manifest(file, document, place, schema.as_stored(kind, value))
        case _:
            yield Manifest(file, document, place, value)


def kind_faults(manifest: Manifest) -> Iterator[Fault]:
    """Yield that there is no such kind of ours; objects of others are not checked."""
    match manifest.value:
        case {"kind": str(kind), "apiVersion": str(version)} if version.startswith(_GROUP):
            if kind not in schema.PLURALS.keys() | _OTHER_KINDS:
                yield Fault(("kind",), f"there is no kind {kind}{did_you_mean(kind, schema.PLURALS)}")


def missing_fields(manifest: Manifest) -> Iterator[Fault]:
    """Yield why kubectl would take a document for no object."""
    if not isinstance(manifest.value, dict):
        yield Fault((), "must be an object with apiVersion and kind")
        return
    for field in ("apiVersion", "kind"):
        if not isinstance(manifest.value.get(field), str):
            yield Fault((field,), "is required, as text")
