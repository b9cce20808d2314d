"""What the view keeps of an object."""

from datetime import UTC, datetime

import pytest

from lcm_operator.rest.cache.records import trial_of

ANNOTATION = "lcm.5gdrones.eu/registry-start-time"


@pytest.mark.parametrize(
    ("reported", "start"),
    [
        pytest.param("2031-01-01T08:00:00Z", datetime(2031, 1, 1, 8, tzinfo=UTC), id="a time"),
        pytest.param("2031-01-01T08:00:00", None, id="without an offset"),
        pytest.param("soon", None, id="words"),
        pytest.param("9999-12-31T23:59:59Z", None, id="a time that ends in no other time zone"),
    ],
)
def test_what_people_write_into_the_annotation_is_a_start_time_or_none(reported, start):
    metadata = {"name": "a", "uid": "1", "resourceVersion": "1", "annotations": {ANNOTATION: reported}}

    assert trial_of({"metadata": metadata, "spec": {"registryRef": {"name": "default"}}}).start == start


def test_a_status_that_was_written_by_hand_may_hold_a_time_that_is_none():
    raw = {
        "metadata": {"name": "a", "uid": "1", "resourceVersion": "1"},
        "spec": {"registryRef": {"name": "r"}},
    }

    assert trial_of(raw | {"status": {"startTime": "2031-01-01t08:00:00z"}}).start is None
