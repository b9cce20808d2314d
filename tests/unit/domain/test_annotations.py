"""Annotations without effect are named, with what was probably meant."""

import pytest

from lcm_operator.api.metadata import Metadata
from lcm_operator.domain.annotations import ineffective

G = "lcm.5gdrones.eu"


def found(annotations):
    return ineffective(Metadata(name="t", annotations=annotations))


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        (f"{G}/restor", "restore"),
        (f"{G}/Restore", "restore"),
        (f"{G}/retsore", "restore"),
        (f"{G}/restart", "restore"),
        (f"{G}/restorefrom", "restore-from"),
        (f"{G}/restore_plan", "restore-plan"),
        (f"{G}/delet", "delete"),
        (f"{G}/remove", "delete"),
        ("lcm.5gdrones.com/restore", "restore"),
        ("5gdrones.eu/delete", "delete"),
        ("lcm.5g-drones.eu/restore", "restore"),
        ("restore", "restore"),
    ],
)
def test_an_unknown_annotation_is_named_with_the_nearest_one(key, meant):
    expected = (
        f"annotation {key} is ignored, because the operator does not know it: did you mean {G}/{meant}?"
    )

    assert found({key: "x"}) == expected


def test_the_known_ones_are_listed_if_none_is_near():
    assert found({f"{G}/zzz": "x"}).endswith(
        f"known are {G}/restore, {G}/restore-from, {G}/restore-plan, {G}/delete"
    )


@pytest.mark.parametrize("name", ["restore", "delete", "restore-plan"])
@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_request_id_is_named(name, value):
    assert f"annotation {G}/{name} is empty, so nothing happens" in found({f"{G}/{name}": value})


def test_an_addition_without_restore_is_named():
    expected = f"annotation {G}/restore-from is ignored until annotation {G}/restore has the same request ID"

    assert found({f"{G}/restore-from": "a/fly"}) == expected


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {f"{G}/restore": "a", f"{G}/restore-from": "a/fly", f"{G}/restore-plan": "a", f"{G}/delete": "b"},
        {f"{G}/registry-start-time": "", f"{G}/imported-by": "r", f"{G}/vanished": "x"},
        {"example.org/restore": "", "kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "lcm"},
    ],
)
def test_annotations_with_an_effect_and_those_of_others_are_not_named(annotations):
    assert found(annotations) == ""


def test_a_request_as_a_label_is_named():
    metadata = Metadata(name="t", labels={f"{G}/restore": "x", f"{G}/trial": "t"})

    assert ineffective(metadata) == (
        f"label {G}/restore has no effect: requests are annotations, use kubectl annotate"
    )
