"""The faults of plans that the operator finds before a start: those of `lcm plan check`, computed once."""

from typing import Any

import pytest
from pytest_mock import MockerFixture
from tests.unit.controllers.clock import HandClock
from tests.unit.controllers.objects import KEY, raw_trial

from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import Problem, Settings
from lcm_operator.plan import lint


def shell(value: str) -> dict[str, Any]:
    return {"name": "one", "exec": {"command": ["true"], "env": {"A": value}}}


def raw_plan(name: str, *activities: dict[str, Any], generation: int = 1, **spec: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "lab",
        "uid": f"plan-{name}",
        "resourceVersion": str(generation),
        "generation": generation,
    }
    return {"metadata": metadata, "spec": {"activities": list(activities)} | spec}


def store_of(*plans: dict[str, Any], **spec: Any) -> SlotCache:
    store = SlotCache(Settings(), HandClock())
    for plan in plans:
        store.put_plan(plan)
    store.put_trial(raw_trial(**spec))
    return store


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param("{% if x %}", "activities[0].exec.env.A: ", id="a statement"),
        pytest.param("{{ parameters.dron }}", "dron", id="a parameter that is not declared"),
        pytest.param("{{ parameters.drone }}", "", id="nothing"),
    ],
)
def test_a_fault_of_a_plan_is_found_before_the_start(value, words):
    by = raw_plan("flight", shell(value), parameters=[{"name": "drone"}])
    store = store_of(by, activities=[], planRef={"name": "flight"}, parameters={"drone": "1"})
    found = store.snapshot(KEY).plan_faults

    assert words in found
    assert bool(found) == bool(words)


def test_a_fault_of_an_inline_plan_is_found_with_its_own_parameters():
    assert (
        store_of(activities=[shell("{{ parameters.a }}")], parameters={"a": "1"}).snapshot(KEY).plan_faults
        == ""
    )
    assert "b" in store_of(activities=[shell("{{ parameters.b }}")]).snapshot(KEY).plan_faults


def test_a_plan_is_checked_once_per_generation(mocker: MockerFixture):
    checked = mocker.patch("lcm_operator.controllers.plans.lint.faults", side_effect=lint.faults)
    store = store_of(raw_plan("flight", shell("x")), activities=[], planRef={"name": "flight"})
    store.put_trial(raw_trial("other", "trial-2", activities=[], planRef={"name": "flight"}))
    for key in (KEY, KEY._replace(name="other"), KEY):
        store.snapshot(key)
    assert checked.call_count == 1

    store.put_plan(raw_plan("flight", shell("{% x %}"), generation=2))
    assert store.snapshot(KEY).plan_faults
    assert checked.call_count == 2


def test_a_plan_name_that_is_almost_right_is_recognised():
    plan = (
        store_of(raw_plan("flightday", shell("x")), activities=[], planRef={"name": "flightdya"})
        .snapshot(KEY)
        .plan
    )

    assert isinstance(plan, Problem)
    assert "did you mean flightday?" in plan.message
