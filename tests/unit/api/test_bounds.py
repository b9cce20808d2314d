"""Values that nest too deep, wherever a schema takes unknown fields: replaced as they are read, and named."""

import msgspec
import pytest
from tests.unit.crd_files import KINDS, nodes, schema

from lcm_operator.api.bounds import DEEPEST, nests_deeper, unread_because
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.plan import TrialPlan
from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.storage import parse, serialise
from lcm_operator.api.trial import Trial
from lcm_operator.api.unread import unread

TYPES = {
    "trials": Trial,
    "trialengines": TrialEngine,
    "trialplans": TrialPlan,
    "trialregistries": TrialRegistry,
}
BASES = {
    "trials": {"spec": {"startTime": "2026-11-24T10:00:00Z"}},
    "trialengines": {
        "spec": {
            "trialID": "t",
            "trialUID": "u",
            "trialGeneration": 1,
            "startTime": "2026-11-24T10:00:00Z",
        },
        "status": {},
    },
    "trialplans": {"spec": {}},
    "trialregistries": {"spec": {"url": "http://registry"}},
}
FILLERS = {
    "activities[]": {"name": "a", "state": "Succeeded", "run": 1},
    "onFailure[]": {"name": "b"},
    "finally[]": {"name": "c"},
    "containers[]": {"name": "engine"},
    "http": {"url": "http://partner"},
    "pendingPlan": {"trialGeneration": 1, "requests": []},
}
OPEN = [
    (kind, path)
    for kind in KINDS
    for path, node in nodes(schema(kind))
    # Those that accept no list accept a number or a text, and nothing that nests.
    if node.get("x-kubernetes-preserve-unknown-fields") and node.get("maxItems") != 0
]
DEPTHS = (DEEPEST + 1, 300, 900)


def nested(levels, *, as_object=False):
    value = {} if as_object else []
    for _ in range(levels - 1):
        value = {"a": value} if as_object else [value]
    return value


def filled(kind, path, value):
    """Return a raw object of a kind with the value at a path such as `.spec.activities[].http.json`."""
    raw = msgspec.json.decode(msgspec.json.encode(BASES[kind]))
    raw["metadata"] = {"name": "x", "namespace": "n"}
    *ways, last = path.removeprefix(".").split(".")
    place = raw
    for way in ways:
        name = way.removesuffix("[]")
        filler = dict(FILLERS.get(way, {}))
        place[name] = [filler] if way.endswith("[]") else {**filler, **place.get(name, {})}
        place = place[name][0] if way.endswith("[]") else place[name]
    if last.endswith("[]"):
        place[last.removesuffix("[]")] = [FILLERS[last] | {"unknown": value}]
    elif last in ("json", "output"):
        place[last] = value
    else:
        place[last] = {"unknown": value}
    return raw


def test_there_are_places_for_unknown_fields():
    assert len(OPEN) == 30


@pytest.mark.parametrize("levels", DEPTHS)
@pytest.mark.parametrize(("kind", "path"), OPEN)
def test_object_with_a_value_that_nests_too_deep_is_read_but_for_that(kind, path, levels):
    found = parse(filled(kind, path, nested(levels, as_object=path.endswith("output"))), TYPES[kind])
    field, *_ = unread(found).split(":")
    assert path.replace("[]", "[0]").startswith(f".{field}")
    assert not nests_deeper(serialise(found)["spec"])
    assert not nests_deeper(serialise(found).get("status"))
    assert parse(serialise(found), TYPES[kind]) == found


@pytest.mark.parametrize(("kind", "path"), OPEN)
def test_what_nests_as_deep_as_is_allowed_is_kept(kind, path):
    raw = filled(kind, path, nested(DEEPEST - 8, as_object=path.endswith("output")))
    found = parse(raw, TYPES[kind])
    assert unread(found) == ""
    assert str(serialise(found)).count("[" * 50) + str(serialise(found)).count("{'a': " * 50) > 0


@pytest.mark.parametrize("as_object", [True, False])
def test_depth_is_counted_exactly(as_object):
    assert not nests_deeper(nested(DEEPEST, as_object=as_object))
    assert nests_deeper(nested(DEEPEST + 1, as_object=as_object))
    assert nests_deeper({"wide": [1] * 1_000, "deep": [nested(DEEPEST)]})


@pytest.mark.parametrize(
    "value", [None, 1, "text", [], {}, {"a": [1, 2]}, {"lcm.5gdrones.eu/unread": "else"}]
)
def test_ordinary_values_are_not_taken_for_unread_ones(value):
    assert not nests_deeper(value)
    assert not unread_because(value)


@pytest.mark.parametrize("value", [[[]] * 140_000, ["x" * 300_000], {"a": {"b": "x" * 300_000}}])
@pytest.mark.parametrize(("kind", "path"), [place for place in OPEN if place[1].endswith("json")])
def test_value_that_is_too_large_is_not_kept(kind, path, value):
    found = parse(filled(kind, path, value), TYPES[kind])
    place = "spec.trialTemplate" if kind == "trialregistries" else path[1:].replace("[]", "[0]")
    assert unread(found) == f"{place}: is larger than 256 KiB"
    assert len(msgspec.json.encode(serialise(found))) < 10_000
