"""A restore with a repaired plan: which plans fit, what is reset, and each step from request to grant."""

from dataclasses import replace

import msgspec
import pytest
from tests.unit.domain.builders import (
    T,
    asking,
    at,
    deleting,
    ended,
    nap,
    pod,
    recorded_events,
    refused,
    running,
    settle,
    shown,
    steps,
    trial,
    with_activities,
    with_plan_read,
    written,
)
from tests.unit.domain.plan_changes import (
    HALF,
    MENDED,
    answer,
    failed_and_repaired,
    repaired,
    taken,
    taken_over,
)

from lcm_operator.api import conditions
from lcm_operator.api.engine import ActivityStatus
from lcm_operator.domain.actions import LookUpPlan, ReplaceSpec, WriteEngine
from lcm_operator.domain.checkpoint import restored
from lcm_operator.domain.decide import decide
from lcm_operator.domain.plan_change import dropped_release, kept_progress, misfit, pending_plan
from lcm_operator.domain.requests import Request


def plan(*activities, **more):
    """Return the spec of an engine with other activities than those of the builders' Trial."""
    this = ended(**HALF).engine
    assert this is not None
    spec = trial(activities=[a if isinstance(a, dict) else nap(a) for a in activities], **more).spec
    return msgspec.structs.replace(
        this.spec, activities=spec.activities, on_failure=spec.on_failure, finally_=spec.finally_
    )


# --- which plans fit


@pytest.mark.parametrize(
    ("states", "new", "why"),
    [
        pytest.param(HALF, ("one", "mended", "three"), "", id="what failed is replaced"),
        pytest.param(HALF, ("one",), "", id="what failed, and what follows it, is left out"),
        pytest.param(HALF, ("one", "three", "two"), "", id="what remains has another order"),
        pytest.param(HALF, ("one", "new", "two", "three"), "", id="something new after what has succeeded"),
        pytest.param(HALF, ("two", "three"), "'one' has succeeded and is missing", id="one has gone"),
        pytest.param(HALF, ("two", "one"), "'two' remains to be done and comes before 'one'", id="in front"),
        pytest.param(
            HALF, ("new", "one"), "'new' remains to be done and comes before 'one'", id="new in front"
        ),
        pytest.param(
            {"one": "Succeeded", "two": "Succeeded"},
            ("two", "one", "three"),
            "'two' has succeeded and is out of order; expected one, two",
            id="another order of what has succeeded",
        ),
        pytest.param(
            {"one": "Skipped", "two": "Succeeded", "three": "Failed"},
            ("one", "two", "four"),
            "",
            id="what was skipped stays where it was",
        ),
        pytest.param(
            {"one": "Skipped", "two": "Succeeded", "three": "Failed"}, ("two", "four"), "", id="or goes"
        ),
        pytest.param(
            {"one": "Succeeded", "two": "Running"}, ("one", "mended"), "", id="what was in flight is replaced"
        ),
        pytest.param({}, ("other",), "", id="nothing has run: any plan"),
    ],
)
def test_a_plan_fits_if_all_that_has_succeeded_comes_first(states, new, why):
    this = with_activities(running(), **states).engine
    assert this is not None
    found = misfit(this, plan(*new))
    assert why in found if why else found == ""


def test_tolerated_failure_is_repeated_once_the_plan_tolerates_it_no_more():
    tolerant = trial(activities=[nap("one", continueOnError=True), nap("two"), nap("three")])
    this = with_activities(running(tolerant), one="Failed", two="Succeeded", three="Failed").engine
    assert this is not None
    assert misfit(this, plan(nap("one", continueOnError=True), "two")) == ""
    assert "'one' remains to be done" in misfit(this, plan("one", "two"))


def test_what_ran_beside_the_plan_is_no_progress_in_it():
    first = running(trial(**{"finally": [nap("free")]}))
    this = with_activities(first, one="Succeeded", two="Failed", free="Succeeded").engine
    assert this is not None
    assert "'free' remains to be done" in misfit(this, plan("free", "one"))
    status = restored(this, "RestorePlan", at(20), None, None, plan("one", "free"))
    assert (status.activity("free").state, status.activity("free").run) == ("Pending", 2)


def test_what_the_new_plan_has_in_its_finally_begins_with_a_new_run():
    this = ended(**HALF).engine
    assert this is not None
    status = restored(this, "RestorePlan", at(20), None, None, plan("one", **{"finally": [nap("two")]}))
    assert (status.activity("two").state, status.activity("two").run) == ("Pending", 2)


