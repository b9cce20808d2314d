"""Whether the operator may be uninstalled."""

import pytest
from tests.unit.controllers.objects import raw_engine

from lcm_operator.api import names
from lcm_operator.controllers.uninstall import notice, refusal

GRANT = {"name": "example-1", "uid": "pod-1", "notBefore": "2026-11-24T10:00:00Z"}


def outcome(status):
    succeeded = {
        "type": "Succeeded",
        "status": status,
        "reason": "Any",
        "message": "",
        "lastTransitionTime": "2026-11-24T10:00:00Z",
    }
    return raw_engine(attempt=1, podRef=GRANT, conditions=[succeeded])


TIME = "2026-11-24T11:00:00Z"


def given_up(**stop):
    found = outcome("False")
    found["status"]["stop"] = {"mode": "GiveUp", "requestTime": TIME} | stop
    return found


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(raw_engine(), id="armed and not granted"),
        pytest.param(outcome("True"), id="that has succeeded"),
        pytest.param(outcome("False"), id="that has failed and waits for a person"),
        pytest.param(given_up(completionTime=TIME), id="that was given up and has released"),
    ],
)
def test_it_may_go_with_an_engine(found):
    assert refusal([found]) == ""


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(raw_engine(attempt=1, podRef=GRANT), id="just granted"),
        pytest.param(outcome("Unknown"), id="at work"),
        pytest.param(raw_engine(attempt=2), id="that is being restored"),
        pytest.param(given_up(), id="that has failed and runs its finally, as nobody restored it"),
        pytest.param(raw_engine(attempt="two"), id="that can't be read"),
    ],
)
def test_it_has_to_stay_for_an_engine(found):
    assert "lab/example" in refusal([found])


def owing(status="False", *, held=True):
    """Return an engine whose activity has begun, with something to release."""
    found = outcome(status)
    found["spec"]["finally"] = [{"name": "free"}]
    found["status"]["activities"] = [{"name": "one", "state": "Failed", "run": 1}]
    found["metadata"]["finalizers"] = [names.FINALIZER_ENGINE] if held else []
    return found


def test_failed_engine_that_owes_releases_is_named_but_blocks_no_uninstall():
    assert "lab/example" in notice([owing()])
    assert refusal([owing()]) == ""


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(outcome("False"), id="nothing to release"),
        pytest.param(owing(held=False), id="no finalizer of ours"),
        pytest.param(owing("Unknown"), id="no outcome yet"),
        pytest.param(raw_engine(attempt="two"), id="no form that can be read"),
    ],
)
def test_nothing_is_said_of_an_engine_with(found):
    assert notice([found]) == ""


def test_of_many_engines_some_are_named_and_the_rest_counted():
    reported = refusal([raw_engine(name=f"e{number}", attempt=1) for number in range(12)])

    assert "lab/e9 and 2 more" in reported
    assert "lab/e10" not in reported
