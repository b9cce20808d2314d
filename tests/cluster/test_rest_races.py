"""Callers of the sidecar who want different things at one instant: one wins, and all get a clear answer."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.conftest import fresh_namespace
from tests.cluster.operator_harness import OperatorHarness, Trial, TrialPlan, in_seconds, nap
from tests.cluster.rest_harness import Sidecar, sidecar

from devcluster.cluster.cluster import Cluster
from devcluster.waiting import wait_until

FAR = "2031-07-01T10:00:00+02:00"
CALLERS = 8
ROUNDS = 5
Said = tuple[int, Any]


class ConcurrentCallers(OperatorHarness):
    """A namespace with an operator, a node and two sidecars; what a trial does is to leave a file."""

    def __init__(self, cluster: Cluster, namespace: str, sidecars: tuple[Sidecar, ...], marks: Path):
        super().__init__(cluster, namespace)
        self.sidecars, self.marks = sidecars, marks
        leave = {"command": ["sh", "-c", 'touch "$MARK"'], "env": {"MARK": f"{marks}/{{{{ trial.id }}}}"}}
        self.create(TrialPlan, "default", {"activities": [{"name": "act", "exec": leave}]})

    def acted(self, trial_id: str) -> bool:
        return (self.marks / trial_id).exists()


@pytest.fixture(scope="module")
def callers(staffed: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConcurrentCallers]:
    """Tests of the module share it, each with IDs of its own."""
    folders = [tmp_path_factory.mktemp("rest") for _ in range(2)]
    with (
        fresh_namespace(staffed) as namespace,
        sidecar(staffed, namespace, folders[0]) as first,
        sidecar(staffed, namespace, folders[1]) as second,
    ):
        yield ConcurrentCallers(staffed, namespace, (first, second), tmp_path_factory.mktemp("marks"))


def at_once(*calls: Callable[[], Said]) -> list[Said]:
    """Make all calls at one instant, and return the answers."""
    ready = threading.Barrier(len(calls))

    def make(call: Callable[[], Said]) -> Said:
        ready.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(make, calls))


@pytest.mark.parametrize("name", ["lower-case", "A name with capitals"])
@pytest.mark.parametrize(
    "doors", [pytest.param(1, id="at one sidecar"), pytest.param(2, id="at two sidecars")]
)
def test_one_of_eight_schedulers_of_one_id_wins_and_the_rest_get_a_conflict(
    callers: ConcurrentCallers, doors: int, name: str
):
    for number in range(ROUNDS):
        trial_id = f"{name} {doors} {number}" if " " in name else f"{name}-{doors}-{number}"
        calls = [
            lambda rest=callers.sidecars[caller % doors], trial_id=trial_id: rest.schedule(trial_id, FAR).said
            for caller in range(CALLERS)
        ]

        said = at_once(*calls)

        exists = (400, f"Trial scheduling with ID: {trial_id} already exists.")
        added = (200, f"Trial scheduling added with trial ID: {trial_id}")
        assert sorted(said) == [added, *[exists] * (CALLERS - 1)]
        assert [trial.obj["spec"]["trialID"] for trial in callers.trials()].count(trial_id) == 1
        shown = f"{{'id': {trial_id!r}, "
        for rest in callers.sidecars:
            callers.wait(lambda rest=rest, shown=shown: shown in rest.status()["scheduled_trials"])


def test_removal_around_the_start_removes_the_trial_or_finds_it_started(callers: ConcurrentCallers):
    rest, step, start = callers.sidecars[0], timedelta(milliseconds=100), in_seconds(4)
    names = [f"due-{number}" for number in range(12)]
    assert {rest.schedule(name, start).status for name in names} == {200}
    began = datetime.fromisoformat(start) - 5 * step

    def remove(name: str) -> Said:
        asked = began + names.index(name) * step
        assert wait_until(lambda: datetime.now(UTC) >= asked, seconds=60)
        return rest.call("DELETE", f"/debug/trial/{name}/schedule").said

    with ThreadPoolExecutor(len(names)) as threads:
        said = dict(zip(names, threads.map(remove, names), strict=True))

    for name, answer in said.items():
        removed = (200, f"Trial scheduling removed with trial ID: {name}")
        assert answer in (removed, (400, f"Trial scheduling with ID: {name} does not exist."))
    removed = {name for name, (status, _) in said.items() if status == 200}
    started = set(names) - removed
    callers.wait(lambda: all(map(callers.acted, started)))
    callers.wait(lambda: {engine.name for engine in callers.engines()} & set(names) == started)
    callers.wait(lambda: {pod.name for pod in callers.pods()} & {f"{name}-1" for name in removed} == set())
    assert not any(map(callers.acted, removed))
    created = callers.pods_created()
    assert all(created[f"{name}-1"] == 1 for name in started)
    assert {trial.name for trial in callers.trials()} & set(names) == started


@pytest.mark.parametrize("doors", [(0, 0), (0, 1)], ids=["at one sidecar", "at two sidecars"])
@pytest.mark.parametrize("number", range(2), ids=["once", "once more"])
def test_restore_and_finish_at_once_are_both_accepted_and_it_succeeds(
    callers: ConcurrentCallers, doors: tuple[int, int], number: int
):
    name = f"ends-{sum(doors)}-{number}"
    plan = [nap("long", 600), nap("stopping")]
    trial: Trial = callers.trial(name, start=in_seconds(0), activities=plan, finishAt="stopping")
    under_way = "Status: Running State: long"
    restoring, finishing = (callers.sidecars[door] for door in doors)
    for rest in callers.sidecars:
        callers.wait(
            lambda rest=rest: (
                rest.call("GET", f"/trial/{name}/status").said == (200, under_way)
                and f"'{name}'" in rest.status()["Executor_Engine_instances"]
            )
        )

    said = at_once(
        lambda: restoring.call("POST", f"/debug/engine/{name}/restore").said,
        lambda: finishing.call("POST", f"/trial/{name}/finish").said,
    )

    restored = f"Engine instance restored for trial ID: {name}"
    assert said == [(200, restored), (200, "State change registered")]
    callers.until_condition(trial, "Succeeded", "True", "Completed")
    states = {one["name"]: one["state"] for one in callers.engine(name).obj["status"]["activities"]}
    assert states == {"long": "Skipped", "stopping": "Succeeded"}
    ended = f"{{'ID': {name!r}, 'status': 'finished'}}"
    callers.wait(lambda: ended in restoring.status()["Executor_Engine_instances"])