# --- the steps


def test_trial_and_plan_are_read_for_the_request_first():
    before = failed_and_repaired()
    (look,) = decide(before, at(20)).actions
    assert isinstance(look, LookUpPlan)
    again = replace(with_plan_read(before, at(20)), plan_read=None)
    assert steps(decide(again, at(20))) == ["LookUpPlan"], "a new leader reads them itself"


def test_a_running_engine_is_not_stopped_for_a_plan_that_does_not_fit():
    before = repaired(settle(running(one="Succeeded", two="Running"), at(3)), activities=[nap("two")])
    decision = decide(with_plan_read(before, at(4)), at(4))
    assert steps(decision) == ["WriteEngine", "RecordEvent"]
    assert recorded_events(decision) == [("RequestRefused", True)]


def test_the_request_is_taken_over_in_one_write_and_not_answered():
    before = with_plan_read(failed_and_repaired(), at(20))
    decision = decide(before, at(20))
    (write,) = decision.actions
    assert isinstance(write, WriteEngine)
    status = write.status
    assert (status.attempt, status.pod_ref, status.trial_requests) == (2, None, ())
    assert status.pending_plan is not None
    assert (status.pending_plan.trial_generation, status.pending_plan.plan_generation) == (2, 2)
    assert [(each.id, each.on_trial) for each in status.pending_plan.requests] == [("r1", True)]
    assert (status.attempts[-1].reason, status.attempts[-1].from_activity) == ("RestorePlan", "mended")
    assert shown(decision, "Succeeded") == ("Unknown", "Restoring")


def test_no_pod_is_created_before_the_spec_is_replaced():
    before = taken_over()
    assert steps(decide(before, at(21))) == ["LookUpPlan"]
    (replacing,) = decide(with_plan_read(before, at(21)), at(21)).actions
    assert isinstance(replacing, ReplaceSpec)
    assert [activity.name for activity in replacing.spec.activities] == ["one", "mended", "three"]
    assert replacing.spec.start_time == T


def test_what_was_begun_is_kept_even_if_the_plan_no_longer_has_it():
    before = settle(replace(taken(), pod=pod(2)), at(20))
    assert before.engine is not None
    assert before.engine.status.pod_ref is not None
    status = before.engine.status
    assert (status.pending_plan, status.plan_generation) == (None, 2)
    assert answer(status) == ("Done", "attempt 2 begins at mended with the plan of generation 2")
    assert [(each.name, each.state) for each in status.activities] == [
        ("one", "Succeeded"),
        ("two", "Pending"),
    ]
    assert before.trials[0].status.plan_generation == 2


def test_the_request_is_done_once_the_spec_is_replaced_before_any_pod():
    before = taken()
    decision = decide(before, at(21))
    assert steps(decision) == ["WriteEngine", "RecordEvent"]
    assert recorded_events(decision) == [("Restored", False)]
    after = written(before, decision).engine
    assert after is not None
    assert answer(after.status) == ("Done", "attempt 2 begins at mended with the plan of generation 2")
    assert (after.status.pending_plan, after.status.pod_ref) == (None, None)


def test_a_plan_that_was_taken_is_done_though_its_attempt_gets_no_pod():
    late = settle(replace(taken(), refusal=refused(200)), at(200.1))
    assert late.engine is not None
    assert answer(late.engine.status)[0] == "Done"
    assert conditions.reason(late.engine.status.conditions, "Succeeded") == "EngineNotGranted"


@pytest.mark.parametrize("new", [{}, {"finally": [nap("other")]}])
def test_a_plan_that_drops_a_release_that_is_owed_is_refused(new):
    before = ended(trial(**{"finally": [nap("free")]}), **HALF)
    assert before.engine is not None
    before = repaired(before, activities=MENDED, **({"finally": []} | new))
    write, event = decide(with_plan_read(before, at(20)), at(20)).actions
    assert isinstance(write, WriteEngine)
    why = "restore-plan: release 'free' is still owed and must stay in finally"
    assert (answer(write.status), event.message) == (("Refused", why), why)
    assert (write.status.attempt, write.status.activities) == (1, before.engine.status.activities)


@pytest.mark.parametrize(
    "states",
    [
        pytest.param({}, id="as nothing has begun"),
        pytest.param(HALF | {"free": "Succeeded"}, id="as it has passed"),
    ],
)
def test_a_release_that_is_not_owed_may_go(states):
    this = with_activities(running(trial(**{"finally": [nap("free")]})), **states).engine
    assert this is not None
    assert dropped_release(this, plan("one", "mended")) == ""


