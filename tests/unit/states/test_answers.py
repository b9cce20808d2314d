"""Every state x every way to ask for a restore: what is answered is what has happened.

Each case is played twice, with the requests and without. What the requests have changed is then compared with
what was answered.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.states.harness import PLAN, Harness
from tests.unit.states.states import STATES, State

BEFORE = ("AwaitingRegistry", "Scheduled", "NotArmed", "Armed", "Suspended", "Duplicate", "Due")
UNREADABLE = ("Unreadable engine", "Unreadable trial")
STARTED = ("Latched", "Running", "Restoring", "TakingPlan", "Failed", "Succeeded", "Stopping")


@dataclass(frozen=True)
class Asked:
    """Annotations on the Trial and on its TrialEngine; ids `t` and `e`."""

    trial: dict[str, str]
    engine: dict[str, str]

    @property
    def wished(self) -> dict[str, str | None]:
        """From which activity, by the request's ID; None: from the latest checkpoint."""
        return {each["restore"][0]: _chosen(each) for each in (self.trial, self.engine) if "restore" in each}

    @property
    def deletes(self) -> bool:
        """Whether a deletion is asked for as well."""
        return "delete" in self.trial | self.engine


def _chosen(annotations: dict[str, str]) -> str | None:
    request, _, activity = annotations.get("restore_from", "").partition("/")
    return activity if activity and request == annotations["restore"] else None


def asked(trial: str | None = None, engine: str | None = None) -> Asked:
    """Return requests: `""` a plain one, else one from that activity, None none."""

    def annotations(request: str, chosen: str | None) -> dict[str, str]:
        if chosen is None:
            return {}
        return {"restore": request} | ({"restore_from": f"{request}/{chosen}"} if chosen else {})

    return Asked(annotations("t", trial), annotations("e", engine))


REQUESTS = {
    "plain": asked(""),
    "plain on the TrialEngine": asked(None, ""),
    "plain on both": asked("", ""),
    "from the first": asked("one"),
    "from the first on the TrialEngine": asked(None, "one"),
    "from the second": asked("two"),
    "from the last": asked("three"),
    "from one of finally": asked("free"),
    "from an unknown one": asked("four"),
    "from the first on both": asked("one", "one"),
    "from different ones": asked("one", "two"),
    "from different ones, the other way round": asked("two", "one"),
    "plain, and from the first on the TrialEngine": asked("", "one"),
    "from the second, and plain on the TrialEngine": asked("two", ""),
    "from an unknown one, and from the first on the TrialEngine": asked("four", "one"),
    "malformed": Asked({"restore": "t", "restore_from": "one"}, {}),
    "without an activity": Asked({"restore": "t", "restore_from": "t/"}, {}),
    "of another request": Asked({"restore": "t", "restore_from": "s/one"}, {}),
    "an ID that is too long": Asked({"restore": "t" * 254}, {}),
    "delete at once": Asked({"restore": "t", "delete": "d"}, {}),
    "delete on the TrialEngine at once": Asked({"restore": "t"}, {"delete": "d"}),
    "from the first, and delete at once": Asked({"restore": "t", "restore_from": "t/one", "delete": "d"}, {}),
}
CASES = [
    pytest.param(state, request, id=f"{state.name}: {name}")
    for state in STATES
    for name, request in REQUESTS.items()
    if state.name not in UNREADABLE and not (request.engine and state.name not in STARTED)
]


def played(state: State, request: Asked | None) -> Harness:
    """Return what has become of a trial; the harness's engine does nothing of the plan by itself."""
    harness = state.reach()
    if request is not None:
        if request.engine:
            harness.annotate("trialengines", **request.engine)
        if request.trial:
            harness.annotate("trials", **request.trial)
    if state.name in BEFORE:
        harness.finish()
    return harness.settle()


def answers(harness: Harness) -> dict[str, dict[str, Any]]:
    """Return the answers by the request's ID: on the Trial as it shows them."""
    found = {}
    for raw in (harness.trial, harness.engine):
        answer = ((raw or {}).get("status") or {}).get("lastHandledRestore")
        if answer is not None and answer["id"][:1] in ("t", "e"):
            found[answer["id"][:1]] = answer
    return found


def progress(harness: Harness) -> dict[str, tuple[str, int]]:
    saved = ((harness.engine or {}).get("status") or {}).get("activities", [])
    known = {activity["name"]: (activity["state"], activity["run"]) for activity in saved}
    return {name: known.get(name, ("Pending", 1)) for name in PLAN}


def begins_at(harness: Harness) -> str | None:
    """Return where the current attempt was to begin."""
    assert harness.engine is not None
    last = harness.engine["status"]["attempts"][-1]
    assert last["number"] == harness.attempt
    return str(last.get("fromActivity", "")) if harness.attempt > 1 else PLAN[0]


def was_done(harness: Harness, before: Harness, chosen: str | None) -> None:
    """Check that the engine continues from the checkpoint, or from `chosen`, in an attempt that may act."""
    assert harness.engine is not None
    assert "podRef" in harness.engine["status"]
    first = PLAN.index(chosen) if chosen is not None else len(PLAN)
    now = progress(harness)
    for place, (name, (state, run)) in enumerate(progress(before).items()):
        passed = state in ("Succeeded", "Skipped")
        if place < first and passed:
            assert now[name] == (state, run), name
        else:
            assert now[name] == ("Pending", run + (state == "Succeeded")), name
    if chosen is not None:
        assert begins_at(harness) == chosen


