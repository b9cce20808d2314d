"""Every state x every event: `decide()` does what docs/state-machine.md says, and what must hold does.

What holds at each single step (one latch, one grant an attempt, no overlap, no pod for who must not have one)
is checked by the harness itself, so in every test of this module.
"""

import pytest
from tests.unit.states.events import EVENTS, Event
from tests.unit.states.harness import Harness
from tests.unit.states.page import PAGE, lines, page
from tests.unit.states.rows import answers, begin, engine, row, shows
from tests.unit.states.states import STATES, State

from lcm_operator.api import names

FINAL = {"Succeeded", "Failed", "Missed", "Cancelled"}
UNREADABLE = ("Unreadable engine", "Unreadable trial")
DELETES = ("delete", "delete on the TrialEngine", "TrialEngine deleted by a person")
REQUESTS = (
    "restore",
    "restore-from the first activity",
    "restore with a changed plan",
    "delete",
)
GONE = (
    "Trial deleted (background)",
    "Trial deleted (foreground)",
    "Trial deleted (orphan)",
    "namespace deleted",
)
# A pod that vanished may be granted before anybody notices, or be made anew because its maker is not there.
RACES = {("Due", "pod no longer exists"), ("Latched", "pod no longer exists")}
ROWS = [(state, event) for state in STATES for event in EVENTS]


def can_happen(state: State, event: Event) -> bool:
    """Whether the event can happen; one that breaks something can, and is for a test to show."""
    try:
        return not row(state, event).impossible
    except AssertionError:
        return True


POSSIBLE = [(state, event) for state, event in ROWS if can_happen(state, event)]


def named(rows: list[tuple[State, Event]]) -> list[object]:
    return [pytest.param(state, event, id=f"{state.name}: {event.name}") for state, event in rows]


def of(*events: str, readable: bool = True) -> list[tuple[State, Event]]:
    """Return the rows of these events that can happen."""
    return [
        (state, event)
        for state, event in POSSIBLE
        if event.name in events and not (readable and state.name in UNREADABLE)
    ]


def after(state: State, event: Event, *, forgetful: bool = False) -> Harness:
    harness = state.reach()
    harness.forgetful = forgetful
    begin(harness, event)
    if forgetful:
        harness.restart()
    return harness.settle()


@pytest.mark.parametrize(("state", "event"), named(ROWS))
def test_what_happens_is_what_the_page_says(state, event):
    reported = lines(PAGE.read_text(encoding="utf-8"))

    assert reported[state.name, event.name] == row(state, event)


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "see its head"


@pytest.mark.parametrize(("state", "event"), named(POSSIBLE))
def test_an_operator_that_is_killed_after_each_step_comes_to_the_same(state, event):
    if (state.name, event.name) in RACES:
        assert after(state, event, forgetful=True).outcome is None
        return
    assert shows(after(state, event, forgetful=True)) == row(state, event).shows


@pytest.mark.parametrize(("state", "event"), named(POSSIBLE))
def test_who_waits_says_for_what_and_looks_again_when_time_may_bring_it(state, event):
    harness = after(state, event)

    assert harness.wait.reason
    assert harness.wait.wake_at is None or harness.wait.wake_at > harness.now
    if harness.trial is None or "deletionTimestamp" in harness.trial["metadata"]:
        return
    if harness.wait.wake_at is None and state.name not in UNREADABLE:
        failed = harness.trial["status"]["phase"] == "Failed"
        assert failed or harness.trial["spec"].get("startTime") is None


def before_its_start(state: State, event: Event) -> bool:
    """Whether a person deletes a TrialEngine that nothing was started with yet."""
    return state.name in ("Armed", "Due") and event.name == "TrialEngine deleted by a person"


@pytest.mark.parametrize("state", [state for state in STATES if state.name in ("Armed", "Due")])
def test_an_engine_that_a_person_deletes_before_the_start_is_made_anew(state):
    event = next(event for event in EVENTS if before_its_start(state, event))
    harness = after(state, event)
    assert harness.outcome is None
    assert harness.engine is not None


@pytest.mark.parametrize(
    ("state", "event"), named([each for each in of(*DELETES) if not before_its_start(*each)])
)
def test_deleted_trial_is_cancelled_or_keeps_its_outcome_and_leaves_nothing(state, event):
    kept = state.reach().outcome if state.name in ("Succeeded", "Missed") else None
    harness = after(state, event).finish()

    assert harness.outcome == (kept or "Cancelled")
    assert engine(harness) == ""
    assert harness.api.all("pods") == []


@pytest.mark.parametrize(("state", "event"), named(POSSIBLE))
def test_finished_and_released_are_true_of_the_outcome(state, event):
    harness = after(state, event).finish()
    if harness.trial is None or harness.unreadable:
        return
    found = {each["type"]: each for each in harness.trial["status"].get("conditions", [])}
    assert {each["observedGeneration"] for each in found.values()} == {
        harness.trial["metadata"]["generation"]
    }
    over = harness.outcome is not None
    assert (found["Finished"]["status"] == "True") is over
    if over:
        phase = harness.trial["status"]["phase"]
        assert found["Finished"]["reason"] == phase
    released = found.get("Released", {"status": "absent"})["status"]
    if released == "absent" and state.name == "NotArmed":
        return  # there is no plan that could have a `finally`
    if over and harness.outcome in ("Completed", "Cancelled", "Missed", "DeadlineExceeded"):
        assert released == ("True" if harness.is_released or not harness.begun else "False")


@pytest.mark.parametrize(("state", "event"), named(POSSIBLE))
def test_only_an_engine_that_owes_its_releases_is_held(state, event):
    harness = after(state, event).finish()
    engine = harness.engine
    if engine is None or harness.unreadable:
        return
    held = names.FINALIZER_ENGINE in engine["metadata"].get("finalizers", [])
    found = {each["type"]: each for each in engine["status"].get("conditions", [])}
    assert held is (found.get("Released", {}).get("status") == "Unknown")


@pytest.mark.parametrize(("state", "event"), named(of(*REQUESTS)))
def test_every_request_on_a_trial_is_answered_in_the_end(state, event):
    harness = after(state, event).finish()
    waits_for_ever = harness.outcome is None and harness.wait.wake_at is None

    assert waits_for_ever or event.name.partition("-")[0].split()[0] in dict(answers(harness))


@pytest.mark.parametrize(("state", "event"), named(of(*GONE)))
def test_of_a_trial_that_is_deleted_nothing_is_left(state, event):
    harness = after(state, event).finish()

    assert harness.trial is None
    assert engine(harness) == ""
    assert harness.api.all("pods") == []


@pytest.mark.parametrize(("state", "event"), named(of("Trial deleted, held by a foreign finalizer")))
def test_deleted_trial_that_still_exists_shows_its_outcome_without_an_engine(state, event):
    harness = after(state, event).finish()

    before = state.reach().outcome
    assert harness.outcome == ("Cancelled" if before in (None, "ActivityFailed", "EngineSilent") else before)
    assert engine(harness) == "" or state.name == "Duplicate"


@pytest.mark.parametrize(("state", "event"), named(POSSIBLE))
def test_every_readable_trial_with_a_start_time_ends_in_an_outcome(state, event):
    harness = after(state, event).finish()
    trial = harness.trial

    if trial is None or "startTime" not in trial["spec"] or harness.unreadable:
        return
    assert trial["status"]["phase"] in FINAL
