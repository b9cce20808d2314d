"""Every value of the chart does what its description says, where it says."""

import re
from typing import Any

import pytest
from tests.chart.conftest import Helm
from tests.chart.value_cases import ABSENT, Case, Group
from tests.chart.value_groups import GROUPS, values_of
from tools.chart import values

CASES = [pytest.param(group, case, id=case.value) for group in GROUPS.values() for case in group.cases]


@pytest.fixture
def rendered(helm: Helm):
    """Return the objects that values lead to, by kind and name."""
    return lambda given: {f"{each['kind']}/{each['metadata']['name']}": each for each in helm.objects(given)}


def found(objects: dict[str, Any], place: str) -> Any:
    """Return what is at a place in the render, or ABSENT."""
    name, _, path = place.partition(":")
    at: Any = objects.get(name, ABSENT)
    for inside, key in re.findall(r"\[([^\]]+)\]|([^.\[]+)", path):
        at = item(at, inside or key)
    return at


def item(at: Any, key: str) -> Any:
    if isinstance(at, list):
        if key.isdecimal():
            return at[int(key)] if int(key) < len(at) else ABSENT
        return next((each for each in at if each.get("name") == key), ABSENT)
    return at.get(key, ABSENT) if isinstance(at, dict) else ABSENT


@pytest.mark.parametrize(("group", "case"), CASES)
def test_a_value_changes_the_render_where_it_says(rendered, group: Group, case: Case):
    assert found(rendered(values_of(group)), case.place) == case.expected
    assert found(rendered(group.needs), case.place) != case.expected


def test_every_value_has_a_case():
    named = [case.value for group in GROUPS.values() for case in group.cases]

    assert sorted(named) == sorted(path for path, _ in values.leaves(values.load()))


def test_every_value_has_a_default_and_a_description():
    leaves = dict(values.leaves(values.load()))

    assert [path for path, field in leaves.items() if not {"default", "description"} <= field.keys()] == []