def was_met(harness: Harness, before: Harness, chosen: str | None) -> None:
    """Check that the attempt that was under way then has met a request by its grant."""
    assert harness.engine is not None
    assert "podRef" in harness.engine["status"]
    assert harness.attempt == before.attempt
    assert not before.granted
    assert chosen in (None, begins_at(harness))


def nothing_was_done(harness: Harness, without: Harness) -> None:
    assert progress(harness) == progress(without)
    assert harness.attempt == without.attempt


@pytest.mark.parametrize(("state", "request_"), CASES)
def test_what_is_answered_is_what_has_happened(state, request_):
    before, harness = state.reach(), played(state, request_)
    found, wished = answers(harness), request_.wished
    results = {answer["result"] for answer in found.values()}
    if state.name == "AwaitingRegistry" and "delete" not in request_.trial:
        assert found == {}, "it is still to be started"
    elif request_.deletes:
        assert found["t"]["result"] == "Refused"
    elif results == {"Refused"}:
        assert found.keys() == wished.keys()
        nothing_was_done(harness, played(state, None))
    else:
        assert found.keys() == wished.keys()
        done = {wished[each] for each, answer in found.items() if answer["result"] == "Done"}
        assert len(done) <= 1, "what contradicts each other was not done both"
        merged = {wished[each] for each, answer in found.items() if answer["result"] == "Merged"}
        for chosen in done:
            was_done(harness, before, chosen)
            assert merged <= {None}, "who asked for something else did not get it"
        for chosen in () if done else merged:
            was_met(harness, before, chosen)


@pytest.mark.parametrize(
    ("state", "request_", "result", "words"),
    [
        pytest.param("Restoring", "from the first", "Done", "attempt 2 begins at one", id="not granted yet"),
        pytest.param("Restoring", "plain", "Merged", "met by attempt 2", id="plain, not granted yet"),
        pytest.param("Running", "from the last", "Refused", "'two' comes before 'three'", id="too far"),
        pytest.param("Latched", "from the second", "Refused", "nothing has run yet", id="nothing has run"),
        pytest.param("Latched", "from the first", "Merged", "met by attempt 1", id="what happens anyway"),
        pytest.param("Restoring", "from an unknown one", "Refused", "no activity 'four'", id="unknown"),
        pytest.param("Failed", "from one of finally", "Refused", "belongs to finally", id="not of the plan"),
        pytest.param("Failed", "of another request", "Done", "is of request 's'", id="of another request"),
        pytest.param("Failed", "from different ones", "Done", "attempt 2 begins at one", id="first of two"),
    ],
)
def test_the_answer_on_the_trial_says_what_was_done_and_why(state, request_, result, words):
    (reached,) = (each for each in STATES if each.name == state)
    answer = answers(played(reached, REQUESTS[request_]))["t"]
    assert (answer["result"], words in answer["message"]) == (result, True), answer


def test_the_second_of_two_that_contradict_each_other_is_shown_the_first():
    (reached,) = (each for each in STATES if each.name == "Failed")
    harness = played(reached, asked("one", "two"))
    answer = answers(harness)["e"]
    assert answer["result"] == "Refused"
    assert "attempt 2 begins at one, as requested by restore t on the Trial" in answer["message"]
    assert "RequestRefused" in harness.events


# --- IDs that come again


def restored(harness: Harness, kind: str, request: str) -> dict[str, Any]:
    """Ask for a restore of the whole plan, and return the answer."""
    harness.annotate(kind, restore=request, restore_from=f"{request}/one")
    harness.advance(harness.now + timedelta(seconds=1))
    raw = harness.trial if kind == "trials" else harness.engine
    assert raw is not None
    answer: dict[str, Any] = raw["status"]["lastHandledRestore"]
    assert answer["id"] == request
    return answer


def test_id_that_comes_again_on_the_trial_gets_the_answer_that_it_had():
    (reached,) = (each for each in STATES if each.name == "Failed")
    harness = reached.reach()
    first = restored(harness, "trials", "a")
    restored(harness, "trials", "b")
    assert harness.attempt == 3
    again = restored(harness, "trials", "a")
    assert harness.attempt == 3
    assert (again["result"], again["time"]) == (first["result"], first["time"]) == ("Done", first["time"])
    assert again["message"].startswith(f"request a was answered at {first['time']} and is not repeated")
    assert again["message"].endswith(first["message"])
    assert harness.events[-1] == "RequestRefused"


def test_id_that_comes_again_on_the_engine_is_carried_out_again():
    (reached,) = (each for each in STATES if each.name == "Failed")
    harness = reached.reach()
    answers = [restored(harness, "trialengines", each) for each in ("a", "b", "a")]
    assert harness.attempt == 4
    assert [each["result"] for each in answers] == ["Done"] * 3
    assert answers[2]["time"] > answers[0]["time"]


def test_answer_that_a_crash_has_kept_from_the_trial_is_shown_as_it_was():
    (reached,) = (each for each in STATES if each.name == "Failed")
    harness = reached.reach()
    first = restored(harness, "trials", "a")
    assert harness.trial is not None
    harness.trial["status"].pop("lastHandledRestore")
    harness.restart()
    assert restored(harness, "trials", "a") == first
