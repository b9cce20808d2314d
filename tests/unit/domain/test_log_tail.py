"""The end of the log of each attempt that has ended is kept on the TrialEngine."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    T,
    asking,
    at,
    ended,
    nap,
    pod,
    running,
    settle,
    steps,
    trial,
    with_activities,
)

from lcm_operator.domain.decide import decide
from lcm_operator.domain.log_tail import last_part
from lcm_operator.domain.snapshot import LogTail, Observation

LAST = "flight aborted: wind 14 m/s"


def logged(before, text=LAST, uid="pod-1"):
    """Return the slot after its engine, whose pod has ended, and the pod's log were read."""
    seen = Observation(LogTail(uid, text), T)
    return replace(before, log=seen, pod=pod(ended=True), engine_read_after_end=True)


def logs(before):
    return [each.log for each in before.engine.status.attempts]


def succeeded():
    return settle(with_activities(running(trial(activities=[nap("one")])), one="Succeeded"), at(10))


def test_the_log_of_an_engine_that_ended_is_written_with_its_outcome():
    before = logged(ended())
    decision = decide(before, at(10))
    (write, *_) = decision.actions
    assert write.status.attempts[-1].outcome == "Failed"
    assert write.status.attempts[-1].log == LAST
    assert steps(decide(settle(before, at(10)), at(11))) == []


def test_the_log_of_a_success_is_read_and_kept_when_the_pod_has_ended():
    before = succeeded()
    assert logs(before) == [None]
    over = replace(before, pod=pod(ended=True), engine_read_after_end=False)
    assert steps(decide(over, at(11))) == ["LookUpEngine"]
    after = settle(logged(before), at(11))
    assert logs(after) == [LAST]
    assert steps(decide(after, at(12))) == []


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(lambda: logged(succeeded(), text=""), id="an empty log"),
        pytest.param(lambda: logged(succeeded(), uid="pod-0"), id="the log of another pod"),
    ],
)
def test_nothing_is_written_of(before):
    assert steps(decide(before(), at(11))) == []


def test_the_log_of_an_attempt_that_ended_long_ago_is_not_read():
    over = replace(succeeded(), pod=pod(ended=True), engine_read_after_end=False)
    assert steps(decide(over, at(10 + 599))) == ["LookUpEngine"]
    assert steps(decide(over, at(10 + 601))) == []


def test_the_log_of_an_attempt_is_kept_when_the_next_one_begins():
    before = logged(settle(logged(ended()), at(10)), text="of before")
    after = settle(asking(before, restore="r-1"), at(20))
    assert after.engine.status.attempt == 2
    assert logs(after)[0] == LAST


def test_only_the_last_three_attempts_keep_their_log():
    before = logged(ended(trial()))
    first = before.engine.status.attempts[-1]
    lineage = [
        msgspec.structs.replace(first, number=n, completion_time=at(n), log=f"log {n}") for n in (1, 2, 3)
    ]
    status = msgspec.structs.replace(
        before.engine.status, attempt=4, attempts=(*lineage, msgspec.structs.replace(first, number=4))
    )
    engine = msgspec.structs.replace(before.engine, status=status)
    assert logs(settle(replace(before, engine=engine), at(10))) == [None, "log 2", "log 3", LAST]


def test_a_short_log_is_kept_as_a_whole():
    assert last_part("one\ntwo\n") == "one\ntwo"


def test_one_line_that_is_too_long_is_cut_to_its_end():
    assert last_part("x" * 5000 + "y") == "x" * 4095 + "y"
