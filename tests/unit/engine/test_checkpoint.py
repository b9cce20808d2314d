"""The checkpoint's way to the API server and back, and what each outcome does to it."""

import json

import pytest
from tests.unit.engine.builders import NOW

from lcm_operator.api.engine import ActivityStatus, CheckpointMark, TrialEngineStatus
from lcm_operator.api.storage import parse
from lcm_operator.engine.checkpoint import Checkpoint, UnknownVersionError
from lcm_operator.engine.outcome import Failed, Skipped, Succeeded

NAMES = ["one", "two", "three"]


def read(stored, names=NAMES):
    return Checkpoint.from_storage(parse(json.loads(json.dumps(stored)), TrialEngineStatus), names)


def test_every_field_survives_storage():
    checkpoint = Checkpoint(
        activities=(
            ActivityStatus(
                name="one",
                state="Succeeded",
                run=3,
                start_time=NOW,
                completion_time=NOW,
                output={"slice": {"id": 5, "parts": [None, "x"]}},
                message="said",
            ),
            ActivityStatus(name="two", state="Running", run=1, start_time=NOW),
            ActivityStatus(name="three", state="Pending", run=2),
        ),
        values={"kpiLabel": "Idle"},
        mark=CheckpointMark(version=1, sequence=7, activity="two", saved_time=NOW),
        touched="two",
    )

    assert read(checkpoint.for_storage()) == checkpoint


def test_status_without_checkpoint_is_pending_with_the_runs_that_were_set():
    fresh = read({"activities": [{"name": "two", "state": "Pending", "run": 2}]})

    assert [(a.name, a.state, a.run) for a in fresh.activities] == [
        ("one", "Pending", 1), ("two", "Pending", 2), ("three", "Pending", 1),
    ]  # fmt: skip
    assert fresh.mark is None
    assert fresh.stamped(NOW).mark == CheckpointMark(version=1, sequence=1, activity="", saved_time=NOW)


def test_a_checkpoint_of_version_1_is_read():
    stored = {
        "activities": [
            {
                "name": "one",
                "state": "Succeeded",
                "run": 1,
                "startTime": "2026-11-24T10:00:00Z",
                "completionTime": "2026-11-24T10:00:01.5Z",
                "output": {"exitCode": 0},
            },
            {"name": "two", "state": "Failed", "run": 1, "message": "two: why"},
        ],
        "checkpoint": {"version": 1, "sequence": 4, "activity": "two", "savedTime": "2026-11-24T10:00:02Z"},
        "values": {"kpiLabel": "Active"},
    }

    old = read(stored)

    assert [a.state for a in old.activities] == ["Succeeded", "Failed", "Pending"]
    assert old.outputs == {"one": {"exitCode": 0}}
    assert old.stamped(NOW).mark.sequence == 5


def test_a_checkpoint_from_the_future_is_refused_rather_than_guessed_at():
    stored = {"checkpoint": {"version": 2, "sequence": 1, "savedTime": "2026-11-24T10:00:00Z"}}

    with pytest.raises(UnknownVersionError, match="version 2"):
        read(stored)


def test_states_of_activities_that_are_not_in_the_plan_are_kept():
    stored = {"activities": [{"name": "report", "state": "Succeeded", "run": 2}]}

    assert [a.name for a in read(stored).activities] == [*NAMES, "report"]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        pytest.param(
            Succeeded({"id": 5}, {"kpiLabel": "Idle"}),
            {"state": "Succeeded", "output": {"id": 5}},
            id="success keeps the output",
        ),
        pytest.param(Succeeded(), {"state": "Succeeded"}, id="success without output stores none"),
        pytest.param(
            Failed("two: why", {"exitCode": 3}),
            {"state": "Failed", "message": "two: why", "output": {"exitCode": 3}},
            id="failure keeps message and output",
        ),
        pytest.param(Skipped(), {"state": "Skipped"}, id="skipped"),
    ],
)
def test_an_outcome_becomes_the_state_of_its_activity(outcome, expected):
    checkpoint = read({}).began("two", NOW).settled("two", outcome, NOW)

    stored = checkpoint.for_storage()["activities"][1]

    times = {"startTime": "2026-11-24T10:00:00.123456Z", "completionTime": "2026-11-24T10:00:00.123456Z"}
    assert stored == {"name": "two", "run": 1} | times | expected
    assert checkpoint.touched == "two"
    assert checkpoint.values == getattr(outcome, "values", {})


def test_what_failed_once_leaves_nothing_behind_when_it_begins_again():
    failed = read({}).began("two", NOW).settled("two", Failed("two: why", {"exitCode": 3}), NOW)

    assert failed.began("two", NOW).activity("two") == ActivityStatus(
        name="two", state="Running", run=1, start_time=NOW
    )


def test_an_activity_in_flight_keeps_the_time_of_its_first_try():
    earlier = "2026-11-24T09:00:00Z"
    stored = {"activities": [{"name": "two", "state": "Running", "run": 1, "startTime": earlier}]}

    assert read(stored).began("two", NOW).for_storage()["activities"][1]["startTime"] == earlier


def test_only_succeeded_activities_have_outputs_that_expressions_see():
    checkpoint = read({}).settled("one", Succeeded({"a": 1}), NOW).settled("two", Failed("x", {"b": 1}), NOW)

    assert checkpoint.outputs == {"one": {"a": 1}}


def test_an_output_of_8_kib_can_be_kept_and_one_byte_more_can_not():
    checkpoint = read({})

    assert checkpoint.too_large("one", {"a": "x" * (8192 - len('{"a":""}'))}, {}) is None
    assert checkpoint.too_large("one", {"a": "x" * (8193 - len('{"a":""}'))}, {}).startswith(
        "OutputTooLarge: 8193 bytes"
    )


def test_a_value_of_more_than_8_kib_can_not_be_kept():
    assert read({}).too_large("one", {}, {"label": "x" * 8193}).startswith("OutputTooLarge")


def test_outputs_and_values_of_256_kib_in_all_can_not_grow():
    checkpoint = read({}, [f"a{n}" for n in range(33)])
    for n in range(32):
        checkpoint = checkpoint.settled(f"a{n}", Succeeded({"a": "x" * (8192 - len('{"a":""}'))}), NOW)

    assert checkpoint.too_large("a32", {"a": 1}, {}).startswith("OutputTooLarge")
    assert checkpoint.too_large("a32", {}, {"label": "x"}).startswith("OutputTooLarge")
    assert checkpoint.too_large("a31", {"a": 1}, {}) is None
