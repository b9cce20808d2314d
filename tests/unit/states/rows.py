"""A row of the table: what happens when an event comes in a state, and what can be seen then."""

from dataclasses import dataclass
from functools import cache
from math import ceil

from tests.harness.api_server import Json as Raw
from tests.unit.states.events import Event
from tests.unit.states.harness import Harness
from tests.unit.states.states import State

from lcm_operator.api import reasons


@dataclass(frozen=True)
class Row:
    """What the table says. `impossible`: why the event can't happen in this state."""

    impossible: str = ""
    happens: str = ""
    shows: str = ""
    events: str = ""
    waits: str = ""


@cache
def row(state: State, event: Event) -> Row:
    """Return what happens, played by the code."""
    harness = state.reach()
    why = begin(harness, event)
    if why:
        return Row(impossible=why)
    harness.settle()
    return Row(
        happens=" → ".join(harness.did),
        shows=shows(harness),
        events=", ".join(harness.events),
        waits=waits(harness),
    )


def begin(harness: Harness, event: Event) -> str | None:
    """Let an event happen, and note only what happens from there on."""
    harness.did.clear()
    harness.events.clear()
    return event.happen(harness)


def shows(harness: Harness) -> str:
    """Return what people see of the Trial and its TrialEngine."""
    trial = harness.trial
    if trial is None:
        return f"no Trial{engine(harness)}"
    status = trial["status"]
    phase, reason = status.get("phase"), _reason(trial)
    word = phase if phase == reason else f"{phase} ({reason})"
    said = [
        f"{word}{engine(harness)}",
        *unfinished(trial),
        *released(trial),
        *(f"{what} {given}" for what, given in answers(harness)),
    ]
    return "; ".join(said)


def unfinished(trial: Raw) -> list[str]:
    """Return the condition Finished of a trial that has its outcome, unless it is True."""
    found = {each["type"]: each for each in trial["status"].get("conditions", [])}
    settled = found.get(reasons.SUCCEEDED, {"status": "Unknown"})["status"] != "Unknown"
    finished = found.get(reasons.FINISHED, {"status": "absent", "reason": ""})
    if not settled or finished["status"] == "True":
        return []
    return [f"Finished {finished['status']} {finished['reason']}"]


def released(trial: Raw) -> list[str]:
    """Return the condition Released, if it is there."""
    found = [each for each in trial["status"].get("conditions", []) if each["type"] == reasons.RELEASED]
    return [f"Released {each['status']} {each['reason']}" for each in found]


def engine(harness: Harness) -> str:
    """Return the current attempt, as far as there is one."""
    raw = harness.engine
    if raw is None:
        return ""
    granted = "" if "podRef" in raw.get("status", {}) else " not granted"
    going = ", deleting" if "deletionTimestamp" in raw["metadata"] else ""
    return f", attempt {harness.attempt}{granted}{going}"


def answers(harness: Harness) -> list[tuple[str, str]]:
    """Return the answers to the requests of people: which, and the result."""
    found = []
    for plural, raw in (("", harness.trial), (" on the TrialEngine", harness.engine)):
        status = (raw or {}).get("status", {})
        for kind in ("Restore", "Delete"):
            answer = status.get(f"lastHandled{kind}")
            if answer is not None and answer["id"] in ("r1", "d1"):
                found.append((f"{kind.lower()}{plural}", answer["result"]))
    return found


def waits(harness: Harness) -> str:
    """Return what the operator waits for, and when it looks again by itself."""
    wake = harness.wait.wake_at
    reason = ": ".join(harness.wait.reason.split(": ")[:2])
    if wake is None:
        return reason
    seconds = ceil((wake - harness.now).total_seconds())
    return f"{reason} ({_span(seconds)})"


def _span(seconds: int) -> str:
    return f"{seconds} s" if seconds <= 600 else f"{round(seconds / 60)} min"


def _reason(trial: Raw) -> str:
    """Return the reason that explains the phase."""
    found = {c["type"]: c for c in trial["status"].get("conditions", [])}
    if not found:
        return "no status"
    if found[reasons.SUCCEEDED]["status"] != "Unknown" or found[reasons.STARTED]["status"] == "True":
        missed = trial["status"].get("missed", [])
        reason = str(found[reasons.SUCCEEDED]["reason"])
        why = str(missed[-1]["reason"]) if reason == reasons.MISSED else reason
        return reason if why == reason else f"{reason}: {why}"
    if found[reasons.ACCEPTED]["status"] == "False":
        return str(found[reasons.ACCEPTED]["reason"])
    if found[reasons.SCHEDULED]["status"] != "True":
        return str(found[reasons.SCHEDULED]["reason"])
    armed = found[reasons.ARMED]
    return str(armed["reason"] if armed["status"] != "Unknown" else found[reasons.SCHEDULED]["reason"])
