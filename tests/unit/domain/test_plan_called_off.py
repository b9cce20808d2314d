"""A new plan that is called off between its writes: nothing of the checkpoint is lost."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    absent,
    asking,
    at,
    deleting,
    edited,
    ended,
    held,
    nap,
    recorded_events,
    refused,
    settle,
    shown,
    steps,
    trial,
    with_plan_read,
    written,
)
from tests.unit.domain.plan_changes import HALF, MENDED, answer, repaired, taken, taken_over

from lcm_operator.api import conditions
from lcm_operator.api.engine import ConsumedSignal, Signal
from lcm_operator.domain.actions import ReplaceSpec, WriteEngine
from lcm_operator.domain.decide import decide
from lcm_operator.domain.plan_change import put_back
from lcm_operator.domain.snapshot import Problem


def test_a_plan_changed_between_the_writes_may_not_drop_a_release_either():
    kept = {"activities": MENDED, "finally": [nap("free")]}
    before = with_plan_read(repaired(ended(trial(**{"finally": [nap("free")]}), **HALF), **kept), at(20))
    assert before.engine is not None
    before = replace(before, engine=held(before.engine))
    begun = replace(written(before, decide(before, at(20))), pod=None)
    assert begun.engine is not None
    assert begun.engine.status.pending_plan is not None
    owner = begun.trials[0]
    changed = edited(owner, annotations=owner.metadata.annotations, activities=MENDED, **{"finally": []})
    begun = with_plan_read(replace(begun, trials=(changed,)), at(21))
    decision = decide(begun, at(21))
    assert shown(decision, "Succeeded") == ("False", "RestoreRefused")
    assert shown(decision, "Released") == ("Unknown", "Owed")


def test_a_plan_that_was_called_off_says_where_a_restore_begins():
    before = taken_over()
    owner = before.trials[0]
    changed = edited(owner, annotations=owner.metadata.annotations, activities=[nap("other")])
    before = with_plan_read(replace(before, trials=(changed,)), at(21))
    write = decide(before, at(21)).actions[0]
    assert isinstance(write, WriteEngine)
    assert "a restore without restore-plan begins at 'two'" in answer(write.status)[1]


def test_a_trial_that_had_succeeded_stays_so_when_a_plan_is_called_off():
    longer = [nap("one"), nap("two"), nap("three"), nap("four")]
    done = ended(one="Succeeded", two="Succeeded", three="Succeeded")
    before = with_plan_read(repaired(done, activities=longer), at(20))
    begun = replace(written(before, decide(before, at(20))), pod=None)
    owner = begun.trials[0]
    changed = edited(owner, annotations=owner.metadata.annotations, activities=[nap("other")])
    begun = with_plan_read(replace(begun, trials=(changed,)), at(21))
    decision = decide(begun, at(21))
    assert shown(decision, "Succeeded") == ("True", "Completed")
    write = decision.actions[0]
    assert isinstance(write, WriteEngine)
    assert answer(write.status)[0] == "Refused"


def called_off(done, **asked):
    """Return a trial that was asked to take a plan, the write that took it over, and what called that off."""
    annotations = {"restore": "r1", "restore_plan": "r1"} | asked
    longer = [nap("one"), nap("two"), nap("three"), nap("four")]
    before = with_plan_read(repaired(done, annotations, activities=longer), at(20))
    begun = replace(written(before, decide(before, at(20))), pod=None)
    owner = begun.trials[0]
    refused_one = {"template": {"spec": {"hostNetwork": True}}}
    changed = edited(owner, annotations=owner.metadata.annotations, activities=longer, engine=refused_one)
    begun = with_plan_read(replace(begun, trials=(changed,)), at(21))
    return done, begun, written(begun, decide(begun, at(21)))


def with_effects(before):
    """Return the snapshot of an engine that has set a value and taken a signal."""
    status = msgspec.structs.replace(
        before.engine.status,
        values={"kpiLabel": "Active"},
        signals=(Signal(id="s1", name="slice", received_time=at(1)),),
        consumed_signals=(ConsumedSignal(id="s1", activity="two"),),
    )
    return replace(before, engine=msgspec.structs.replace(before.engine, status=status))


def checkpoint(before):
    status = before.engine.status
    return status.activities, status.values, status.consumed_signals


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        pytest.param({"one": "Succeeded", "two": "Succeeded", "three": "Succeeded"}, {}, id="of a success"),
        pytest.param(
            {"one": "Succeeded", "two": "Succeeded", "three": "Succeeded"},
            {"restore_from": "r1/two"},
            id="of a success, from an activity on",
        ),
        pytest.param({"one": "Succeeded", "two": "Failed"}, {}, id="of a failure"),
        pytest.param(
            {"one": "Succeeded", "two": "Failed"},
            {"restore_from": "r1/one"},
            id="of a failure, from the start",
        ),
    ],
)
def test_a_plan_that_is_called_off_loses_nothing_of_the_checkpoint(states, asked):
    waits = [
        nap("one"),
        {"name": "two", "wait": {"signal": "slice"}, "set": {"kpiLabel": "Active"}},
        nap("three"),
    ]
    done, begun, over = called_off(with_effects(ended(trial(activities=waits), **states)), **asked)
    assert checkpoint(over) == checkpoint(done)
    assert over.engine.status.pending_plan is None
    through = states.get("three") == "Succeeded"
    assert conditions.reason(over.engine.status.conditions, "Succeeded") == (
        "Completed" if through else "RestoreRefused"
    )
    (write, *_) = decide(begun, at(21)).actions
    assert write.engine is begun.engine, "what is written differs from what stands there"


def test_a_delete_between_the_writes_loses_nothing_of_the_checkpoint_either():
    states = {"one": "Succeeded", "two": "Succeeded", "three": "Succeeded"}
    done, begun, _ = called_off(ended(**states), restore_from="r1/two")
    assert begun.engine.status.activity("two").state == "Pending"
    going = replace(begun, engine=deleting(begun.engine))
    (write, *_) = decide(going, at(22)).actions
    assert write.engine is going.engine
    assert write.status.activities == done.engine.status.activities
    assert write.status.pending_plan is None


def test_an_attempt_that_is_given_up_before_it_has_its_plan_loses_nothing():
    states = {"one": "Succeeded", "two": "Succeeded", "three": "Succeeded"}
    done, begun, _ = called_off(ended(**states), restore_from="r1/two")
    late = decide(replace(begun, refusal=refused(200)), at(200.1))
    assert shown(late, "Succeeded") == ("True", "Completed")
    assert late.actions[0].status.activities == done.engine.status.activities


def test_what_was_reset_stays_so_once_the_plan_is_taken():
    before = taken()
    assert put_back(before.engine) is before.engine


def test_plan_that_changes_between_the_writes_is_taken_in_its_last_version():
    before = taken_over()
    changed = edited(
        before.trials[0], annotations=before.trials[0].metadata.annotations, activities=[nap("one")]
    )
    before = with_plan_read(replace(before, trials=(changed,)), at(21))
    newer = written(before, decide(before, at(21)))
    assert newer.engine is not None
    assert newer.engine.status.pending_plan is not None
    assert newer.engine.status.pending_plan.trial_generation == 3
    (replacing,) = decide(newer, at(21)).actions
    assert isinstance(replacing, ReplaceSpec)
    assert [activity.name for activity in replacing.spec.activities] == ["one"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"activities": [nap("other")]}, "'one' has succeeded and is missing", id="does not fit"),
        pytest.param(
            {"engine": {"template": {"spec": {"hostNetwork": True}}}}, "hostNetwork", id="is refused"
        ),
    ],
)
def test_a_restore_is_called_off_when_the_plan_that_was_taken_over(change, words):
    before = taken_over()
    changed = edited(before.trials[0], annotations=before.trials[0].metadata.annotations, **change)
    before = with_plan_read(replace(before, trials=(changed,)), at(21))
    decision = decide(before, at(21))
    assert shown(decision, "Succeeded") == ("False", "RestoreRefused")
    assert recorded_events(decision) == [("RequestRefused", True)]
    over = settle(written(before, decision), at(21))
    assert over.engine is not None
    assert over.engine.status.pending_plan is None
    assert over.engine.status.pod_ref is None
    result, message = answer(over.engine.status)
    assert (result, words in message) == ("Refused", True)
    assert over.trials[0].status.phase == "Failed"
    assert steps(decide(over, at(60))) == []
    again = replace(asking(over, restore="r2"), pod=absent("example-2"), engine_read_after_end=True)
    assert "WriteEngine" in steps(decide(again, at(61))), "it can be restored again"


def test_a_spec_that_the_api_server_refuses_calls_the_restore_off():
    before = with_plan_read(taken_over(), at(21))
    before = replace(before, refusal=refused(21, Problem("PlanUnsupported", "422 spec.activities: too many")))
    decision = decide(before, at(22))
    assert shown(decision, "Succeeded") == ("False", "RestoreRefused")


@pytest.mark.parametrize(
    "before_that",
    [
        pytest.param(refused(21), id="that of a pod"),
        pytest.param(refused(-5, Problem("PlanUnsupported", "422")), id="that of an earlier plan"),
    ],
)
def test_another_refusal_does_not(before_that):
    before = replace(with_plan_read(taken_over(), at(21)), refusal=before_that)
    assert steps(decide(before, at(22))) == ["ReplaceSpec"]
