"""Whole variants of a trial, and what must hold in every one of them."""

import pytest
from tests.unit.controllers.simulation import (
    Simulation,
    annotate,
    has_ended,
    has_released,
    phase_is,
    works_on,
)
from tests.unit.domain.builders import nap

from lcm_operator.api import names

PROMPT = [pytest.param(True, id="watches that tell at once"), pytest.param(False, id="watches that lag")]


def is_sound(simulation):
    """What must hold in every scenario, besides what the simulation itself watches over."""
    attempts = [attempt for attempt, _ in simulation.grants]
    assert attempts == sorted(set(attempts)), "each attempt is granted once"
    assert len(simulation.latches) <= 1, "a trial is started once"
    granted = [simulation.pods[uid] for _, uid in simulation.grants]
    assert len(set(granted)) == len(granted), "each attempt has one pod that may act"
    assert len(simulation.acts) == len(set(simulation.acts)), "no activity acts twice in one attempt"
    assert is_truthful(simulation)
    return True


def is_truthful(simulation):
    """What the Trial says in the end of its outcome and its releases is so."""
    outcome = simulation.outcome()
    said, phase = outcome["conditions"], outcome["phase"]
    over = phase in ("Succeeded", "Failed", "Missed", "Cancelled")
    if said:
        assert said["Finished"][0] == ("True" if over else "False"), said
        assert not over or said["Finished"][1] == phase, said
    if "Released" in said:
        acted = {activity for activity, _, _ in simulation.acts}
        assert said["Released"] != ("True", "Released") or set(simulation.finally_) <= acted, (
            "it was released"
        )
        assert said["Released"] != ("True", "NothingToRelease") or not acted, "there was nothing to release"
        assert (said["Released"][0] == "Unknown") is outcome["held"], "who owes a release is held"
    else:
        assert not outcome["held"], "an engine is held in vain"
    return True


def straight(**how):
    return Simulation(**how)


def failing(**how):
    """The second activity fails; a person asks for a restore."""
    return Simulation(
        fails=frozenset({("two", 1)}), people=[(phase_is("Failed"), annotate(restore="r1"))], **how
    )


def failing_twice(**how):
    """It fails again; the second restore begins at the first activity."""
    return Simulation(
        fails=frozenset({("two", 1), ("three", 2)}),
        people=[
            (phase_is("Failed"), annotate(restore="r1")),
            (works_on("three"), lambda _: None),
            (phase_is("Failed"), annotate(restore="r2", restore_from="r2/one")),
        ],
        **how,
    )


def deleted(**how):
    """A person asks for the deletion of an engine that has failed."""
    return Simulation(
        fails=frozenset({("two", 1)}), people=[(phase_is("Failed"), annotate(delete="d1"))], **how
    )


def cancelled(**how):
    """A person asks for the deletion before the start."""
    return Simulation(people=[(phase_is("Armed"), annotate(delete="d1"))], **how)


def releasing(**how):
    """What it holds is released when it succeeds."""
    return Simulation(finally_=("free", "tell"), **how)


def releasing_late(**how):
    """It fails and reports that; on a delete request one more attempt releases what it holds."""
    return Simulation(
        on_failure=("report",),
        finally_=("free", "tell"),
        fails=frozenset({("two", 1)}),
        people=[(has_ended, annotate(delete="d1"))],
        **how,
    )


def too_slow(**how):
    """It hangs until its deadline, releases, and has failed for good."""
    return Simulation(
        finally_=("free", "tell"),
        hangs=frozenset({("two", 1)}),
        engine={"activeDeadlineSeconds": 60},
        **how,
    )


def given_up(**how):
    """It fails and reports that; nobody restores it, so it releases what it holds."""
    return Simulation(
        on_failure=("report",),
        finally_=("free", "tell"),
        fails=frozenset({("two", 1)}),
        engine={"giveUpAfterSeconds": 600},
        **how,
    )


