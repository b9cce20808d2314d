"""What is due decides how urgent a slot is, and which steps are."""

from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest
from tests.unit.domain.builders import (
    armed,
    at,
    deleting,
    edited,
    engine,
    latched,
    refused,
    scheduled,
    settle,
    slot,
    steps,
    trial,
)

from lcm_operator.domain.actions import Urgency
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Observation
from lcm_operator.domain.start_time import urgency_of

START, FOLLOW, RETRY, ROUTINE = Urgency


def of(snapshot, now):
    (chosen,) = snapshot.trials
    return urgency_of(chosen, snapshot.engine, at(0), snapshot.refusal, at(now))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(-3600, ROUTINE, id="an hour ahead"),
        pytest.param(-5.1, ROUTINE, id="more than five seconds ahead"),
        pytest.param(-4.9, START, id="five seconds ahead"),
        pytest.param(0, START, id="due"),
        pytest.param(120, START, id="at the last moment"),
        pytest.param(120.1, ROUTINE, id="after the deadline"),
    ],
)
def test_a_trial_is_urgent_when_its_start_is_near(now, expected):
    assert of(slot(trial()), now) is expected


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(trial(suspend=True), id="suspended"),
        pytest.param(trial(deleted=True), id="being deleted"),
    ],
)
def test_a_trial_that_will_not_start_is_not_urgent(changed):
    assert of(slot(changed), 0) is ROUTINE


def test_a_missed_trial_is_not_urgent():
    assert of(settle(slot(trial()), at(200)), 0) is ROUTINE


def test_a_slot_without_a_holder_is_not_urgent():
    assert urgency_of(None, engine(), None, None, at(0)) is ROUTINE


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        pytest.param(refused(-10), START, id="while it was armed"),
        pytest.param(refused(1), RETRY, id="when it was due"),
    ],
)
def test_a_start_that_was_refused_is_a_retry(refusal, expected):
    assert of(slot(trial(), refusal=refusal), 2) is expected


def test_a_latched_trial_waits_for_its_grant():
    before = latched()
    assert of(before, 3600) is FOLLOW
    assert of(replace(before, refusal=refused(3)), 3600) is RETRY


def test_a_granted_trial_is_not_urgent():
    assert of(settle(latched(), at(5)), 5) is ROUTINE


# --- steps


@pytest.mark.parametrize(
    ("before", "step"),
    [
        pytest.param(slot(trial()), "CreateEngine", id="its TrialEngine is created"),
        pytest.param(slot(scheduled(), engine=engine()), "CheckAdmission", id="its pod is checked"),
        pytest.param(
            slot(edited(scheduled(), suspend=False), engine=engine()),
            "DeleteEngine",
            id="the TrialEngine of an earlier generation is deleted",
        ),
        pytest.param(
            slot(edited(scheduled(), suspend=False), engine=deleting(engine())),
            "LookUpPod",
            id="the TrialEngine of an earlier generation is being deleted",
        ),
    ],
)
def test_steps_towards_a_near_start_are_urgent_when(before, step):
    decision = decide(before, at(-3))
    assert steps(decision) == [step]
    assert decision.urgency is START
    assert decide(before, at(-30)).urgency is ROUTINE


def test_a_status_that_is_only_shown_is_not_urgent():
    before = armed()
    (chosen,) = before.trials
    stale = msgspec.structs.replace(chosen, status=scheduled().status)
    decision = decide(replace(before, trials=(stale,)), at(-3))
    assert steps(decision) == ["WriteTrial", "RecordEvent"]
    assert decision.urgency is ROUTINE


def test_a_freed_id_is_taken_urgently_when_the_start_is_near():
    other = trial(name="first", uid="trial-0", created=-7200)
    both = settle(slot(other, trial()), at(-100))
    freed = armed(both.trials[1])
    (waiting,) = freed.trials
    assert waiting.status.conditions[0].status == "True"
    refused_id = msgspec.structs.replace(waiting, status=both.trials[1].status)
    decision = decide(replace(freed, trials=(refused_id,)), at(-3))
    assert steps(decision)[0] == "WriteTrial"
    assert decision.urgency is START


def test_a_start_that_the_registry_moves_to_now_is_written_urgently():
    moved = trial(startTime=None, registryRef={"name": "default"})
    moved = msgspec.structs.replace(moved, status=msgspec.structs.replace(moved.status, start_time=at(3600)))
    before = slot(moved, reported={moved.metadata.uid: Observation(at(3), at(0))})
    decision = decide(before, at(0))
    assert "WriteTrial" in steps(decision)
    assert decision.urgency is START
    later = slot(moved, reported={moved.metadata.uid: Observation(at(7200), at(0))})
    assert decide(later, at(0)).urgency is ROUTINE


@pytest.mark.parametrize("deadline", [0, 1, 120, 3600])
def test_a_refused_start_is_tried_every_few_seconds_and_once_at_the_end(deadline):
    """Until the deadline: no pause is longer than five seconds, the last one ends just before it."""
    chosen = scheduled(trial(startingDeadlineSeconds=deadline))
    before = slot(chosen, engine=engine(chosen), refusal=refused(0.01))
    last, tries, now = max(deadline, 1), [0.01], at(0.01)
    while now <= at(last):
        before = settle(before, now)
        decision = decide(before, now)
        if "CreatePod" in steps(decision):
            assert decision.urgency is RETRY
            tries.append((now - at(0)).total_seconds())
            before = replace(before, refusal=refused(tries[-1]))
            continue
        assert decision.wake_at is not None
        assert decision.wake_at > now
        now = decision.wake_at
    assert max(b - a for a, b in pairwise(tries)) < 5.01
    assert last - 0.5 <= tries[-1] <= last


def test_the_start_is_tried_at_once_whatever_was_refused_while_arming():
    before = slot(scheduled(), engine=engine(), refusal=Observation(refused(0).value, at(-0.5)))
    decision = decide(before, at(0))
    assert steps(decision) == ["CreatePod"]
    assert decision.urgency is START
