"""The operator killed at every write of start, restore and delete: the outcome is the same as without.

One scenario is run undisturbed, and the proxy counts its writes. Then one trial for each write is held at it,
before or after the API server has taken it. When all of them are held, the operator is killed with SIGKILL,
and the next operator continues from there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.cluster.operator_harness import GROUP, Trial, TrialEngine, condition, in_seconds, nap
from tests.cluster.proxied_harness import ProxiedHarness, conditions
from tests.cluster.proxy import Held

from devcluster.waiting import wait_until

PLAN = [nap("one"), nap("two")]
# Without a node a deleted pod is removed at once: an operator killed meanwhile has not seen its end, and
# waits until the engine has been silent for long enough.
pytestmark = pytest.mark.timeout(400)
SOON_SILENT = {"heartbeatTimeoutSeconds": 12}
DEADLINE = 120
"""A restore that lost sight of its pod waits for the Lease's silence, a dozen of them beside each other."""
KINDS = ("Restore", "Delete")
SIDES = {"before": False, "after": True}
# Routine writes may be put off for a while behind a start that is held. The operator gives up after 15 s.
PATIENCE = 2

Script = Callable[[TrialEngine], dict[str, str] | None]
Step = Callable[[ProxiedHarness, str], object]


def works(_: TrialEngine) -> dict[str, str]:
    return {"one": "Succeeded", "two": "Succeeded"}


def fails_at_first(engine: TrialEngine) -> dict[str, str]:
    first = engine.obj["status"]["attempt"] == 1
    return {"one": "Succeeded", "two": "Failed"} if first else works(engine)


def is_mended(engine: TrialEngine) -> dict[str, str]:
    """Fail at first; the second attempt has another plan."""
    first = engine.obj["status"]["attempt"] == 1
    return fails_at_first(engine) if first else {"one": "Succeeded", "mended": "Succeeded"}


def goes_on(_: TrialEngine) -> None:
    """Have no end."""


def works_and_releases(engine: TrialEngine) -> dict[str, str]:
    return works(engine) | {"free": "Succeeded"}


def releases_when_stopped(engine: TrialEngine) -> dict[str, str] | None:
    """Have no end, but release what is held when asked to stop."""
    return {"one": "Running", "free": "Succeeded"} if "stop" in engine.obj["status"] else None


def fails_and_releases_when_stopped(engine: TrialEngine) -> dict[str, str]:
    released = {"free": "Succeeded"} if "stop" in engine.obj["status"] else {}
    return {"one": "Succeeded", "two": "Failed"} | released


def apply_giving_up(harness: ProxiedHarness, name: str) -> None:
    engine, lists = SOON_SILENT | {"giveUpAfterSeconds": 1}, {"finally": [nap("free")]}
    harness.trial(name, start=in_seconds(0), activities=PLAN, engine=engine, **lists)


def apply_releasing(harness: ProxiedHarness, name: str) -> None:
    lists = {"finally": [nap("free")]}
    harness.trial(name, start=in_seconds(0), activities=PLAN, engine=SOON_SILENT, **lists)


def apply_due(harness: ProxiedHarness, name: str) -> None:
    harness.trial(name, start=in_seconds(0), activities=PLAN, engine=SOON_SILENT)


def apply_ahead(harness: ProxiedHarness, name: str) -> None:
    harness.trial(name, start=in_seconds(3), activities=PLAN)


def apply_far_ahead(harness: ProxiedHarness, name: str) -> None:
    harness.trial(name, start=in_seconds(55), activities=PLAN)


def ask_restore(harness: ProxiedHarness, name: str) -> None:
    harness.annotate(harness.get(Trial, name), restore="r-1")


def repair(harness: ProxiedHarness, name: str) -> None:
    annotations = {f"{GROUP}/restore": "r-1", f"{GROUP}/restore-plan": "r-1"}
    spec = {"activities": [nap("one"), nap("mended")]}
    harness.get(Trial, name).patch({"metadata": {"annotations": annotations}, "spec": spec})


def ask_delete(harness: ProxiedHarness, name: str) -> None:
    harness.annotate(harness.get(Trial, name), delete="d-1")


def delete(harness: ProxiedHarness, name: str) -> None:
    harness.get(Trial, name).delete()


def is_let_go(harness: ProxiedHarness, name: str) -> bool:
    """See that the trial has succeeded, and that nothing holds its TrialEngine any more."""
    found = next((engine for engine in harness.engines() if engine.name == name), None)
    if found is None:
        return False
    held = found.obj["metadata"].get("finalizers")
    return COMPLETED(harness, name) and not held


