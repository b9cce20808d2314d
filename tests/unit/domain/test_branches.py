"""What the operator makes of a plan with parallel branches: outcome, restore, a repaired plan."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from tests.unit.domain.builders import asking, at, ended, nap, running, settle, trial, with_activities

from lcm_operator.api.engine import ConsumedSignal, Signal
from lcm_operator.domain.attempt_end import longest_silence
from lcm_operator.domain.checkpoint import restored
from lcm_operator.domain.plan_change import misfit
from lcm_operator.domain.restore_requests import restore_from_fault
from lcm_operator.domain.verdict import judge, progress


def side(name, branch, **more):
    return nap(name, branch=branch, **more)


FLIGHT = [
    nap("deploy"),
    side("start", "fly"),
    side("land", "fly"),
    side("measure", "data"),
    side("store", "data"),
    nap("release"),
]


def at_work(activities=FLIGHT, **states):
    before = running(trial(activities=activities), **states)
    assert before.engine is not None
    return before


def with_times(before, **times):
    status = before.engine.status
    activities = tuple(
        msgspec.structs.replace(each, completion_time=at(times[each.name])) if each.name in times else each
        for each in status.activities
    )
    engine = msgspec.structs.replace(
        before.engine, status=msgspec.structs.replace(status, activities=activities)
    )
    return replace(before, engine=engine)


def judged(before):
    return judge(before, before.engine)


def test_branches_in_flight_decide_nothing_and_progress_counts_what_passed():
    before = at_work(deploy="Succeeded", start="Running", measure="Succeeded", store="Running")

    assert judged(before) is None
    assert progress(before.engine) == "2/6"


def test_of_two_failures_the_first_to_fail_is_the_reason():
    before = with_times(at_work(start="Failed", measure="Failed"), start=9, measure=8)

    verdict = judged(before)

    assert verdict is not None
    assert (verdict.reason, verdict.message) == (
        "ActivityFailed",
        "activity measure failed: as told; failed as well: start",
    )


def test_a_tolerated_failure_in_a_branch_decides_nothing():
    tolerant = [side("fly", "fly"), side("measure", "data", continueOnError=True)]

    assert judged(at_work(tolerant, fly="Running", measure="Failed")) is None


def test_outcome_of_a_failed_block_is_recorded_with_stopped_branches():
    before = with_activities(at_work(), deploy="Succeeded", start="Pending", measure="Failed")

    over = settle(before, at(10))

    assert over.trials[0].status.phase == "Failed"


def states_after(before, *args):
    status = restored(before.engine, "Restore", at(20), None, *args)
    return {each.name: (each.state, each.run) for each in status.activities}, status


def test_a_restore_repeats_of_each_branch_only_what_was_not_done():
    before = at_work(
        deploy="Succeeded", start="Succeeded", land="Pending", measure="Succeeded", store="Failed"
    )

    states, status = states_after(before)

    assert states == {
        "deploy": ("Succeeded", 1),
        "start": ("Succeeded", 1),
        "land": ("Pending", 1),
        "measure": ("Succeeded", 1),
        "store": ("Pending", 1),
    }
    land = status.activity("land")
    assert land.message == "", "why it was stopped is a matter of the last attempt"
    assert land.start_time is not None, "it goes on in the same run"


@pytest.mark.parametrize(
    ("chosen", "reset"),
    [
        ("deploy", "deploy start land measure store release"),
        ("start", "start land release"),
        ("land", "land release"),
        ("store", "store release"),
        ("release", "release"),
    ],
)
def test_restore_from_resets_its_own_branch_and_what_follows_the_block(chosen, reset):
    names = [activity["name"] for activity in FLIGHT]
    before = at_work(**dict.fromkeys(names, "Succeeded"))

    states, _ = states_after(before, chosen)

    assert " ".join(name for name, (state, _) in states.items() if state == "Pending") == reset
    assert {run for state, run in states.values() if state == "Pending"} == {2}


def test_restore_from_gives_back_no_signal_of_another_branch():
    plan = [
        side("go", "fly") | {"wait": {"signal": "go"}},
        side("measure", "data") | {"wait": {"signal": "stop"}},
    ]
    for activity in plan:
        del activity["sleep"]
    before = at_work(plan, go="Succeeded", measure="Succeeded")
    status = msgspec.structs.replace(
        before.engine.status,
        signals=tuple(Signal(id=name, name=name, received_time=at(1)) for name in ("go", "stop")),
        consumed_signals=(
            ConsumedSignal(id="go", activity="go"),
            ConsumedSignal(id="stop", activity="measure"),
        ),
    )
    engine = msgspec.structs.replace(before.engine, status=status)

    after = restored(engine, "RestoreFrom", at(20), None, "go")

    assert [taken.id for taken in after.consumed_signals] == ["stop"]


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        pytest.param("land", "", id="another branch is not through"),
        pytest.param(
            "store", "'measure' comes before 'store' and has not passed (Running)", id="its own is not"
        ),
        pytest.param("release", "'measure' comes before 'release' and has not passed", id="after the block"),
    ],
)
def test_restore_from_may_begin_where_all_that_it_waits_for_has_passed(chosen, why):
    before = at_work(deploy="Succeeded", start="Succeeded", land="Succeeded", measure="Running")

    assert why in restore_from_fault(chosen, before.engine)
    assert bool(why) == bool(restore_from_fault(chosen, before.engine))


def test_request_for_restore_from_in_a_branch_is_carried_out():
    before = ended(
        trial(activities=FLIGHT), deploy="Succeeded", start="Succeeded", land="Failed", measure="Succeeded"
    )

    after = settle(asking(before, restore="r1", restore_from="r1/start"), at(20))

    assert after.engine is not None
    states = {each.name: each.state for each in after.engine.status.activities}
    assert states == {"deploy": "Succeeded", "start": "Pending", "land": "Pending", "measure": "Succeeded"}


DONE = {"deploy": "Succeeded", "start": "Succeeded", "measure": "Succeeded", "land": "Failed"}


@pytest.mark.parametrize(
    ("new", "why"),
    [
        pytest.param(FLIGHT, "", id="the same plan"),
        pytest.param([FLIGHT[0], *FLIGHT[3:5], *FLIGHT[1:3], FLIGHT[5]], "", id="branches in another order"),
        pytest.param([*FLIGHT[:5], side("log", "log"), FLIGHT[5]], "", id="one more branch"),
        pytest.param(
            [nap("deploy"), nap("start"), nap("measure"), nap("land")], "", id="no branches any more"
        ),
        pytest.param(
            [nap("deploy"), side("start", "a"), side("land", "a"), nap("measure")],
            "'land' remains to be done and comes before 'measure'",
            id="a join before what has succeeded",
        ),
        pytest.param(
            [nap("deploy"), side("start", "a"), side("check", "b"), side("measure", "b")],
            "'check' remains to be done and comes before 'measure'",
            id="something new before it in its branch",
        ),
        pytest.param(
            [side("start", "a"), side("deploy", "b"), side("measure", "b")],
            "",
            id="what was in order runs parallel",
        ),
        pytest.param(
            [nap("start"), nap("deploy"), nap("measure")],
            "'start' has succeeded and is out of order; expected deploy, start, measure",
            id="out of order",
        ),
        pytest.param(
            [nap("deploy"), nap("measure"), nap("start")], "", id="what ran parallel is put in any order"
        ),
        pytest.param(FLIGHT[:3], "'measure' has succeeded and is missing", id="a branch left out"),
    ],
)
def test_repaired_plan_must_keep_the_order_of_what_has_succeeded(new, why):
    this = at_work(**DONE).engine
    spec = msgspec.structs.replace(this.spec, activities=trial(activities=new).spec.activities)

    assert why in misfit(this, spec)
    assert bool(why) == bool(misfit(this, spec))


def test_silence_lasts_as_long_as_the_longest_of_parallel_requests():
    def ask(name, branch, seconds):
        return {"name": name, "branch": branch, "http": {"url": "http://x/", "timeoutSeconds": seconds}}

    this = at_work([ask("a", "x", 30), ask("b", "y", 90), ask("c", "z", 20)]).engine

    assert longest_silence(this) == timedelta(seconds=60 + 90)
