"""What became of an attempt, and how far it has come."""

from dataclasses import replace

import pytest
from tests.unit.domain.builders import absent, nap, pod, running, trial

from lcm_operator.domain.verdict import judge, progress

TOLERANT = trial(activities=[nap("one", continueOnError=True), nap("two")])


def judged(before):
    assert before.engine is not None
    return judge(before, before.engine)


@pytest.mark.parametrize(
    "states",
    [
        pytest.param({}, id="nothing saved yet"),
        pytest.param({"one": "Running"}, id="the first activity runs"),
        pytest.param({"one": "Succeeded", "two": "Skipped", "three": "Running"}, id="the last activity runs"),
        pytest.param({"one": "Succeeded", "two": "Succeeded"}, id="the last activity is pending"),
    ],
)
def test_there_is_no_outcome_while(states):
    assert judged(running(**states)) is None


@pytest.mark.parametrize(
    "states",
    [
        pytest.param({"one": "Succeeded", "two": "Succeeded", "three": "Succeeded"}, id="succeeded"),
        pytest.param(
            {"one": "Skipped", "two": "Succeeded", "three": "Skipped"}, id="succeeded or was skipped"
        ),
    ],
)
def test_an_attempt_succeeds_when_every_activity(states):
    outcome = judged(running(**states))
    assert outcome is not None
    assert (outcome.succeeded, outcome.reason) == (True, "Completed")


def test_a_failed_activity_fails_the_attempt_though_its_pod_still_runs():
    outcome = judged(running(one="Succeeded", two="Failed"))
    assert outcome is not None
    assert (outcome.succeeded, outcome.reason) == (False, "ActivityFailed")
    assert "activity two failed" in outcome.message


def test_a_failure_that_may_be_passed_by_decides_nothing():
    assert judged(running(TOLERANT, one="Failed", two="Running")) is None


def test_what_may_be_passed_by_is_waited_for_all_the_same():
    assert judged(running(TOLERANT, one="Running", two="Succeeded")) is None


def test_an_attempt_has_not_succeeded_before_it_has_released():
    releasing = trial(activities=[nap("one")], **{"finally": [nap("free")]})
    assert judged(running(releasing, one="Succeeded", free="Running")) is None
    outcome = judged(running(releasing, one="Succeeded", free="Failed"))
    assert outcome is not None
    assert outcome.succeeded


def test_a_failure_that_may_be_passed_by_does_not_prevent_success():
    outcome = judged(running(TOLERANT, one="Failed", two="Succeeded"))
    assert outcome is not None
    assert outcome.succeeded


@pytest.mark.parametrize(
    "over", [pytest.param(pod(ended=True), id="ended"), pytest.param(absent(), id="gone")]
)
def test_ended_pod_decides_nothing_before_its_last_checkpoint_was_read(over):
    before = replace(running(one="Succeeded"), pod=over)
    assert judged(before) is None
    outcome = judged(replace(before, engine_read_after_end=True))
    assert outcome is not None
    assert (outcome.succeeded, outcome.reason) == (False, "EngineEnded")


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        pytest.param({"exit_code": 137}, "completed (exit code 137)", id="its exit code"),
        pytest.param({}, "no exit code", id="that there is none"),
        pytest.param({"exit_code": 1, "message": "no token"}, "(exit code 1): no token", id="its last words"),
    ],
)
def test_the_message_of_a_pod_that_ended_too_early_is_informative(seen, words):
    over = replace(running(), pod=pod(ended=True, **seen), engine_read_after_end=True)
    outcome = judged(over)
    assert outcome is not None
    assert words in outcome.message
    assert not outcome.message.endswith(": ")


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        pytest.param({}, "0/3", id="none"),
        pytest.param({"one": "Succeeded", "two": "Running"}, "1/3", id="one, what runs does not count"),
        pytest.param({"one": "Succeeded", "two": "Skipped"}, "2/3", id="two, what was skipped counts"),
        pytest.param({"one": "Succeeded", "two": "Failed"}, "1/3", id="one, what failed does not count"),
    ],
)
def test_progress(states, shown):
    before = running(**states)
    assert before.engine is not None
    assert progress(before.engine) == shown
