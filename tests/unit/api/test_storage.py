"""Between types and the wire: parse, serialise, patches."""

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest

from lcm_operator.api.storage import MalformedError, parse, rfc3339, serialise, status_patch
from lcm_operator.api.trial import Trial

NAMED = {"metadata": {"name": "example"}}
TIMED = NAMED | {"spec": {"startTime": "2026-11-24T10:00:00Z"}}


def applied(status, operations):
    """RFC 6902, as far as it is used, on an object with this status."""
    raw = {"metadata": {"resourceVersion": "7"}} | ({"status": dict(status)} if status else {})
    for operation in operations:
        *path, last = operation["path"].removeprefix("/").split("/")
        target = raw
        for key in path:
            target = target[key]
        if operation["op"] == "remove":
            del target[last]
        else:
            assert operation["op"] == "add" or last in target
            target[last] = operation["value"]
    assert raw["metadata"] == {"resourceVersion": "7"}
    return raw.get("status", {})


# --- patches


VALUES = [0, False, "", "text", None, [], [1, {"a": None}], [{"a": 2}], {}, {"a": 1}, {"a": {"b": None}}]
OBJECTS = [{}, *({"x": value} for value in VALUES), *({"x": value, "y": 1} for value in VALUES)]


def test_patch_makes_any_old_status_into_any_new_one():
    for old, new in itertools.product(OBJECTS, OBJECTS):
        assert applied(old, status_patch("7", old, new)) == new, (old, new)


def test_a_patch_is_made_for_one_version_of_the_object():
    guard, *_ = status_patch("7", {"x": 1}, {"x": 2})
    assert guard == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}


def test_a_patch_names_only_what_differs():
    old = {"same": 1, "other": {"deep": 1}, "gone": 1}
    new = {"same": 1, "other": {"deep": 2}, "come": 1}
    _, *operations = status_patch("7", old, new)
    assert operations == [
        {"op": "remove", "path": "/status/gone"},
        {"op": "add", "path": "/status/other", "value": {"deep": 2}},
        {"op": "add", "path": "/status/come", "value": 1},
    ]


def test_a_patch_leaves_alone_what_neither_side_knows():
    stored = {"known": 1, "fromANewerVersion": 1}
    assert applied(stored, status_patch("7", {"known": 1}, {"known": 2})) == stored | {"known": 2}


def test_a_patch_keeps_nulls_within_lists():
    outputs = {"activities": [{"name": "one", "output": {"told": None}}]}
    assert applied({"activities": []}, status_patch("7", {"activities": []}, outputs)) == outputs


# --- parsing


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        pytest.param({"spec": {}}, "metadata", id="a field that must be there"),
        pytest.param(NAMED | {"spec": {"suspend": "yes"}}, "spec.suspend", id="another type"),
        pytest.param(
            NAMED | {"spec": {"activities": [{"name": "a"}, {"name": 5}]}},
            "spec.activities[1].name",
            id="within a list",
        ),
        pytest.param(NAMED | {"spec": {"parameters": {"a": 1}}}, "spec.parameters[...]", id="within a map"),
        pytest.param(NAMED | {"spec": {"startTime": "tomorrow"}}, "spec.startTime", id="no time at all"),
        pytest.param(
            NAMED | {"spec": {"startTime": "2026-11-24T10:00:00"}},
            "spec.startTime",
            id="a time without an offset",
        ),
        pytest.param(
            TIMED | {"status": {"conditions": [{"type": "Armed", "status": "Perhaps"}]}},
            "status.conditions[0].status",
            id="a word that is not allowed",
        ),
    ],
)
def test_what_is_malformed_is_refused_naming(raw, named):
    with pytest.raises(MalformedError) as refused:
        parse(raw, Trial)
    assert f"`{named}`" in str(refused.value)
    assert "$" not in str(refused.value)


def test_fields_of_a_newer_version_are_passed_over():
    raw = TIMED | {"apiVersion": "lcm.5gdrones.eu/v1beta1", "extra": 1}
    raw["spec"] = raw["spec"] | {"newer": {"deep": [1]}}
    assert parse(raw, Trial) == parse(TIMED, Trial)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        pytest.param(
            "2026-11-24T12:00:00+02:00", datetime(2026, 11, 24, 10, tzinfo=UTC), id="another offset"
        ),
        pytest.param(
            "2026-11-23T22:00:00-12:00", datetime(2026, 11, 24, 10, tzinfo=UTC), id="the last offset"
        ),
        pytest.param("2028-02-29T00:00:00Z", datetime(2028, 2, 29, tzinfo=UTC), id="a leap day"),
        pytest.param(
            "2026-11-24T10:00:00.123456789Z",
            datetime(2026, 11, 24, 10, 0, 0, 123457, tzinfo=UTC),
            id="nanoseconds are rounded",
        ),
    ],
)
def test_a_start_time_is_read(written, moment):
    assert parse(NAMED | {"spec": {"startTime": written}}, Trial).spec.start_time == moment


# --- serialising


def test_what_equals_its_default_is_left_out():
    spelled_out = {"startTime": "2026-11-24T10:00:00Z", "suspend": False, "startingDeadlineSeconds": 120}
    written = serialise(parse(NAMED | {"spec": spelled_out}, Trial))
    assert written["spec"].keys() - {"engine"} == {"startTime"}


def test_a_time_without_an_offset_can_not_come_in():
    with pytest.raises(MalformedError, match="timezone"):
        parse({"metadata": {"name": "x", "creationTimestamp": "2026-11-24T10:00:00"}, "spec": {}}, Trial)


def test_a_moment_is_written_in_utc_with_microseconds():
    paris = timezone(timedelta(hours=1))
    assert rfc3339(datetime(2026, 11, 24, 11, tzinfo=paris)) == "2026-11-24T10:00:00.000000Z"
