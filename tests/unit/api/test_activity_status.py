"""When an activity was begun, is over and has passed: the one rule for operator and engine."""

from datetime import UTC, datetime

import pytest

from lcm_operator.api.engine import ActivityStatus
from lcm_operator.api.plan import Activity

BEGUN = datetime(2026, 11, 24, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "start_time", "run", "was_begun", "may_have_acted"),
    [
        pytest.param("Pending", None, 1, False, False, id="never touched"),
        pytest.param("Pending", None, 2, False, True, id="reset, to a new run"),
        pytest.param("Pending", BEGUN, 1, True, True, id="reset, in the same run"),
        pytest.param("Running", BEGUN, 1, True, True, id="running"),
        pytest.param("Succeeded", None, 1, True, True, id="succeeded"),
        pytest.param("Failed", None, 1, True, True, id="failed"),
        pytest.param("Skipped", None, 1, False, True, id="skipped by its `when`"),
        pytest.param("Skipped", BEGUN, 1, True, True, id="skipped by a finish that interrupted it"),
    ],
)
def test_activity_was_begun(state, start_time, run, was_begun, may_have_acted):
    status = ActivityStatus(name="a", state=state, run=run, start_time=start_time)

    assert (status.was_begun, status.may_have_acted) == (was_begun, may_have_acted)


@pytest.mark.parametrize(
    ("state", "is_over", "is_passed", "is_passed_by"),
    [
        ("Pending", False, False, False),
        ("Running", False, False, False),
        ("Succeeded", True, True, True),
        ("Skipped", True, True, True),
        ("Failed", True, False, True),
    ],
)
def test_failed_activity_is_passed_only_if_the_plan_continues(state, is_over, is_passed, is_passed_by):
    status = ActivityStatus(name="a", state=state, run=1)

    assert status.is_over == is_over
    assert status.is_passed(Activity(name="a")) == is_passed
    assert status.is_passed(Activity(name="a", continue_on_error=True)) == is_passed_by
