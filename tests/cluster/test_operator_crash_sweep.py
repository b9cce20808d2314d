"""The operator killed at every write of start, restore and delete: the outcome is the same as without.

One life is led undisturbed, and its writes are counted by the proxy. Then one trial for each of them, before
and after the API server took it, is held at its write; when all are where they should be, the operator is
killed by SIGKILL, once, and another one finds what each of them left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from tests.cluster.operator_stage import DEADLINE, Trial, TrialEngine, condition, in_seconds, nap
from tests.cluster.proxied_stage import ProxiedStage, told

from lcm_operator.local.waiting import wait_until

PLAN = [nap("one"), nap("two")]
Script = Callable[[TrialEngine], dict[str, str] | None]


def works(_: TrialEngine) -> dict[str, str]:
    return {"one": "Succeeded", "two": "Succeeded"}


def fails_at_first(engine: TrialEngine) -> dict[str, str]:
    first = engine.obj["status"]["attempt"] == 1
    return {"one": "Succeeded", "two": "Failed"} if first else works(engine)


def never_ends(_: TrialEngine) -> None:
    """Go on working."""


@dataclass(frozen=True)
class Life:
    """A part of a trial's life: what comes before, what sets it off, and when it is over."""

    script: Script
    begin: Callable[[ProxiedStage, str], None]
    over: Callable[[ProxiedStage, str], object]
    prepare: Callable[[ProxiedStage, str], None] = lambda _, __: None
    prepared: Callable[[ProxiedStage, str], object] = lambda _, __: True

    def lead(self, stage: ProxiedStage, names: Sequence[str], done: Callable[[str], object]) -> None:
        """Play the engines until every trial is where it should be."""

        left = list(names)

        def all_done() -> bool:
            stage.play(self.script)
            left[:] = [name for name in left if not done(name)]
            return not left

        if not wait_until(all_done, seconds=DEADLINE):
            writes = (f"{name}: {[*map(str, stage.writes_about(name))]}" for name in left)
            pytest.fail("\n".join((*writes, stage.process.log_tail())))

    def make_ready(self, stage: ProxiedStage, names: Sequence[str]) -> None:
        for name in names:
            self.prepare(stage, name)
        self.lead(stage, names, lambda name: self.prepared(stage, name))


def ended(reason: str) -> Callable[[ProxiedStage, str], object]:
    return lambda stage, name: condition(stage.get(Trial, name), "Succeeded")[1] == reason


def apply_due(stage: ProxiedStage, name: str) -> None:
    stage.trial(name, start=in_seconds(0), activities=PLAN)


def apply_ahead(stage: ProxiedStage, name: str) -> None:
    stage.trial(name, start=in_seconds(4), activities=PLAN)


def ask_restore(stage: ProxiedStage, name: str) -> None:
    stage.annotate(stage.get(Trial, name), restore="r-1")


def gone(stage: ProxiedStage, name: str) -> bool:
    return not any(found.name == name for found in (*stage.trials(), *stage.engines()))


LIVES = {
    "start of a trial ahead": Life(works, apply_ahead, ended("Completed")),
    "start of a trial that is due": Life(works, apply_due, ended("Completed")),
    "restore of a failed engine": Life(
        fails_at_first, ask_restore, ended("Completed"), apply_due, ended("ActivityFailed")
    ),
    "restore of a running engine": Life(
        never_ends,
        ask_restore,
        lambda stage, name: "lastHandledRestore" in stage.get(Trial, name).obj["status"],
        apply_due,
        ended("Running"),
    ),
    "removal of a Trial whose engine runs": Life(
        never_ends,
        lambda stage, name: stage.get(Trial, name).delete(),
        gone,
        apply_due,
        lambda stage, name: stage.granted(name),
    ),
}


def outcome(stage: ProxiedStage, name: str) -> dict[str, Any]:
    """Return what must be the same however often the operator was killed."""
    trial = next((found.obj for found in stage.trials() if found.name == name), None)
    engine = next((found.obj for found in stage.engines() if found.name == name), None)
    status = engine["status"] if engine else {}
    return {
        "trial": trial and (trial["status"]["phase"], trial["status"]["progress"]),
        "conditions": trial and told(stage.get(Trial, name)),
        "answered": trial and trial["status"].get("lastHandledRestore", {}).get("result"),
        "attempt": status.get("attempt"),
        "lineage": [
            (one["number"], one["reason"], one["outcome"], one.get("fromActivity"))
            for one in status.get("attempts", [])
        ],
        "checkpoint": [(one["name"], one["state"]) for one in status.get("activities", [])],
        "pods": sorted(pod.name.removeprefix(name) for pod in stage.pods() if stage.is_about(name)(pod)),
        "pods created": {pod.removeprefix(name): n for pod, n in stage.taken_creates(name).items()},
        "grants": {attempt: len(uids) for attempt, uids in stage.granted(name).items()},
    }


@pytest.mark.parametrize("life", [pytest.param(life, id=name) for name, life in LIVES.items()])
def test_an_operator_killed_at_any_write_leaves_the_same_outcome(proxied: ProxiedStage, life: Life):
    life.make_ready(proxied, ["plain"])
    before = len(proxied.writes_about("plain"))
    life.begin(proxied, "plain")
    life.lead(proxied, ["plain"], lambda name: life.over(proxied, name))
    count = len(proxied.writes_about("plain")) - before
    expected = outcome(proxied, "plain")

    sides = {"before": False, "after": True}
    points = {f"{side}-{number}": (number, sides[side]) for number in range(1, count + 1) for side in sides}
    life.make_ready(proxied, list(points))
    held = {
        name: proxied.proxy.hold(proxied.is_about(name), nth=number, taken=taken)
        for name, (number, taken) in points.items()
    }
    for name in points:
        life.begin(proxied, name)
    life.lead(proxied, list(points), lambda name: held[name].reached.is_set() or life.over(proxied, name))
    proxied.kill_operator()
    for one in held.values():
        one.cut()
    proxied.start_operator()
    life.lead(proxied, list(points), lambda name: life.over(proxied, name))

    assert {name: outcome(proxied, name) for name in points} == dict.fromkeys(points, expected)
