"""Attempts that follow by themselves: which, after which pause, and what is said of them."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from tests.unit.domain.builders import (
    asking,
    at,
    nap,
    pod,
    recorded_events,
    running,
    settle,
    succeeded,
    trial,
    with_activities,
    written,
)

from lcm_operator.api.engine import Attempt, NextAttempt
from lcm_operator.domain.actions import LookUpPod, Wait
from lcm_operator.domain.decide import decide
from lcm_operator.domain.next_attempt import after_disruption
from lcm_operator.domain.snapshot import Absent, Observation, Pod, Renewals

PERSON, ALONE, AWAY = "Restore", "Automatic", "Disruption"


def lineage(before, *attempts):
    """Return the snapshot with these attempts, each a reason and how long it took, one after the other."""
    entries, moment = [], 0.0
    for number, (reason, took) in enumerate(attempts, start=1):
        last = number == len(attempts)
        end = None if last else at(moment + took)
        entries.append(Attempt(number=number, reason=reason, start_time=at(moment), completion_time=end))
        moment += took
    attempt = len(attempts)
    reference = msgspec.structs.replace(before.engine.status.pod_ref, name=f"example-{attempt}")
    status = msgspec.structs.replace(
        before.engine.status, attempt=attempt, attempts=tuple(entries), pod_ref=reference
    )
    return replace(before, engine=msgspec.structs.replace(before.engine, status=status)), at(moment)


def failed(*attempts, **engine):
    this = running(trial(engine={"maxRestores": 100} | engine), one="Succeeded", two="Failed")
    before, now = lineage(this, *attempts)
    ended = pod(len(attempts), uid="pod-1", ended=True, exit_code=1)
    return replace(before, pod=ended, engine_read_after_end=True), now


def goes_on(before, now):
    """Return the snapshot after the status writes that are due, up to the one that begins an attempt."""
    for _ in range(10):
        after = written(before, decide(before, now))
        if after == before or after.engine.status.attempt != before.engine.status.attempt:
            return after
        before = after
    raise AssertionError("the status writes don't come to an end")


def pause_of(before, now):
    following = settle(before, now).engine.status.next_attempt
    return None if following is None else (following.not_before - now).total_seconds()


@pytest.mark.parametrize(
    ("attempts", "pause"),
    [
        pytest.param([("Start", 5)], 10, id="the first waits 10 s"),
        pytest.param([("Start", 5), (ALONE, 5)], 20, id="the second twice as long"),
        pytest.param([("Start", 5), *[(ALONE, 5)] * 4], 160, id="and so on"),
        pytest.param([("Start", 5), *[(ALONE, 5)] * 5], 300, id="but 5 min at most"),
        pytest.param([(ALONE, 5)] * 20, 300, id="however many there were"),
        pytest.param([("Start", 5), *[(ALONE, 5)] * 4, (PERSON, 5)], 10, id="a person begins it anew"),
        pytest.param([("Start", 5), (ALONE, 5), (AWAY, 5)], 20, id="a disruption does not"),
    ],
)
def test_an_attempt_after_a_failure_waits(attempts, pause):
    assert pause_of(*failed(*attempts)) == pause


@pytest.mark.parametrize(
    ("attempts", "pause"),
    [
        pytest.param([("Start", 5)], 0, id="not at all"),
        pytest.param([("Start", 5), (AWAY, 300)], 0, id="not at all, if the one before was long ago"),
        pytest.param([("Start", 5), (AWAY, 5)], 10, id="10 s, if it is disrupted at once"),
        pytest.param([("Start", 5), *[(AWAY, 5)] * 3], 40, id="longer and longer"),
        pytest.param([("Start", 5), *[(AWAY, 5)] * 15], 300, id="but 5 min at most"),
        pytest.param([("Start", 5), (AWAY, 5), (ALONE, 5)], 0, id="not at all after another reason"),
    ],
)
def test_an_attempt_after_a_disruption_waits(attempts, pause):
    before, now = lineage(running(one="Running"), *attempts)
    assert (after_disruption(before.engine, now).not_before - now).total_seconds() == pause


def test_the_pause_outlives_the_operator():
    before, now = failed(("Start", 5), (ALONE, 5))
    announced = settle(before, now)
    restarted = replace(announced, pod=None, renewals=None, engine_read_after_end=False)
    assert goes_on(restarted, now + timedelta(seconds=19)).engine.status.attempt == 2
    looked = decide(restarted, now + timedelta(seconds=20))
    assert [type(action) for action in looked.actions] == [LookUpPod]
    seen = replace(restarted, pod=Observation(Absent("example-2"), at(0)), engine_read_after_end=True)
    assert goes_on(seen, now + timedelta(seconds=20)).engine.status.attempt == 3


def test_what_follows_and_when_is_shown_on_the_trial_and_as_an_event():
    before, now = failed(("Start", 5))
    assert ("ActivityFailed", True) in recorded_events(decide(before, now))
    message = succeeded(settle(before, now).trials[0].status).message
    assert message == "attempt 2 (Automatic) begins at 10:00:15 UTC or later: activity two failed: as told"


def test_the_alarm_is_set_for_the_end_of_the_pause():
    before, now = failed(("Start", 5))
    assert decide(settle(before, now), now).wake_at == at(15)


def test_a_person_does_not_wait_for_the_pause():
    before, now = failed(("Start", 5), *[(ALONE, 5)] * 5)
    asked = goes_on(asking(settle(before, now), restore="r1"), now)
    assert asked.engine.status.attempt == 7
    assert asked.engine.status.attempts[-1].reason == "Restore"
    assert asked.engine.status.next_attempt is None


def test_a_delete_does_not_wait_for_the_pause():
    before, now = failed(("Start", 5))
    asked = asking(settle(before, now), delete="d1")
    stopped = written(asked, decide(asked, now)).engine.status
    assert (stopped.stop.mode, stopped.next_attempt) == ("Cancel", None)


def test_a_plan_that_turns_out_to_be_through_is_not_begun_again():
    lost = replace(running(one="Running"), pod=Observation(Absent("example-1"), at(9)))
    announced = settle(replace(lost, engine_read_after_end=True), at(9))
    through = with_activities(announced, one="Succeeded", two="Succeeded", three="Succeeded")
    over = settle(through, at(10))
    assert over.trials[0].status.phase == "Succeeded"
    assert over.engine.status.next_attempt is None


# --- taken away, or failed


def gone(**last):
    return Absent("example-1", Pod("example-1", "pod-1", at(0.2), **last) if last else None)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param(gone(), "Disruption", id="it is gone, and was never seen: taken away"),
        pytest.param(gone(deleting=True), "Disruption", id="gone, not seen to end: taken away"),
        pytest.param(gone(disrupted=True), "Disruption", id="gone, having been evicted: taken away"),
        pytest.param(gone(ended=True, disrupted=True), "Disruption", id="evicted to its end: taken away"),
        pytest.param(gone(never_ran=True), "Disruption", id="removed before it ran: taken away"),
        pytest.param(gone(ended=True, exit_code=143), None, id="gone, seen to end: failed"),
        pytest.param(pod(ended=True, exit_code=143), None, id="seen to end: failed"),
        pytest.param(pod(ended=True, disrupted=True), "Disruption", id="seen to end by a drain: taken away"),
    ],
)
def test_an_engine_was_taken_away_or_has_failed(seen, reason):
    observed = seen if isinstance(seen, Observation) else Observation(seen, at(9))
    before = replace(running(one="Running"), pod=observed, engine_read_after_end=True)
    after = settle(before, at(9))
    status = after.engine.status
    following = status.next_attempt or (
        NextAttempt(reason=AWAY, not_before=at(9)) if status.attempt == 2 else None
    )
    assert (following.reason if following else None) == reason
    assert after.trials[0].status.phase == ("Failed" if reason is None else "Running")


def silent(seen):
    renewals = Renewals("pod-1", begun=True, silent=timedelta(seconds=61))
    return replace(
        settle(replace(running(one="Running"), renewals=Observation(renewals, at(61))), at(61)),
        pod=Observation(seen, at(300)),
        engine_read_after_end=True,
    )


def pod_on_lost_node(**facts):
    return Pod("example-1", "pod-1", at(0.2), deleting=True, killed_by=at(91), **facts)


@pytest.mark.parametrize(
    ("seen", "restored"),
    [
        pytest.param(pod_on_lost_node(disrupted=True), True, id="evicted later: yes"),
        pytest.param(gone(deleting=True), True, id="collected later: yes"),
        pytest.param(gone(), True, id="gone when the leader has changed: yes"),
        pytest.param(pod_on_lost_node(), False, id="still there: no"),
        pytest.param(gone(ended=True), False, id="seen to end: no"),
    ],
)
def test_a_silent_engine_turns_out_to_have_been_taken_away(seen, restored):
    before = silent(seen)
    assert before.trials[0].status.phase == "Failed"
    renewals = Renewals("pod-1", begun=True, silent=timedelta(seconds=59))
    waiting = goes_on(replace(before, renewals=Observation(renewals, at(300))), at(300))
    assert waiting.engine.status.attempt == 1
    assert (waiting.trials[0].status.phase == "Running") is restored
    after = goes_on(
        replace(waiting, renewals=Observation(replace(renewals, silent=timedelta(61)), at(302))), at(302)
    )
    assert (after.engine.status.attempts[-1].reason == "Disruption") is restored


def test_the_end_of_a_silent_engine_that_was_seen_is_remembered():
    ended = settle(silent(pod_on_lost_node(ended=True)), at(300))
    assert ended.engine.status.pod_ref.end_time == at(300)
    restarted = replace(ended, pod=Observation(gone(), at(900)), renewals=None)
    assert settle(restarted, at(900)).engine.status.attempt == 1
    assert decide(restarted, at(900)).wake_at is None


def test_an_outcome_that_a_person_has_acted_on_is_not_taken_back():
    asked = goes_on(asking(silent(pod_on_lost_node(disrupted=True)), restore="r1"), at(400))
    assert asked.engine.status.attempts[-1].reason == "Restore"


# --- reports that are cut off


def reporting(**report):
    this = trial(onFailure=[nap("tell"), nap("file")])
    return settle(running(this, one="Failed", **report), at(5))


@pytest.mark.parametrize(
    ("report", "closed"),
    [
        pytest.param({"tell": "Running"}, {"tell": "Failed", "file": "Skipped"}, id="its first activity"),
        pytest.param(
            {"tell": "Succeeded", "file": "Running"}, {"tell": "Succeeded", "file": "Failed"}, id="its last"
        ),
        pytest.param({}, {"tell": "Skipped", "file": "Skipped"}, id="none yet"),
    ],
)
def test_a_report_that_a_drain_cuts_off_is_closed_truthfully_in(report, closed):
    before = reporting(**report)
    drained = replace(before, pod=pod(ended=True, disrupted=True), engine_read_after_end=True)
    assert ("ReportInterrupted", True) in recorded_events(decide(drained, at(9)))
    after = settle(drained, at(9))
    states = {a.name: a.state for a in after.engine.status.activities}
    assert {name: states[name] for name in closed} == closed
    assert after.trials[0].status.phase == "Failed"
    assert isinstance(decide(after, at(9)), Wait)


def test_a_report_continues_as_long_as_its_pod_does():
    before = replace(reporting(tell="Running"), pod=pod())
    assert isinstance(decide(before, at(9)), Wait)


def test_a_report_whose_pod_is_gone_is_closed_once_nothing_can_go_on():
    before = replace(reporting(tell="Running"), pod=Observation(gone(), at(9)), engine_read_after_end=True)
    assert isinstance(decide(before, at(9)), Wait)
    renewals = Renewals("pod-1", begun=True, silent=timedelta(seconds=61), missing=True)
    after = settle(replace(before, renewals=Observation(renewals, at(70))), at(70))
    assert after.engine.status.activity("tell").state == "Failed"


def test_a_restore_repeats_a_report_that_was_cut_off_if_it_fails_again():
    drained = replace(reporting(tell="Running"), pod=pod(ended=True), engine_read_after_end=True)
    after = goes_on(asking(settle(drained, at(9)), restore="r1"), at(10))
    tell = after.engine.status.activity("tell")
    assert (tell.state, tell.run) == ("Pending", 2)