def is_given_up(harness: ProxiedHarness, name: str) -> bool:
    """See that the trial has released what it held, is Failed, and that nothing holds its TrialEngine."""
    trial = harness.get(Trial, name)
    ends = condition(trial, "Finished")[0] == "True" and condition(trial, "Released")[1] == "Released"
    held = harness.engine(name).obj["metadata"].get("finalizers") if ends else True
    return ends and condition(trial, "Succeeded")[1] == "ActivityFailed" and not held


def is_let_go_again(harness: ProxiedHarness, name: str) -> bool:
    answered = "lastHandledRestore" in harness.get(Trial, name).obj["status"]
    return answered and is_let_go(harness, name)


def shows(kind: str, reason: str) -> Step:
    return lambda harness, name: condition(harness.get(Trial, name), kind)[1] == reason


def is_granted(harness: ProxiedHarness, name: str) -> bool:
    return bool(harness.granted(name))


def has_begun(harness: ProxiedHarness, name: str) -> bool:
    """See that the engine has begun, which it does as soon as it is granted."""
    if not harness.granted(name):
        return False
    engine = harness.engine(name)
    if not engine.obj["status"].get("activities"):
        harness.checkpoint(engine, one="Running")
    return True


def is_restored(harness: ProxiedHarness, name: str) -> bool:
    trial = harness.get(Trial, name)
    answered = "lastHandledRestore" in trial.obj["status"]
    granted = bool(harness.engine(name).obj["status"].get("podRef"))
    return answered and granted and condition(trial, "Succeeded")[1] in ("Starting", "Running")


def is_cancelled(harness: ProxiedHarness, name: str) -> bool:
    trial = harness.get(Trial, name)
    answered = "lastHandledDelete" in trial.obj.get("status", {})
    finished = condition(trial, "Finished")[0] == "True"
    return answered and finished and leaves_nothing_to_run(harness, name)


def leaves_nothing_to_run(harness: ProxiedHarness, name: str) -> bool:
    """See that neither TrialEngine nor pods are left, of which the garbage collector takes its time."""
    if any(found.name == name for found in harness.engines()):
        return False
    return not any(map(harness.is_about(name), harness.pods()))


def is_gone(harness: ProxiedHarness, name: str) -> bool:
    return leaves_nothing_to_run(harness, name) and not any(found.name == name for found in harness.trials())


@dataclass(frozen=True)
class Scenario:
    """A part of a trial's scenario: what sets it off, when it is over, and what comes before."""

    script: Script
    begin: Step
    is_over: Step
    prepare: Step = lambda _, __: None
    is_prepared: Step = lambda _, __: True


COMPLETED = shows("Succeeded", "Completed")
SCENARIOS = {
    "start of a trial ahead": Scenario(works, apply_ahead, COMPLETED),
    "start of a trial that is due": Scenario(works, apply_due, COMPLETED),
    "start of a trial that releases": Scenario(works_and_releases, apply_releasing, is_let_go),
    "restore of a trial that has released": Scenario(
        works_and_releases, ask_restore, is_let_go_again, apply_releasing, is_let_go
    ),
    "delete request to an engine that holds something": Scenario(
        releases_when_stopped, ask_delete, is_cancelled, apply_releasing, has_begun
    ),
    "giving up of a failed trial that nobody restores": Scenario(
        fails_and_releases_when_stopped, apply_giving_up, is_given_up
    ),
    "restore of a failed engine": Scenario(
        fails_at_first, ask_restore, COMPLETED, apply_due, shows("Succeeded", "ActivityFailed")
    ),
    "restore with a repaired plan": Scenario(
        is_mended, repair, COMPLETED, apply_due, shows("Succeeded", "ActivityFailed")
    ),
    "restore of a running engine": Scenario(goes_on, ask_restore, is_restored, apply_due, is_granted),
    "delete request before the start": Scenario(
        works, ask_delete, is_cancelled, apply_far_ahead, shows("Armed", "Admitted")
    ),
    "delete request to a running engine": Scenario(goes_on, ask_delete, is_cancelled, apply_due, is_granted),
    "delete request to an engine that has ended": Scenario(
        works, ask_delete, is_cancelled, apply_due, COMPLETED
    ),
    "removal of a Trial whose engine runs": Scenario(goes_on, delete, is_gone, apply_due, is_granted),
}


