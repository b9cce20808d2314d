"""Start times as people and registries write them: taken and refused as by the API server."""

import json
from datetime import UTC, datetime

import pytest
from tests.harness.start_times import REFUSED, TAKEN

from lcm_operator.api.storage import parse
from lcm_operator.api.times import in_utc, parse_reported_time, parse_start_time
from lcm_operator.api.trial import TrialSpec
from lcm_operator.cli import schema
from lcm_operator.registry.errors import BadReplyError
from lcm_operator.registry.replies import parse_trial


def faults(text: str) -> list[str]:
    """Return what `lcm plan check` says of a Trial with this start time."""
    manifest = {"apiVersion": "v1", "kind": "Trial", "metadata": {"name": "a"}}
    spec = {"startTime": text, "planRef": {"name": "p"}}
    return [fault.message for fault in schema.faults("Trial", manifest | {"spec": spec})]


@pytest.mark.parametrize("text", TAKEN)
def test_a_start_time_is_the_same_instant_wherever_it_enters(text: str):
    found = parse_start_time(text)
    assert found is not None
    if ".9999995" not in text and ".999999999" not in text:  # a Trial reads the next second
        assert found == parse({"startTime": text}, TrialSpec).start_time
    assert parse_trial(json.dumps({"id": "a", "start_time": text}).encode(), "a").start_time == found
    assert parse_start_time(in_utc(found)) == found
    assert faults(text) == []


@pytest.mark.parametrize("text", REFUSED)
def test_everything_else_is_refused_everywhere(text: str):
    assert parse_reported_time(text) is None
    with pytest.raises(BadReplyError, match="start_time"):
        parse_trial(json.dumps({"id": "a", "start_time": text}).encode(), "a")
    assert faults(text) != []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2031-01-01T10:00:00+02:00", "2031-01-01T08:00:00Z"),
        ("2031-01-01T10:00:00.250+0200", "2031-01-01T08:00:00.250000Z"),
        ("2031-01-01T10:00:00.0000006Z", "2031-01-01T10:00:00.000001Z"),
    ],
)
def test_a_fraction_counts_to_the_microsecond(text: str, shown: str):
    found = parse_start_time(text)
    assert found is not None
    assert in_utc(found) == shown


def test_an_offset_is_honoured():
    assert parse_start_time("2031-01-01T03:00:00-05:00") == datetime(2031, 1, 1, 8, tzinfo=UTC)
