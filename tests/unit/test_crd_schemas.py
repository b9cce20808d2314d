"""What holds for every field of the four kinds: bounds, descriptions, messages that name the field."""

import json
import re

import pytest
from tests.unit.crd_files import KINDS, crd, nodes, schema

from lcm_operator.plan.numbers import NUMBERS, Bounds

OF_EVERY_OBJECT = {".apiVersion", ".kind", ".metadata"}
ANNOTATION_LIMIT = 262144


def fields(kind):
    return [(path, node) for path, node in nodes(schema(kind)) if path not in OF_EVERY_OBJECT]


def is_number(node):
    """Whether a field is a number, or text that renders to one."""
    return node.get("not") == {"enum": [True, False]}


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_plans_have_the_bounds_that_the_engine_checks(kind):
    found = {}
    for path, node in fields(kind):
        if is_number(node):
            field = path.rpartition("[].")[2] if "[]." in path else path
            bounds = Bounds(
                node["minimum"], node["maximum"], node.get("exclusiveMinimum", False), "multipleOf" in node
            )
            assert found.setdefault(field, bounds) == bounds

    assert found == dict(NUMBERS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_string_has_a_bound(kind):
    unbounded = [
        path
        for path, node in fields(kind)
        if node.get("type") == "string" and not {"maxLength", "enum"} & node.keys()
    ]

    assert unbounded == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_has_a_bound_and_says_how_it_merges(kind):
    lists = [(path, node) for path, node in fields(kind) if node.get("type") == "array"]

    assert [path for path, node in lists if "maxItems" not in node] == []
    scalars = {"string", "integer", "number", "boolean"}
    unsaid = [
        path
        for path, node in lists
        if node["items"]["type"] not in scalars and "x-kubernetes-list-type" not in node
    ]
    assert unsaid == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_map_has_a_bound(kind):
    unbounded = [
        path for path, node in fields(kind) if "additionalProperties" in node and "maxProperties" not in node
    ]

    assert unbounded == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_type_or_is_kept_as_it_is(kind):
    untyped = [path for path, node in fields(kind) if "type" not in node and not is_number(node)]

    assert all(path.endswith(".http.json") for path in untyped)


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_a_spec_has_a_smallest_value(kind):
    unbounded = [
        path
        for path, node in fields(kind)
        if path.startswith(".spec") and node.get("type") in {"integer", "number"} and "minimum" not in node
    ]

    assert unbounded == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_bound_is_a_fraction(kind):
    """The API server cuts such a bound to a whole number where the value is one."""
    cut = [
        path
        for path, node in fields(kind)
        if any(not float(node.get(bound, 0)).is_integer() for bound in ("minimum", "maximum"))
    ]

    assert cut == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_description_begins_with_the_name_of_its_field(kind):
    otherwise = [
        path
        for path, node in fields(kind)
        if path[-1] not in "]}" and node.get("description", "").split(" ")[0] != path.rsplit(".", 1)[-1]
    ]

    assert otherwise == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_description_of_a_time_span_states_its_unit(kind):
    silent = [
        path
        for path, node in fields(kind)
        for unit in ("milliseconds", "seconds")
        if re.search(rf"(\.|[a-z]){unit}$", path, re.IGNORECASE)
        and not path.lower().endswith("milli" + unit)
        and f"in {unit}" not in node["description"]
    ]

    assert silent == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_description_of_a_field_with_a_default_states_it(kind):
    silent = [
        path
        for path, node in fields(kind)
        if "default" in node and node["default"] != {} and not _states(node["description"], node["default"])
    ]

    assert silent == []


def _states(description, default):
    return f"default {json.dumps(default).strip(chr(34))}" in description


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_has_a_message_that_names_what_it_is_about(kind):
    for path, node in [("", schema(kind)), *fields(kind)]:
        names = {path.rsplit(".", 1)[-1].rstrip("[]{}"), *node.get("properties", {})}
        for rule in node.get("x-kubernetes-validations", []):
            message = rule["message"]
            about = {rule["fieldPath"].rsplit(".", 1)[-1]} if "fieldPath" in rule else names
            # A rule over the keys of a map is reported at the map; all times share theirs.
            shared = "key must have" in message or "the time must" in message
            assert any(name in message for name in about) or shared, (path, message)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rule_has_the_reason_that_hides_its_message(kind):
    reasons = [
        rule.get("reason")
        for _, node in [("", schema(kind)), *fields(kind)]
        for rule in node.get("x-kubernetes-validations", [])
    ]

    assert "FieldValueDuplicate" not in reasons


@pytest.mark.parametrize("kind", KINDS)
def test_client_side_apply_can_keep_the_manifest_in_an_annotation(kind):
    assert len(json.dumps(crd(kind))) < ANNOTATION_LIMIT / 2


@pytest.mark.parametrize(
    ("kind", "short_name", "has_status"),
    [
        ("trials", "lcmtrial", True),
        ("trialengines", "lcmengine", True),
        ("trialplans", "lcmplan", False),
        ("trialregistries", "lcmregistry", True),
    ],
)
def test_the_names_of_a_kind_are_those_of_the_design(kind, short_name, has_status):
    spec = crd(kind)["spec"]
    (version,) = spec["versions"]

    assert crd(kind)["metadata"]["name"] == f"{kind}.lcm.5gdrones.eu"
    assert spec["group"] == "lcm.5gdrones.eu"
    assert spec["scope"] == "Namespaced"
    assert spec["names"]["shortNames"] == [short_name]
    assert spec["names"]["categories"] == ["lcm"]
    assert version["name"] == "v1alpha1"
    assert ("status" in version.get("subresources", {})) == has_status


def test_the_plan_is_the_same_in_all_four_kinds():
    lists = ("activities", "onFailure", "finally", "finishAt")
    specs = [schema(kind)["properties"]["spec"]["properties"] for kind in KINDS[:3]]
    specs.append(schema("trialregistries")["properties"]["spec"]["properties"]["trialTemplate"]["properties"])

    for name in lists:
        assert all(spec[name] == specs[0][name] for spec in specs), name