class Batch:
    """Trials that follow the same scenario; their engines are played."""

    def __init__(self, harness: ProxiedHarness, scenario: Scenario, names: Iterable[str]) -> None:
        self._harness = harness
        self._scenario = scenario
        self.names = list(names)
        for name in self.names:
            scenario.prepare(harness, name)
        self.play(lambda name: scenario.is_prepared(harness, name))

    def begin(self) -> None:
        for name in self.names:
            self._scenario.begin(self._harness, name)

    def is_over(self, name: str) -> bool:
        return bool(self._scenario.is_over(self._harness, name))

    def play(
        self, is_there: Callable[[str], object], *, all_of: bool = True, seconds: float = DEADLINE
    ) -> bool:
        """Play until all trials, or one of them, are where they should be, or `seconds` have passed."""
        left = list(self.names)

        def enough() -> bool:
            self._harness.play(self._scenario.script)
            left[:] = [name for name in left if not is_there(name)]
            return not left if all_of else len(left) < len(self.names)

        if wait_until(enough, seconds=seconds) or seconds < DEADLINE:
            return
        writes = (f"{name}: {[*map(str, self._harness.writes_about(name))]}" for name in left)
        pytest.fail("\n".join((*writes, self._harness.operator.process.log_tail())))


@dataclass(frozen=True)
class Point:
    """A write at which the operator is killed: the n-th of its kind, before or after it was taken."""

    write: str
    nth: int
    taken: bool


def points_of(writes: list[str]) -> dict[str, Point]:
    """Return both sides of every write; each gets a trial of its own, of that name."""
    return {
        f"{side}-{number}": Point(write, writes[:number].count(write), taken)
        for number, write in enumerate(writes, 1)
        for side, taken in SIDES.items()
    }


def hold(harness: ProxiedHarness, name: str, point: Point) -> Held:
    is_about = harness.is_about(name)
    return harness.proxy.hold(
        lambda request: is_about(request) and request.about(name) == point.write,
        nth=point.nth,
        taken=point.taken,
    )


def outcome(harness: ProxiedHarness, name: str) -> dict[str, Any]:
    """Return what must be the same however often the operator was killed."""
    trial = next((found for found in harness.trials() if found.name == name), None)
    engine = next((found for found in harness.engines() if found.name == name), None)
    shown = trial.obj["status"] if trial else {}
    status = engine.obj["status"] if engine else {}
    return {
        "trial": (shown.get("phase"), shown.get("progress"), conditions(trial) if trial else {}),
        "answers": [shown.get(f"lastHandled{kind}", {}).get("result") for kind in KINDS],
        "attempt": status.get("attempt"),
        "plan": (shown.get("planGeneration"), status.get("planGeneration"), "pendingPlan" in status),
        "lineage": [
            (one["number"], one["reason"], one["outcome"], one.get("fromActivity"))
            for one in status.get("attempts", [])
        ],
        "checkpoint": [(one["name"], one["state"]) for one in status.get("activities", [])],
        "pods": sorted(pod.name.removeprefix(name) for pod in harness.pods() if harness.is_about(name)(pod)),
        "pods created": {pod.removeprefix(name): n for pod, n in harness.taken_creates(name).items()},
        "grants": {attempt: len(uids) for attempt, uids in harness.granted(name).items()},
    }


def kill_at_each(harness: ProxiedHarness, batch: Batch, held: dict[str, Held]) -> None:
    """Kill the operator until each trial was held at its write in one of its deaths, or has none left."""

    def is_there(name: str) -> bool:
        return held[name].reached.is_set() or batch.is_over(name)

    while batch.names:
        batch.play(is_there, all_of=False)
        batch.play(is_there, seconds=PATIENCE)
        harness.operator.kill()
        for name in list(batch.names):
            if held[name].reached.is_set():
                held[name].cut()
                batch.names.remove(name)
        harness.operator.start()
        batch.names[:] = [name for name in batch.names if not batch.is_over(name)]


@pytest.mark.parametrize(
    "scenario", [pytest.param(scenario, id=name) for name, scenario in SCENARIOS.items()]
)
def test_an_operator_killed_at_any_write_leaves_the_same_outcome(proxied: ProxiedHarness, scenario: Scenario):
    plain = Batch(proxied, scenario, ["plain"])
    before = len(proxied.writes_about("plain"))
    plain.begin()
    plain.play(plain.is_over)
    writes = proxied.writes_about("plain")[before:]
    expected = outcome(proxied, "plain")

    points = points_of([write.about("plain") for write in writes])
    batch = Batch(proxied, scenario, points)
    held = {name: hold(proxied, name, point) for name, point in points.items()}
    batch.begin()
    kill_at_each(proxied, batch, held)
    batch.names = list(points)
    batch.play(batch.is_over)

    assert {name: outcome(proxied, name) for name in points} == dict.fromkeys(points, expected)
    met = {point for name, point in points.items() if held[name].reached.is_set()}
    assert {(point.write, point.taken) for point in met} == {
        (point.write, point.taken) for point in points.values()
    }
