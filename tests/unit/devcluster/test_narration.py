"""The demo's narration of a trial."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devcluster.demo.narration import Seen, news, standing
from lcm_operator.api.engine import TrialEngine
from lcm_operator.api.storage import parse
from lcm_operator.api.trial import Trial

NOW = datetime(2030, 1, 1, 9, 0, 0, tzinfo=UTC)


def condition(kind: str, status: str = "True") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": "Some",
        "message": "",
        "lastTransitionTime": NOW.isoformat(),
    }


def trial(**status: Any) -> Trial:
    return parse({"metadata": {"name": "demo"}, "spec": {}, "status": status}, Trial)


def engine(**status: Any) -> TrialEngine:
    spec = {
        "trialID": "demo",
        "trialUID": "u",
        "trialGeneration": 1,
        "startTime": NOW.isoformat(),
        "activities": [],
    }
    return parse({"metadata": {"name": "demo"}, "spec": spec, "status": status}, TrialEngine)


def activity(name: str, state: str, message: str = "") -> dict[str, Any]:
    return {"name": name, "state": state, "run": 1, "message": message}


def narrated(before: Seen, now: Seen) -> list[str]:
    return list(news(before, now))


def test_nothing_new_is_nothing_to_report() -> None:
    seen = Seen(
        trial(startLagMilliseconds=0, conditions=[condition("Scheduled"), condition("Succeeded")]),
        engine(attempt=2, activities=[activity("one", "Succeeded")]),
    )

    assert narrated(seen, seen) == []


def test_what_happened_between_two_looks_is_reported_in_its_order() -> None:
    armed = [condition("Scheduled"), condition("Armed")]
    now = Seen(
        trial(startLagMilliseconds=0, conditions=[*armed, condition("Succeeded", "False")]),
        engine(attempt=1, activities=[activity("one", "Succeeded"), activity("two", "Failed", "no\n link")]),
    )

    assert narrated(Seen(), now) == [
        "scheduled",
        "armed: its plan is fixed, and its pod would be admitted",
        "started 0 ms after its start time",
        "✓ one",
        "✗ two: no link",
        "the engine has failed",
    ]


def test_an_activity_that_runs_again_is_reported_again() -> None:
    failed = Seen(trial(), engine(attempt=1, activities=[activity("one", "Failed")]))
    reset = Seen(trial(), engine(attempt=2, activities=[activity("one", "Pending")]))
    passed = Seen(trial(), engine(attempt=2, activities=[activity("one", "Succeeded")]))

    assert narrated(failed, reset) == ["attempt 2 continues from the checkpoint"]
    assert narrated(reset, passed) == ["✓ one"]


def test_what_is_left_out_is_reported_only_with_a_reason() -> None:
    jumped = activity("two", "Skipped", "the signal finish jumped over it")
    now = Seen(trial(), engine(activities=[activity("one", "Skipped"), jumped]))

    assert narrated(Seen(), now) == ["- two: the signal finish jumped over it"]


@pytest.mark.parametrize(
    ("seen", "line"),
    [
        pytest.param(Seen(), "waiting for the trial", id="before there is a trial"),
        pytest.param(
            Seen(trial(startTime=(NOW + timedelta(seconds=7.25)).isoformat())),
            "starts in 7.2 s",
            id="before its start time",
        ),
        pytest.param(Seen(trial(startTime=NOW.isoformat())), "starting", id="at its start time"),
        pytest.param(
            Seen(
                trial(startTime=NOW.isoformat(), startedTime=NOW.isoformat(), progress="1/3"),
                engine(activities=[activity("one", "Succeeded"), activity("two", "Running")]),
            ),
            "running two (1/3)",
            id="while an activity runs",
        ),
    ],
)
def test_the_line_that_is_written_over_shows_the_current_state(seen: Seen, line: str) -> None:
    assert standing(seen, NOW) == line
