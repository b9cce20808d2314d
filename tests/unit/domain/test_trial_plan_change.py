"""A restore with a changed TrialPlan, with and without the request to take it."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    asking,
    at,
    edited,
    ended,
    nap,
    pod,
    running,
    settle,
    trial,
    with_plan_read,
)
from tests.unit.domain.plan_changes import HALF, MENDED, answer, taken_over

from lcm_operator.api.engine import ActivityStatus
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.plan import TrialPlan, TrialPlanSpec
from lcm_operator.domain.actions import WriteEngine
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Problem

# --- a TrialPlan


def trial_plan(generation=1, uid="plan-1", activities=("one", "two", "three"), **spec):
    made = trial(activities=[nap(name) for name in activities], **spec).spec.activities
    metadata = Metadata(name="default", namespace="lab", uid=uid, generation=generation, resource_version="1")
    return TrialPlan(metadata=metadata, spec=TrialPlanSpec(activities=made))


def by_plan(**seen):
    """Return the snapshot of a failed engine whose Trial uses a TrialPlan."""
    before = ended(**HALF)
    (owner,) = before.trials
    assert before.engine is not None
    owner = msgspec.structs.replace(owner, spec=msgspec.structs.replace(owner.spec, activities=()))
    spec = msgspec.structs.replace(before.engine.spec, plan_generation=1, plan_uid="plan-1")
    this = msgspec.structs.replace(before.engine, spec=spec)
    return replace(before, trials=(owner,), engine=this, **({"plan": trial_plan()} | seen))


@pytest.mark.parametrize(
    ("now", "words"),
    [
        pytest.param(trial_plan(2, activities=("one", "mended")), "", id="was edited"),
        pytest.param(trial_plan(1, uid="plan-2", activities=("one", "mended")), "", id="was made anew"),
        pytest.param(
            Problem("PlanNotFound", "TrialPlan default does not exist"), "does not exist", id="is gone"
        ),
        pytest.param(Problem("PlanMalformed", "TrialPlan default: what?"), "what?", id="is malformed"),
    ],
)
def test_a_trial_plan_that(now, words):
    before = asking(by_plan(plan=now), restore="r1", restore_plan="r1")
    write = decide(with_plan_read(before, at(20)), at(20)).actions[0]
    assert isinstance(write, WriteEngine)
    if not words:
        assert write.status.pending_plan is not None
        return
    result, message = answer(write.status)
    assert (result, words in message) == ("Refused", True)
    assert write.status.attempt == 1


def test_parameters_that_the_repaired_plan_does_not_declare_are_named():
    before = asking(by_plan(plan=trial_plan(2)), restore="r1", restore_plan="r1")
    (owner,) = before.trials
    given = msgspec.structs.replace(
        owner, spec=msgspec.structs.replace(owner.spec, parameters={"height": "30"})
    )
    write, _ = decide(with_plan_read(replace(before, trials=(given,)), at(20)), at(20)).actions
    assert isinstance(write, WriteEngine)
    assert "spec.parameters.height: not declared" in answer(write.status)[1]


@pytest.mark.parametrize(
    ("now", "words"),
    [
        pytest.param(
            trial_plan(2, activities=("one", "mended")),
            "restored with the plan of generation 1; the Trial's plan is at generation 2",
            id="says so if the plan has changed",
        ),
        pytest.param(trial_plan(), "", id="says nothing if it has not"),
        pytest.param(trial_plan(2), "", id="says nothing if nothing of it differs"),
    ],
)
def test_a_plain_restore_by_a_trial_plan(now, words):
    before = with_plan_read(asking(by_plan(plan=now), restore="r1"), at(20))
    write, _ = decide(before, at(20)).actions
    assert isinstance(write, WriteEngine)
    result, message = answer(write.status)
    assert result == "Done"
    assert words in message if words else message == "attempt 2 begins at two"


def test_a_plain_restore_says_that_parameters_or_settings_have_changed():
    before = asking(by_plan(), restore="r1")
    (owner,) = before.trials
    changed = edited(
        owner, annotations=owner.metadata.annotations, activities=None, engine={"maxRestores": 1}
    )
    write, _ = decide(with_plan_read(replace(before, trials=(changed,)), at(20)), at(20)).actions
    assert isinstance(write, WriteEngine)
    assert "those of generation 1 of the Trial, now at 2" in answer(write.status)[1]


def test_a_restore_that_happens_by_itself_takes_the_snapshot():
    stubborn = trial(engine={"maxRestores": 1})
    before = replace(running(stubborn, **HALF), pod=pod(ended=True, exit_code=1), engine_read_after_end=True)
    (owner,) = before.trials
    before = replace(before, trials=(edited(owner, activities=MENDED),))
    after = settle(before, at(10))
    assert after.engine is not None
    assert [activity.name for activity in after.engine.spec.activities] == ["one", "two", "three"]
    assert after.engine.status.pending_plan is None


def test_activity_removed_from_the_plan_is_reset_until_the_plan_is_taken():
    status = taken_over().engine.status
    assert status.activity("two") == ActivityStatus(name="two", state="Pending", run=1, start_time=at(0.5))
