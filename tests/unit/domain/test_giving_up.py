"""A failed trial that nobody restores: when it is given up, and what becomes of it."""

from dataclasses import replace

import pytest
from tests.unit.domain.builders import (
    asking,
    at,
    deleting,
    ended,
    nap,
    pod,
    recorded_events,
    running,
    settle,
    shown,
    steps,
    trial,
    with_activities,
    written,
)

from lcm_operator.api import conditions
from lcm_operator.domain.actions import Wait, WriteEngine
from lcm_operator.domain.decide import decide
from lcm_operator.domain.verdict import give_up_time, may_still_matter

GIVE_UP = {"engine": {"giveUpAfterSeconds": 600}, "finally": [nap("free")]}
HALF = {"one": "Succeeded", "two": "Failed"}
DUE = at(610)
"""The outcome is written at 10 s."""


def failed(**spec):
    return ended(trial(**(GIVE_UP | spec)), **HALF)


def reason(before, kind):
    return conditions.reason(before.trials[0].status.conditions, kind)


def stopped():
    """Return the slot just after the engine was stopped to be given up."""
    before = settle_trial(failed(), DUE)
    return written(before, decide(before, DUE))


def settle_trial(before, now):
    """Return the slot after the Trial shows what is due at `now`."""
    decision = decide(before, now)
    assert steps(decision) == ["WriteTrial"]
    return written(before, decision)


def test_failed_trial_shows_when_it_is_given_up_and_waits_for_that():
    before = failed()
    assert reason(before, "Finished") == "AwaitingRestore"
    message = conditions.find(before.trials[0].status.conditions, "Finished").message
    assert "2026-11-24 10:10:10 UTC" in message
    waiting = decide(before, at(20))
    assert isinstance(waiting, Wait)
    assert waiting.wake_at == DUE


def test_trial_shows_that_it_is_given_up_before_the_engine_is_stopped():
    before = failed()
    first = decide(before, DUE)
    assert steps(first) == ["WriteTrial"]
    assert shown(first, "Finished") == ("False", "GivingUp")
    second = decide(written(before, first), DUE)
    assert steps(second) == ["WriteEngine", "RecordEvent"]
    assert recorded_events(second) == [("GivingUp", True)]
    stop = second.actions[0].status.stop
    assert (stop.mode, stop.completion_time) == ("GiveUp", None)


def test_a_restore_that_is_seen_first_is_carried_out_instead():
    before = asking(settle_trial(failed(), DUE), restore="r1")
    write = decide(before, DUE).actions[0]
    assert isinstance(write, WriteEngine)
    assert (write.status.stop, write.status.attempts[-1].reason) == (None, "Restore")


def test_outcome_stays_while_and_after_finally_runs():
    before = stopped()
    assert conditions.reason(before.engine.status.conditions, "Succeeded") == "ActivityFailed"
    prepared = written(before, decide(before, DUE))
    assert (prepared.engine.status.attempt, prepared.engine.status.pod_ref) == (2, None)
    granted = settle(replace(prepared, pod=pod(2, seen=610), engine_read_after_end=False), DUE)
    assert granted.engine.status.pod_ref is not None
    for each in (prepared, granted):
        assert conditions.reason(each.engine.status.conditions, "Succeeded") == "ActivityFailed"
    assert granted.trials[0].status.phase == "Failed"
    assert reason(granted, "Released") == "Releasing"


def test_time_counts_from_the_stored_outcome_not_from_when_it_is_seen():
    late = decide(settle_trial(failed(), at(5000)), at(5000))
    assert steps(late) == ["WriteEngine", "RecordEvent"]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"engine": {}}, id="by default"),
        pytest.param({"finally": []}, id="without finally"),
    ],
)
def test_trial_is_never_given_up(spec):
    before = failed(**spec)
    assert give_up_time(before.engine) is None
    assert reason(before, "Finished") == "Failed"
    assert decide(before, at(100_000)).wake_at is None


def test_trial_of_which_nothing_has_begun_is_not_given_up():
    silent = replace(running(trial(**GIVE_UP)), pod=pod(ended=True, exit_code=1), engine_read_after_end=True)
    before = settle(silent, at(10))
    assert reason(before, "Released") == "NothingToRelease"
    assert give_up_time(before.engine) is None
    assert reason(before, "Finished") == "Failed"


def test_automatic_restores_come_first():
    this = trial(**(GIVE_UP | {"engine": {"giveUpAfterSeconds": 5, "maxRestores": 1}}))
    before = replace(running(this, **HALF), pod=pod(ended=True, exit_code=1), engine_read_after_end=True)
    before = settle(before, at(10))
    assert before.engine.status.next_attempt is not None
    assert give_up_time(before.engine) is None


def test_a_running_report_of_the_failure_does_not_put_it_off():
    this = trial(**GIVE_UP, onFailure=[nap("report")])
    before = settle(running(this, **HALF, report="Running"), at(10))
    assert reason(before, "Finished") == "Reporting"
    after = settle_trial(before, DUE)
    assert steps(decide(after, DUE)) == ["WriteEngine", "RecordEvent"]


def test_delete_request_while_it_is_given_up_cancels_it():
    decision = decide(asking(stopped(), delete="d1"), DUE)
    write = decision.actions[0]
    assert isinstance(write, WriteEngine)
    assert write.status.stop.mode == "Cancel"


def test_engine_that_is_removed_while_it_is_given_up_is_stopped_for_that():
    before = stopped()
    decision = decide(replace(before, engine=deleting(before.engine)), DUE)
    assert decision.actions[0].status.stop.mode == "Cancel"


def test_pod_of_an_engine_that_awaits_a_restore_no_longer_matters():
    assert not may_still_matter(failed().engine)
    assert may_still_matter(stopped().engine)


def test_once_finally_is_over_the_trial_is_finished_and_held_by_nothing():
    before = stopped()
    over = {"one": "Succeeded", "two": "Failed", "free": "Succeeded"}
    granted = settle(
        replace(written(before, decide(before, DUE)), pod=pod(2), engine_read_after_end=False), DUE
    )
    done = replace(
        with_activities(granted, **over), pod=pod(2, ended=True, exit_code=5), engine_read_after_end=True
    )
    last = settle(done, at(620))
    assert last.engine.status.stop.completion_time == at(620)
    assert last.engine.status.phase == "Failed"
    assert last.engine.status.attempts[-1].outcome == "Stopped"
    assert (reason(last, "Finished"), reason(last, "Released")) == ("Failed", "Released")
    assert reason(last, "Succeeded") == "ActivityFailed"
    assert not may_still_matter(last.engine)
    restored = decide(asking(last, restore="r1"), at(700))
    assert restored.actions[0].__class__.__name__ in ("HoldEngine", "WriteEngine")
