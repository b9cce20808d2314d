"""Which activities run side by side, and which wait for which."""

import pytest

from lcm_operator.api.plan import Activity
from lcm_operator.plan.branches import blocks, following, preceding, siblings


def plan(text):
    """Return activities from `name` or `name:branch`."""
    pairs = [each.partition(":") for each in text.split()]
    return [Activity(name=name, branch=branch or None) for name, _, branch in pairs]


def names(activities):
    return " ".join(activity.name for activity in activities)


FLIGHT = plan("deploy start:fly land:fly measure:data store:data release report:a tell:b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "", id="no activity"),
        pytest.param("a b", "a | b", id="no branch"),
        pytest.param("a:x b:y", "a / b", id="two branches"),
        pytest.param("a:x b:y c:x", "a c / b", id="branches that alternate in the list"),
        pytest.param("a:x b:x", "a b", id="a single branch"),
        pytest.param("a b:x c:y d e:x f:y", "a | b / c | d | e / f", id="two blocks with the same branches"),
    ],
)
def test_consecutive_activities_with_a_branch_form_a_block(text, expected):
    shown = " | ".join(" / ".join(map(names, block)) for block in blocks(plan(text)))

    assert shown == expected


@pytest.mark.parametrize(
    ("name", "before", "side", "after"),
    [
        ("deploy", "", "", "start land measure store release report tell"),
        ("start", "deploy", "measure store", "land release report tell"),
        ("land", "deploy start", "measure store", "release report tell"),
        ("store", "deploy measure", "start land", "release report tell"),
        ("release", "deploy start land measure store", "", "report tell"),
        ("tell", "deploy start land measure store release", "report", ""),
    ],
)
def test_only_the_own_branch_and_other_blocks_are_ordered(name, before, side, after):
    assert names(preceding(FLIGHT, name)) == before
    assert names(siblings(FLIGHT, name)) == side
    assert names(following(FLIGHT, name)) == after


def test_order_of_the_list_decides_within_a_branch_and_not_between():
    activities = plan("a:x b:y c:x d:y")

    assert names(preceding(activities, "c")) == "a"
    assert names(following(activities, "b")) == "d"
    assert names(siblings(activities, "c")) == "b d"
