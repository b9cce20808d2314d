"""The CRDs in deploy/crds/ are what tools/crds/ says, and the types in api/ have their fields."""

import types
import typing

import msgspec
import pytest
from tests.unit.crd_files import CRDS, KINDS, nodes, schema
from tools.crds import generate, reference

from lcm_operator.api.engine import TrialEngineSpec, TrialEngineStatus
from lcm_operator.api.plan import TrialPlanSpec
from lcm_operator.api.registry import TrialRegistrySpec, TrialRegistryStatus
from lcm_operator.api.trial import TrialSpec, TrialStatus


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_is_what_its_source_makes(kind):
    written = (CRDS / f"{kind}.yaml").read_text(encoding="utf-8")

    assert written == generate.manifest(kind), "run tools/crds/generate.py"


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_the_reference_is_what_the_manifest_makes(kind):
    written = (reference.TARGET / f"{kind}.md").read_text(encoding="utf-8")

    assert written == reference.page(kind), "run tools/crds/reference.py"


def test_the_folder_holds_nothing_else():
    assert sorted(file.name for file in CRDS.iterdir()) == sorted(f"{kind}.yaml" for kind in KINDS)


def test_what_is_beside_a_reference_is_merged_over_it():
    below = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "maxLength": 5}}}
    above = {"required": ["b"], "properties": {"a": {"maxLength": 9}, "b": {"type": "string"}}}

    assert generate.merged(below, above) == {
        "type": "object",
        "required": ["b", "a"],
        "properties": {"a": {"type": "string", "maxLength": 9}, "b": {"type": "string"}},
    }


def fields_of(kind, path=""):
    """Yield the paths of the fields of a type, as `nodes` names them."""
    hints = typing.get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        below = f"{path}.{field.encode_name}"
        yield below
        for part, mark in records_in(hints[field.name]):
            yield from fields_of(part, below + mark)


def records_in(hint, mark=""):
    """Yield the types that a type hint holds, with the mark of a list."""
    origin = typing.get_origin(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint, mark
    elif origin in {typing.Union, types.UnionType}:
        for part in typing.get_args(hint):
            yield from records_in(part, mark)
    elif origin is tuple:
        yield from records_in(typing.get_args(hint)[0], mark + "[]")


def declared(kind, part):
    """Return the paths of the fields of a schema, without what the template's and free objects hold."""
    below = nodes(schema(kind)["properties"][part])
    return {path for path, _ in below if path[-1] not in "]}" and "emplate." not in path}


@pytest.mark.parametrize(
    ("record", "kind", "part"),
    [
        (TrialSpec, "trials", "spec"),
        (TrialStatus, "trials", "status"),
        (TrialEngineSpec, "trialengines", "spec"),
        (TrialEngineStatus, "trialengines", "status"),
        (TrialPlanSpec, "trialplans", "spec"),
        (TrialRegistrySpec, "trialregistries", "spec"),
        (TrialRegistryStatus, "trialregistries", "status"),
    ],
)
def test_a_type_and_its_schema_have_the_same_fields(record, kind, part):
    assert set(fields_of(record)) == declared(kind, part)
