"""Requests to delete, on a Trial or its engine."""

import pytest
from tests.unit.domain.builders import (
    armed,
    asking,
    at,
    ended,
    recorded_events,
    running,
    settle,
    shown,
    slot,
    steps,
    trial,
    written,
)
from tests.unit.domain.removals import ended_pod, stopping

from lcm_operator.domain.actions import (
    DeleteEngine,
    WriteEngine,
    WriteTrial,
)
from lcm_operator.domain.decide import decide

# --- requests


@pytest.mark.parametrize("on", [pytest.param("trial", id="Trial"), pytest.param("engine", id="TrialEngine")])
def test_delete_request_deletes_the_engine_and_is_answered_meanwhile_on_the(on):
    asked = asking(running(one="Running"), on=on, delete="d1")
    (action,) = decide(asked, at(5)).actions
    assert isinstance(action, WriteEngine)
    assert action.status.stop is not None
    assert action.status.stop.mode == "Cancel"
    if on == "engine":
        assert action.status.last_handled_delete is not None
        assert action.status.last_handled_delete.result == "Done"
        return
    assert [(taken.type, taken.id, taken.result) for taken in action.status.trial_requests] == [
        ("Delete", "d1", "Done")
    ]
    over = settle(ended_pod(written(asked, decide(asked, at(5)))), at(8))
    handled = over.trials[0].status.last_handled_delete
    assert handled is not None
    assert handled.result == "Done"
    assert decide(over, at(8)).actions == (DeleteEngine(over.engine),)


def test_a_delete_request_while_the_engine_is_deleted_is_answered():
    before = asking(stopping(running()), delete="d1")
    (action,) = decide(before, at(6)).actions
    assert isinstance(action, WriteEngine)
    assert [taken.id for taken in action.status.trial_requests] == ["d1"]
    assert action.status.stop is not None
    assert action.status.stop.request_time == at(5)


def test_a_delete_comes_before_a_restore_which_is_refused():
    before = asking(ended(one="Failed"), restore="r1", delete="d1")
    stop = decide(before, at(20))
    stopped = written(before, stop)
    refusing = decide(stopped, at(20))
    assert recorded_events(refusing) == [("RequestRefused", True)]
    over = settle(ended_pod(written(stopped, refusing)), at(22))
    answered = over.trials[0].status.last_handled_restore
    assert answered is not None
    assert answered.result == "Refused"


def test_a_delete_request_that_is_malformed_is_refused_and_reported():
    before = asking(running(), delete="x" * 300)
    decision = decide(before, at(5))
    assert steps(decision) == ["WriteEngine", "RecordEvent"]
    assert recorded_events(decision) == [("RequestRefused", True)]
    assert "DeleteEngine" not in steps(decide(settle(before, at(5)), at(5)))


@pytest.mark.parametrize(
    "before",
    [pytest.param(settle(slot(trial()), at(-3000)), id="scheduled"), pytest.param(armed(), id="armed")],
)
def test_a_delete_request_before_the_start_cancels_a_trial_that_is(before):
    decision = decide(asking(before, delete="d1"), at(-20))
    assert shown(decision, "Succeeded") == ("False", "Cancelled")
    assert shown(decision, "Started") == ("False", "Cancelled")
    after = settle(asking(before, delete="d1"), at(-20))
    assert steps(decide(after, at(-20))) == (["DeleteEngine"] if before.engine else [])
    assert after.trials[0].status.last_handled_delete is not None


def test_malformed_delete_request_before_the_start_is_refused():
    before = asking(armed(), delete="x" * 300)
    decision = decide(before, at(-20))
    assert recorded_events(decision) == [("RequestRefused", True)]
    (action, _) = decision.actions
    assert isinstance(action, WriteTrial)
    assert action.status.last_handled_delete is not None
    assert action.status.last_handled_delete.result == "Refused"
    assert action.status.phase == "Armed"
    assert steps(decide(settle(before, at(-20)), at(-20))) == []
