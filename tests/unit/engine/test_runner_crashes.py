"""What holds wherever the engine is killed: the crash points of the runner's docstring, and every point.

A kill is an exception that nothing catches; the next engine begins from what the store has.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.unit.engine.builders import POD, Memory, Stub, nap, plan, runner

from lcm_operator.api.engine import TrialEngineSpec
from lcm_operator.engine.interrupts import Interrupts
from lcm_operator.engine.outcome import ActivityFailedError, Ending, Performed, Report

PLAN = plan(nap("one"), nap("two"), nap("three"))


class KilledError(BaseException):
    """SIGKILL."""


def kill(*_):
    raise KilledError


async def kill_outside(_scope):
    raise KilledError


def run(store, perform, the_plan=PLAN):
    return asyncio.run(runner(the_plan, store, perform).run())


def run_killed(store, perform, the_plan=PLAN):
    with pytest.raises(KilledError):
        run(store, perform, the_plan)


def on_save(number, act):
    """Return a hook that acts at the n-th save only."""
    seen = []

    def hook(checkpoint):
        seen.append(checkpoint)
        if len(seen) == number:
            act()

    return hook


def states(store):
    return [activity.state for activity in store.status().activities]


def test_a_killed_before_a_save_nothing_of_the_activity_has_happened():
    store, first, second = Memory(), Stub(), Stub()
    store.before = on_save(1, kill)
    run_killed(store, first)
    store.before = lambda _: None

    assert first.calls == []
    assert run(store, second).ending is Ending.FINISHED
    assert second.names == ["one", "two", "three"]


def test_b_kill_between_save_and_outside_call_repeats_it_with_the_same_run():
    store, first, second = Memory(), Stub(), Stub()
    store.after = on_save(2, kill)
    run_killed(store, first)
    store.after = lambda _: None

    assert first.names == ["one"]
    assert states(store) == ["Succeeded", "Running", "Pending"]
    run(store, second)
    assert second.calls == [("two", 1), ("three", 1)]


def test_b_kill_during_the_outside_call_repeats_only_it_with_the_same_run():
    store, first, second = Memory(), Stub(two=kill_outside), Stub()
    run_killed(store, first)

    assert states(store) == ["Succeeded", "Running", "Pending"]
    run(store, second)
    assert first.calls == [("one", 1), ("two", 1)]
    assert second.calls == [("two", 1), ("three", 1)]


def test_c_kill_between_outside_call_and_save_repeats_it_with_the_same_run():
    store, first, second = Memory(), Stub(), Stub()
    store.before = on_save(3, kill)
    run_killed(store, first)
    store.before = lambda _: None

    assert first.names == ["one", "two"]
    run(store, second)
    assert second.calls == [("two", 1), ("three", 1)]


def test_d_kill_after_the_save_leaves_it_over_and_the_next_one_untouched():
    store, first, second = Memory(), Stub(), Stub()
    store.after = on_save(3, kill)
    run_killed(store, first)
    store.after = lambda _: None

    assert first.names == ["one", "two"]
    run(store, second)
    assert second.names == ["three"]


def test_e_kill_after_the_last_save_leaves_a_restore_nothing_to_write():
    store, first, second = Memory(), Stub(), Stub()
    store.after = on_save(4, kill)
    run_killed(store, first)
    written = len(store.saved)

    assert run(store, second).ending is Ending.FINISHED
    assert second.calls == []
    assert len(store.saved) == written


MIXED = plan(
    nap("fetch"),
    nap("unused", when="false"),
    nap("flaky", retry={"limit": 1, "backoffSeconds": 0}),
    nap("tolerated", continueOnError=True),
    nap("last", set={"kpiLabel": "Idle"}),
)


def mixed():
    return Stub(
        flaky=[ActivityFailedError("not yet"), Performed({"tries": 2})],
        tolerated=ActivityFailedError("never"),
    )


class Recorder:
    """Counts every point at which a kill can strike: before and after each save and each outside call."""

    def __init__(self, store, inner, strike=None):
        self.store, self.inner, self.strike = store, inner, strike
        self.points = 0
        self.done = []
        store.before = store.after = lambda _: self.point()

    def point(self):
        self.points += 1
        if self.points == self.strike:
            raise KilledError

    async def __call__(self, activity, run, scope):
        self.point()
        self.done.append((activity.name, run))
        try:
            return await self.inner(activity, run, scope)
        finally:
            if self.points != self.strike:
                self.point()


LISTS = {
    "onFailure": [nap("tell"), nap("unsaid", when="false"), nap("say")],
    "finally": [
        nap("free"),
        nap("kept", when="false"),
        nap("clean", retry={"limit": 1, "backoffSeconds": 0}),
    ],
}


def ending_in_lists(**results):
    clean = [ActivityFailedError("not yet"), Performed()]
    return Stub(
        tell=ActivityFailedError("nobody"), free=ActivityFailedError("not mine"), clean=clean, **results
    )


@dataclass(frozen=True)
class Scenario:
    """One way through a plan: its last report, and the last states, by the first letter.

    `side_by_side`: how many activities may be in flight at once.
    """

    plan: TrialEngineSpec
    perform: Callable[[], Stub]
    ending: Ending
    final: str
    stopped: bool = False
    side_by_side: int = 1

    def run(self, store, perform):
        interrupts = Interrupts(POD)
        if self.stopped:
            interrupts.stop.trigger(Report(Ending.STOPPED))
        return asyncio.run(runner(self.plan, store, perform, interrupts=interrupts).run())

    def points(self):
        recorder = Recorder(store := Memory(), self.perform())
        self.run(store, recorder)
        return recorder.points


SCENARIOS = {
    "a plan of all kinds": Scenario(MIXED, mixed, Ending.FINISHED, "S-SFS"),
    "a plan with finally": Scenario(plan(nap("one"), **LISTS), ending_in_lists, Ending.FINISHED, "SPPPF-S"),
    "a failure with onFailure": Scenario(
        plan(nap("one"), **LISTS),
        lambda: ending_in_lists(one=ActivityFailedError("503")),
        Ending.ACTIVITY_FAILED,
        "FF-SPPP",
    ),
    "a plan with parallel branches": Scenario(
        plan(
            nap("first"),
            nap("a", branch="x"),
            nap("b", branch="y", retry={"limit": 1, "backoffSeconds": 0}),
            nap("c", branch="x"),
            nap("d", branch="y", continueOnError=True),
            nap("e", branch="z", when="false"),
            nap("last"),
        ),
        lambda: Stub(b=[ActivityFailedError("not yet"), Performed()], d=ActivityFailedError("never")),
        Ending.FINISHED,
        "SSSSF-S",
        side_by_side=2,
    ),
    "a branch that fails": Scenario(
        plan(nap("a", branch="x"), nap("b", branch="x"), nap("c", branch="y"), **LISTS),
        lambda: ending_in_lists(b=ActivityFailedError("503")),
        Ending.ACTIVITY_FAILED,
        "SFSF-SPPP",
        side_by_side=2,
    ),
    "a stop with finally": Scenario(
        plan(nap("one"), **LISTS), ending_in_lists, Ending.STOPPED, "PPPPF-S", stopped=True
    ),
}


@pytest.mark.parametrize(
    ("scenario", "strike"),
    [
        pytest.param(scenario, strike, id=f"{name}, killed at point {strike}")
        for name, scenario in SCENARIOS.items()
        for strike in range(1, scenario.points() + 1)
    ],
)
def test_only_the_activity_in_flight_is_repeated_and_the_outcome_is_the_same(scenario, strike):
    store = Memory()
    first = Recorder(store, scenario.perform(), strike)
    with pytest.raises(KilledError):
        scenario.run(store, first)
    over = {a.name for a in store.status().activities if a.state not in ("Running", "Pending")}

    second = Recorder(store, scenario.perform())
    report = scenario.run(store, second)

    assert report.ending is scenario.ending
    assert "".join("-" if state == "Skipped" else state[0] for state in states(store)) == scenario.final
    assert store.status().values == ({"kpiLabel": "Idle"} if scenario.plan is MIXED else {})
    assert over.isdisjoint(name for name, _ in second.done)
    repeated = {name for name, _ in first.done} & {name for name, _ in second.done}
    assert len(repeated) <= scenario.side_by_side
    assert {run_number for _, run_number in first.done + second.done} <= {1}


def test_checkpoint_sequence_grows_by_one_with_each_write_of_all_attempts():
    store = Memory()
    store.after = on_save(2, kill)
    run_killed(store, Stub())
    store.after = lambda _: None
    run(store, Stub())

    assert [saved.mark.sequence for saved in store.saved] == list(range(1, len(store.saved) + 1))