def given_up_while_it_reports(**how):
    """The report of its failure does not end in the time that it has for a restore."""
    return Simulation(
        on_failure=("report",),
        finally_=("free",),
        fails=frozenset({("two", 1)}),
        hangs=frozenset({("report", 1)}),
        engine={"giveUpAfterSeconds": 600},
        **how,
    )


def restored_too_late(**how):
    """A person restores it once it has released what it holds."""
    return Simulation(
        finally_=("free", "tell"),
        fails=frozenset({("two", 1)}),
        engine={"giveUpAfterSeconds": 600},
        people=[(has_released, annotate(restore="r1"))],
        **how,
    )


def persistent(**how):
    """It fails twice and is restored twice, by itself."""
    return Simulation(fails=frozenset({("two", 1), ("two", 2)}), engine={"maxRestores": 2}, **how)


def interrupted(**how):
    """Its pod is deleted while it reports a failure; it is restored by itself all the same."""
    return Simulation(
        on_failure=("report",),
        fails=frozenset({("two", 1)}),
        hangs=frozenset({("report", 1)}),
        engine={"maxRestores": 1},
        people=[(works_on("report"), lambda api: api.delete("pods", "example-1"))],
        **how,
    )


def repaired(**how):
    """The second activity fails; a person replaces it, and has the trial restored with the new plan."""
    plan = [nap(name) for name in ("one", "mended", "three")]
    return Simulation(
        fails=frozenset({("two", 1)}),
        finally_=("free",),
        people=[(phase_is("Failed"), annotate({"activities": plan}, restore="r1", restore_plan="r1"))],
        **how,
    )


def repaired_elsewhere(**how):
    """It fails at a TrialPlan, which a person repairs while the engine reports that; the engine is asked."""

    def repair(api):
        plan = [nap(name) for name in ("one", "mended", "three")]
        api.edit("trialplans", "default", activities=plan)
        asked = {f"{names.GROUP}/restore": "r1", f"{names.GROUP}/restore-plan": "r1"}
        api.edit("trials", "example", annotations=asked)

    return Simulation(
        plan="default", fails=frozenset({("two", 1)}), people=[(phase_is("Failed"), repair)], **how
    )


def unreleased(**how):
    """It succeeds, but one of its releases fails."""
    return Simulation(finally_=("free", "tell"), fails=frozenset({("free", 1)}), **how)


def cut_off(**how):
    """Its pod ends while it releases what it holds after success."""
    return Simulation(
        finally_=("free", "tell"),
        hangs=frozenset({("free", 1)}),
        people=[(works_on("free"), lambda api: api.set_status("pods", "example-1", phase="Failed"))],
        **how,
    )


def taken_away(**how):
    """Its pod is removed by force while it works, and its engine continues for a while."""
    return Simulation(people=[(works_on("two"), lambda api: api.remove_by_force("example-1"))], **how)


def stopped(**how):
    """A restore is asked for while the engine works."""
    return Simulation(people=[(works_on("two"), annotate(restore="r1"))], **how)


SCENARIOS = [
    pytest.param(straight, id="a trial that just runs"),
    pytest.param(failing, id="one that fails and is restored"),
    pytest.param(taken_away, id="one whose pod is removed by force"),
    pytest.param(deleted, id="one that fails and is deleted by request"),
    pytest.param(cancelled, id="one that is cancelled before its start"),
    pytest.param(releasing, id="one that releases what it holds"),
    pytest.param(releasing_late, id="one that releases what it holds when it is deleted"),
    pytest.param(too_slow, id="one that exceeds its deadline"),
    pytest.param(given_up, id="one that fails and is given up"),
    pytest.param(given_up_while_it_reports, id="one that is given up while it reports its failure"),
    pytest.param(restored_too_late, id="one that is restored after it was given up"),
    pytest.param(repaired, id="one that is restored with a repaired plan"),
    pytest.param(repaired_elsewhere, id="one that is restored with a repaired TrialPlan"),
    pytest.param(persistent, id="one that is restored by itself"),
    pytest.param(unreleased, id="one whose release fails"),
    pytest.param(cut_off, id="one whose pod ends while it releases"),
    pytest.param(failing_twice, id="one that is restored twice, the second time from the beginning"),
]