def test_of_what_the_plan_no_longer_has_what_was_never_begun_is_forgotten():
    this = taken().engine
    assert this is not None
    entries = [ActivityStatus(name=f"old{n}", state="Pending", run=1 + n % 2) for n in range(200)]
    status = msgspec.structs.replace(this.status, activities=(*this.status.activities, *entries))
    kept = [each.name for each in kept_progress(msgspec.structs.replace(this, status=status))]
    assert kept[0] == "one"
    assert "old0" not in kept
    assert kept[-1] == "old199"
    small = msgspec.structs.replace(status, activities=tuple(entries))
    spec = plan(*(f"a{n}" for n in range(100)))
    crowded = msgspec.structs.replace(this, spec=spec, status=small)
    assert len(kept_progress(crowded)) == 28


def test_at_most_twenty_requests_wait_for_a_plan():
    this = taken_over().engine
    assert this is not None
    asked = tuple(Request("Restore", f"r{number}", on_trial=True) for number in range(30))
    assert len(pending_plan(this, this.spec, asked).requests) == 20


@pytest.mark.parametrize("removed", [False, True])
def test_a_request_is_done_with_the_spec_though_the_engine_is_deleted(removed):
    this = taken()
    assert this.engine is not None
    this = replace(this, engine=deleting(this.engine)) if removed else asking(this, restore="r1", delete="d1")
    decision = decide(this, at(22))
    assert recorded_events(decision) == [("Restored", False)]
    after = written(this, decision)
    assert after.engine is not None
    assert answer(after.engine.status)[0] == "Done"
    assert "WriteEngine" in steps(decide(after, at(22))), "it is told to stop"


def test_request_for_a_plan_not_taken_is_refused_as_the_engine_is_removed():
    this = taken_over()
    assert this.engine is not None
    (write, event) = decide(replace(this, engine=deleting(this.engine)), at(22)).actions
    assert isinstance(write, WriteEngine)
    assert write.status.pending_plan is None
    assert answer(write.status) == ("Refused", "the engine is being removed")
    assert event.reason == "RequestRefused"


def test_a_plan_can_be_taken_from_an_activity_on():
    three = ended(one="Succeeded", two="Succeeded", three="Failed")
    annotations = {"restore": "r1", "restore_from": "r1/two", "restore_plan": "r1"}
    before = repaired(three, annotations, activities=[nap("one"), nap("two"), nap("four")])
    begun = decide(with_plan_read(before, at(20)), at(20)).actions[0]
    assert isinstance(begun, WriteEngine)
    two = begun.status.activity("two")
    assert (two.state, two.run) == ("Pending", 2)
    assert begun.status.attempts[-1].from_activity == "two"


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        pytest.param("gone", "no activity 'gone'", id="neither plan has"),
        pytest.param("two", "no activity 'two'", id="only the old plan has"),
        pytest.param("three", "'mended' comes before 'three'", id="comes after one that has not passed"),
    ],
)
def test_a_plan_can_not_be_taken_from_an_activity_that(chosen, words):
    annotations = {"restore": "r1", "restore_from": f"r1/{chosen}", "restore_plan": "r1"}
    before = with_plan_read(failed_and_repaired(annotations), at(20))
    write, _ = decide(before, at(20)).actions
    assert isinstance(write, WriteEngine)
    result, message = answer(write.status)
    assert (result, words in message) == ("Refused", True), message


def test_a_restore_plan_of_another_request_is_left_out_and_said_so():
    before = failed_and_repaired({"restore": "r2", "restore_plan": "r1"})
    write, _ = decide(before, at(20)).actions
    assert isinstance(write, WriteEngine)
    result, message = answer(write.status)
    assert result == "Done"
    assert "restore-plan is of request 'r1' and was ignored" in message


def test_a_plain_restore_of_the_other_object_is_met_by_the_new_plan():
    before = asking(failed_and_repaired(), on="engine", restore="e1")
    before = with_plan_read(before, at(20))
    begun = replace(written(before, decide(before, at(20))), pod=None)
    begun = with_plan_read(begun, at(21))
    granted = settle(replace(written(begun, decide(begun, at(21))), pod=pod(2)), at(22))
    assert granted.engine is not None
    status = granted.engine.status
    assert answer(status)[0] == "Done"
    assert status.last_handled_restore is not None
    assert (status.last_handled_restore.id, status.last_handled_restore.result) == ("e1", "Merged")
