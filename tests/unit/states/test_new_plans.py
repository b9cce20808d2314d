"""Every state x a restore with another plan: what is taken, what is refused; a refusal changes nothing."""

from typing import Any

import pytest
from tests.unit.domain.builders import nap
from tests.unit.states.harness import FINALLY, NAME, Harness
from tests.unit.states.states import STATES, State

from lcm_operator.api import names

BEGUN = ("Running", "Restoring", "Failed", "Stopping")
HOST = {"template": {"spec": {"hostNetwork": True}}}
PLANS: dict[str, dict[str, Any]] = {
    "repaired": {"activities": [nap("one"), nap("mended"), nap("three")]},
    "longer": {"activities": [nap("one"), nap("two"), nap("three"), nap("four")]},
    "with one more release": {"finally": [nap(FINALLY), nap("other")]},
    "with another release": {"finally": [nap("other")]},
    "with other settings": {"engine": {"maxRestores": 3}},
    "without what has succeeded": {"activities": [nap("two"), nap("three")]},
    "in another order": {"activities": [nap("two"), nap("one"), nap("three")]},
    "with something new in front": {"activities": [nap("new"), nap("one"), nap("two"), nap("three")]},
    "with a template that is refused": {"engine": HOST},
    "too large": {"activities": [nap(f"a{n}", when="x" * 9000) for n in range(40)]},
}
WRONG = {
    "without what has succeeded": "'one'",
    "in another order": "'",
    "with something new in front": "'new'",
    "with a template that is refused": "hostNetwork",
    "too large": "bytes",
}
ANYWHERE = ("with a template that is refused", "too large")
CASES = [
    pytest.param(state, plan, id=f"{state.name}: {plan}")
    for state in STATES
    for plan in PLANS
    if state.name in (*BEGUN, "Succeeded")
    or (state.name == "Latched" and (plan in ANYWHERE or plan not in WRONG))
]


def asked(state: State, plan: str) -> Harness:
    """Return what has become of a trial whose plan a person has changed, to have it restored with that."""
    harness = state.reach()
    harness.events.clear()
    requests = {f"{names.GROUP}/restore": "r1", f"{names.GROUP}/restore-plan": "r1"}
    harness.api.edit("trials", NAME, annotations=requests, **PLANS[plan])
    return harness.settle()


def spec(harness: Harness) -> dict[str, Any]:
    assert harness.engine is not None
    lists = {
        field: [each["name"] for each in harness.engine["spec"].get(field, [])]
        for field in ("activities", "finally")
    }
    return lists | {"engine": harness.engine["spec"]["engine"]}


def succeeded(harness: Harness) -> set[str]:
    """Return what has succeeded; the release is the harness's own affair."""
    assert harness.engine is not None
    saved = harness.engine["status"].get("activities", [])
    return {each["name"] for each in saved if each["state"] == "Succeeded"} - {FINALLY}


@pytest.mark.parametrize(("state", "plan"), CASES)
def test_a_restore_with_another_plan(state, plan):
    harness, without = asked(state, plan), state.reach().settle()
    assert harness.trial is not None
    assert harness.engine is not None
    status, trial = harness.engine["status"], harness.trial["status"]
    assert trial["lastHandledRestore"]["id"] == "r1"
    answer = trial["lastHandledRestore"]
    why = "'two'" if (state.name, plan) == ("Succeeded", "repaired") else WRONG.get(plan)
    if plan == "with another release" and state.name in BEGUN:
        why = "release 'free' is still owed"
    if why is not None:
        assert (answer["result"], why in answer["message"]) == ("Refused", True), answer
        assert spec(harness) == spec(without)
        assert without.engine is not None
        assert status.get("activities") == without.engine["status"].get("activities")
        assert (harness.attempt, harness.outcome) == (without.attempt, without.outcome)
        assert trial["planGeneration"] == 1
        assert "RequestRefused" in harness.events
        return
    assert answer["result"] == "Done", answer
    assert "with the plan of generation 2" in answer["message"]
    assert "pendingPlan" not in status
    assert "podRef" in status
    changed = {
        field: [each["name"] for each in value] for field, value in PLANS[plan].items() if field != "engine"
    }
    assert spec(harness) == spec(without) | {"engine": spec(harness)["engine"]} | changed
    assert (status["planGeneration"], trial["planGeneration"]) == (2, 2)
    assert status["attempts"][-1]["reason"] == "RestorePlan"
    assert harness.attempt == state.reach().attempt + 1
    planned = {*spec(harness)["activities"], *spec(harness)["finally"]}
    unplanned = [each for each in status.get("activities", []) if each["name"] not in planned]
    assert {each["state"] for each in unplanned if each["name"] != FINALLY} <= {"Pending"}
    assert succeeded(harness) - {"other"} == succeeded(without), "but for the new release"
    assert harness.events.count("Restored") == 1


def test_restore_with_the_plan_of_the_engine_is_a_plain_restore():
    (failed,) = (state for state in STATES if state.name == "Failed")
    harness = failed.reach()
    harness.annotate("trials", restore="r1", restore_plan="r1")
    harness.settle()
    assert harness.trial is not None
    answer = harness.trial["status"]["lastHandledRestore"]
    assert answer["result"] == "Done"
    assert "the engine has the latest plan, of generation 1" in answer["message"]
    assert harness.engine is not None
    assert harness.engine["metadata"]["generation"] == 1


def test_plain_restore_takes_the_snapshot_and_reports_the_changed_plan():
    (failed,) = (state for state in STATES if state.name == "Failed")
    harness = failed.reach()
    harness.api.edit("trials", NAME, annotations={f"{names.GROUP}/restore": "r1"}, **PLANS["repaired"])
    harness.settle()
    assert harness.trial is not None
    answer = harness.trial["status"]["lastHandledRestore"]
    assert answer["result"] == "Done"
    assert "restored with the plan of generation 1" in answer["message"]
    assert "the Trial's plan is at generation 2 now" in answer["message"]
    assert "restore with lcm.5gdrones.eu/restore-plan" in answer["message"]
    assert spec(harness)["activities"] == ["one", "two", "three"]
