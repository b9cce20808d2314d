"""Conditions change through one function."""

from datetime import UTC, datetime, timedelta

import pytest

from lcm_operator.api.conditions import ConditionUpdate, find, is_false, is_true, reason, with_condition

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
ARMED = with_condition((), ConditionUpdate("Armed", "False", "PlanNotFound", "no plan"), NOW, 1)


def test_a_new_condition_is_put_at_the_end():
    both = with_condition(ARMED, ConditionUpdate("Started", "Unknown", "Waiting"), LATER)
    assert [condition.type for condition in both] == ["Armed", "Started"]
    assert both[0] is ARMED[0]


def test_a_condition_keeps_its_place():
    both = with_condition(ARMED, ConditionUpdate("Started", "Unknown", "Waiting"), NOW)
    changed = with_condition(both, ConditionUpdate("Armed", "True", "Admitted"), LATER)
    assert [(c.type, c.status) for c in changed] == [("Armed", "True"), ("Started", "Unknown")]


@pytest.mark.parametrize(
    ("status", "since"),
    [
        pytest.param("True", LATER, id="moves when the status flips"),
        pytest.param("Unknown", LATER, id="moves when the status is no longer known"),
        pytest.param("False", NOW, id="stays when only reason and message change"),
    ],
)
def test_the_transition_time(status, since):
    (changed,) = with_condition(ARMED, ConditionUpdate("Armed", status, "Other", "other"), LATER, 7)
    assert changed.last_transition_time == since
    assert (changed.reason, changed.message, changed.observed_generation) == ("Other", "other", 7)


def test_setting_the_same_again_changes_nothing():
    again = with_condition(ARMED, ConditionUpdate("Armed", "False", "PlanNotFound", "no plan"), LATER, 1)
    assert again == ARMED


@pytest.mark.parametrize(
    ("status", "true", "false"),
    [
        pytest.param("True", True, False, id="true"),
        pytest.param("False", False, True, id="false"),
        pytest.param("Unknown", False, False, id="unknown is neither"),
    ],
)
def test_what_is_asked_of_a_condition_that_is(status, true, false):
    conditions = with_condition((), ConditionUpdate("Armed", status, "Waiting"), NOW)
    assert (is_true(conditions, "Armed"), is_false(conditions, "Armed")) == (true, false)
    assert reason(conditions, "Armed") == "Waiting"


def test_a_condition_that_is_not_there_is_neither_and_has_no_reason():
    assert find(ARMED, "Started") is None
    assert not is_true(ARMED, "Started")
    assert not is_false(ARMED, "Started")
    assert reason(ARMED, "Started") is None
