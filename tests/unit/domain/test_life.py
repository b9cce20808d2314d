"""decide() about engines that are silent, too slow, or disrupted."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.domain.builders import (
    T,
    asking,
    at,
    nap,
    pod,
    running,
    settle,
    shown,
    steps,
    trial,
    with_activities,
    written,
)

from lcm_operator.domain.actions import DeletePod, WriteEngine
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Observation, Renewals


def beating(before, *, begun=True, silent=0.0, uid="pod-1"):
    return replace(
        before, renewals=Observation(Renewals(uid, begun=begun, silent=timedelta(seconds=silent)), T)
    )


# --- beats


def test_an_engine_that_beats_is_left_alone():
    assert steps(decide(beating(running(), silent=59), at(100))) == []


def test_an_engine_that_falls_silent_has_failed_and_its_pod_is_deleted():
    before = beating(running(one="Succeeded"), silent=61)
    decision = decide(before, at(100))
    assert shown(decision, "Succeeded") == ("False", "EngineSilent")
    after = settle(before, at(100))
    assert decide(after, at(101)).actions == (DeletePod("example-1", "pod-1"),)


def test_the_time_out_is_the_trial_s():
    patient = trial(engine={"heartbeatTimeoutSeconds": 300})
    assert steps(decide(beating(running(patient), silent=299), at(400))) == []


def test_the_silence_of_another_pod_says_nothing():
    assert steps(decide(beating(running(), silent=1000, uid="pod-0"), at(100))) == []


@pytest.mark.parametrize(
    ("deadline", "late", "fails"),
    [
        pytest.param(0, 120, False, id="two minutes are always granted"),
        pytest.param(0, 121, True, id="after two minutes it has failed"),
        pytest.param(600, 590, False, id="a longer starting deadline counts"),
        pytest.param(600, 601, True, id="after a longer starting deadline it has failed"),
    ],
)
def test_an_engine_that_never_beats(deadline, late, fails):
    slow = running(trial(startingDeadlineSeconds=deadline))
    before = beating(slow, begun=False, silent=late)
    decision = decide(before, at(0.2 + late))
    assert steps(decision) == (["WriteEngine"] if fails else [])
    if fails:
        assert shown(decision, "Succeeded") == ("False", "EngineNotReady")


def test_a_look_is_due_when_the_first_beat_is_missing():
    decision = decide(beating(running(), begun=False), at(5))
    assert decision.wake_at is not None
    assert at(120) < decision.wake_at <= at(122)


def test_a_checkpoint_that_shows_the_outcome_counts_more_than_silence():
    done = running(one="Succeeded", two="Succeeded", three="Succeeded")
    assert shown(decide(beating(done, silent=1000), at(2000)), "Succeeded") == ("True", "Completed")


@pytest.mark.parametrize(
    ("act", "longest"),
    [
        pytest.param({"sleep": {"seconds": 1000}}, 0, id="nothing, for it waits only"),
        pytest.param({"http": {"url": "http://x", "timeoutSeconds": 40}}, 40, id="its longest request"),
        pytest.param({"exec": {"command": ["x"], "timeoutSeconds": 50}}, 50, id="its longest program"),
        pytest.param({"exec": {"command": ["x"]}}, 10, id="the end of a program without limit"),
    ],
)
def test_a_silent_pod_that_does_not_end_is_waited_for_as_long_as(act, longest):
    this = trial(activities=[{"name": "one"} | act], engine={"maxRestores": 1})
    stuck = replace(running(this, one="Running"), pod=pod(deleting=True, killed_by=at(100), seen=199.5))
    too_early = settle(asking(beating(stuck, silent=60 + longest), restore="r1"), at(200))
    assert too_early.engine is not None
    assert too_early.engine.status.attempt == 1
    late = settle(asking(beating(stuck, silent=60.5 + longest), restore="r1"), at(200))
    assert late.engine is not None
    assert late.engine.status.attempt == 2


# --- deadlines


def slow(**more):
    return running(trial(engine={"activeDeadlineSeconds": 30} | more), one="Running")


def test_an_attempt_that_takes_too_long_is_asked_to_stop():
    before = settle(slow(), at(5))
    assert decide(before, at(29)).wake_at == at(30.2)
    (action,) = decide(before, at(30.2)).actions
    assert isinstance(action, WriteEngine)
    assert action.status.stop is not None
    assert action.status.stop.mode == "Deadline"


def test_it_has_failed_once_it_has_stopped():
    before = settle(slow(), at(5))
    stopped = written(before, decide(before, at(31)))
    assert steps(decide(stopped, at(31))) == ["DeletePod"]
    over = replace(stopped, pod=pod(ended=True, exit_code=0), engine_read_after_end=True)
    assert shown(decide(over, at(33)), "Succeeded") == ("False", "DeadlineExceeded")


def test_a_plan_that_is_through_in_time_is_not_stopped():
    done = with_activities(slow(), one="Succeeded", two="Succeeded", three="Succeeded")
    assert shown(decide(done, at(31)), "Succeeded") == ("True", "Completed")


def test_a_plan_that_is_through_may_release_after_its_deadline():
    plan = [nap("one")]
    releasing = trial(activities=plan, engine={"activeDeadlineSeconds": 30}, **{"finally": [nap("free")]})
    before = settle(running(releasing, one="Succeeded", free="Running"), at(29))
    assert steps(decide(before, at(31))) == []


# --- restored without being asked


def failed(**engine):
    before = running(trial(engine=engine), one="Succeeded", two="Failed")
    return replace(before, pod=pod(ended=True, exit_code=1), engine_read_after_end=True)


def test_a_failed_engine_waits_for_a_person_by_default():
    assert shown(decide(failed(), at(9)), "Succeeded") == ("False", "ActivityFailed")


def test_a_failed_engine_is_restored_by_itself_as_often_as_it_may():
    once = settle(failed(maxRestores=1), at(9))
    (action, _) = decide(once, at(19)).actions
    assert isinstance(action, WriteEngine)
    assert action.status.attempt == 2
    assert (action.status.attempts[0].outcome, action.status.attempts[1].reason) == ("Failed", "Automatic")
    granted = settle(replace(written(once, decide(once, at(19))), pod=pod(2)), at(20))
    again = replace(
        with_activities(granted, one="Succeeded", two="Failed"),
        pod=pod(2, ended=True, exit_code=1),
        engine_read_after_end=True,
    )
    assert shown(decide(again, at(40)), "Succeeded") == ("False", "ActivityFailed")


def test_its_old_pod_has_ended_first():
    still = settle(replace(failed(maxRestores=1), pod=pod()), at(9))
    assert steps(decide(still, at(9))) == ["DeletePod"]
    ending = settle(replace(still, pod=pod(deleting=True, seen=59.5)), at(60))
    assert ending.engine is not None
    assert ending.engine.status.attempt == 1


def test_a_disrupted_pod_is_restored_by_itself_and_does_not_count():
    drained = replace(running(one="Running"), pod=pod(ended=True, disrupted=True), engine_read_after_end=True)
    (action, _) = decide(drained, at(9)).actions
    assert isinstance(action, WriteEngine)
    assert action.status.attempts[-1].reason == "Disruption"


def test_an_activity_that_failed_before_the_drain_has_failed():
    drained = replace(running(one="Failed"), pod=pod(ended=True, disrupted=True), engine_read_after_end=True)
    assert shown(decide(drained, at(9)), "Succeeded") == ("False", "ActivityFailed")


def test_silent_pod_without_a_seen_end_is_given_up_after_its_longest_request():
    plan = [nap("one"), {"name": "two", "http": {"url": "http://x", "timeoutSeconds": 40}}]
    silent = replace(
        running(trial(activities=plan, engine={"maxRestores": 1}), one="Running"),
        pod=pod(deleting=True, killed_by=at(85), seen=90),
    )
    early = settle(beating(silent, silent=99), at(200))
    assert early.engine is not None
    assert early.engine.status.attempt == 1
    late = settle(beating(early, silent=101), at(211))
    assert late.engine is not None
    assert late.engine.status.attempt == 2
