"""The sidecar or the operator killed between any two calls of a caller's script: the answers stay the same.

One script goes through the whole life of a trial. It is run once for every gap between two calls, each time
for a trial of its own; all pause in their gaps, one kill and restart hits them all there, and they go on.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.operator_harness import OperatorHarness, Trial, TrialPlan, in_seconds, nap
from tests.cluster.rest_harness import KEY, Sidecar, sidecar

from devcluster.cluster.components import LEASE_NAMESPACE, OPERATOR

FAR = "2031-07-01T10:00:00+02:00"
PLAN: dict[str, Any] = {
    "activities": [
        {"name": "slice-ready", "wait": {"signal": "slice"}},
        nap("flight", 600) | {"stateName": "Flight"},
        nap("stopping"),
    ],
    "finishAt": "stopping",
}


class Script:
    """One caller with one trial; each step is a call, or waits for what the trial does by itself."""

    def __init__(self, harness: OperatorHarness, rest: Sidecar, trial_id: str) -> None:
        self._harness, self._rest, self._id = harness, rest, trial_id
        self._token = ""

    def steps(self) -> list[Callable[[], Any]]:
        """Return the script."""
        return [
            self._schedule,
            self._shown,
            self._issue_token,
            self._check_token,
            self._start,
            self._call_back,
            self._finish,
            self._restore,
            self._check_token,
            self._remove,
            self._shown,
            self._schedule,
            self._unschedule,
        ]

    def _said(self, method: str, path: str, key: str = KEY) -> Any:
        reply = self._rest.call(method, path, key=key)
        return reply.status, reply.text.replace(self._id, "ID")

    def _schedule(self) -> Any:
        reply = self._rest.schedule(self._id, FAR)
        return reply.status, reply.text.replace(self._id, "ID")

    def _shown(self) -> Any:
        body = self._rest.status()
        return [repr(self._id) in body[key] for key in ("scheduled_trials", "Executor_Engine_instances")]

    def _issue_token(self) -> Any:
        reply = self._rest.call("POST", f"/token/{self._id}")
        self._token = reply.json["Authorization"]
        return reply.status, list(reply.json)

    def _check_token(self) -> Any:
        return self._said("GET", f"/token/{self._id}", self._token)

    def _start(self) -> None:
        """Let the trial be due now."""
        trial = Trial.objects(self._harness.api, namespace=self._harness.namespace).get_by_name(self._id)
        trial.patch({"spec": {"startTime": in_seconds(0)}})

    def _call_back(self) -> Any:
        """Report once the engine waits for it."""

        def waits() -> bool:
            engine = next((each for each in self._harness.engines() if each.name == self._id), None)
            states = engine.obj.get("status", {}).get("activities", []) if engine else []
            return any((one["name"], one["state"]) == ("slice-ready", "Running") for one in states)

        self._harness.wait(waits)
        return self._state(), self._said("POST", f"/trial/{self._id}/callback/slice", self._token)

    def _finish(self) -> Any:
        """End the trial once it flies."""
        self._harness.wait(lambda: "State: Flight" in self._state()[1])
        return self._said("POST", f"/trial/{self._id}/finish")

    def _restore(self) -> Any:
        self._until_finished()
        return self._state(), self._said("POST", f"/debug/engine/{self._id}/restore")

    def _remove(self) -> Any:
        self._until_finished()
        return self._state(), self._said("DELETE", f"/debug/engine/{self._id}")

    def _unschedule(self) -> Any:
        return self._shown(), self._said("DELETE", f"/debug/trial/{self._id}/schedule")

    def _until_finished(self) -> None:
        finished = f"{{'ID': {self._id!r}, 'status': 'Finished'}}"
        self._harness.wait(lambda: finished in self._rest.status()["Executor_Engine_instances"])

    def _state(self) -> Any:
        return self._said("GET", f"/trial/{self._id}/status")


@pytest.fixture
def rest(harness: OperatorHarness, tmp_path: Path) -> Iterator[Sidecar]:
    harness.create(TrialPlan, "default", PLAN)
    with sidecar(harness.cluster, harness.namespace, tmp_path, LCM_API_LEVEL="1.0.2") as running:
        yield running


def kill_sidecar(_: OperatorHarness, rest: Sidecar) -> None:
    rest.kill()
    rest.start()


def kill_operator(harness: OperatorHarness, _: Sidecar) -> None:
    harness.cluster.stop(OPERATOR, signal.SIGKILL)
    harness.cluster.kubectl(
        "delete", "lease", "lcm-operator", f"--namespace={LEASE_NAMESPACE}", "--ignore-not-found"
    )
    harness.cluster.start(OPERATOR)


@pytest.mark.parametrize(
    "kill",
    [pytest.param(kill_sidecar, id="the sidecar"), pytest.param(kill_operator, id="the operator")],
)
def test_a_kill_and_restart_between_any_two_calls_changes_no_answer(
    harness: OperatorHarness, rest: Sidecar, kill: Callable[[OperatorHarness, Sidecar], None]
):
    undisturbed = [step() for step in Script(harness, rest, "undisturbed").steps()]
    assert undisturbed[-1] == (
        [True, False],
        (200, '{"message":"Trial scheduling removed with trial ID: ID"}'),
    )
    gaps = range(1, len(undisturbed))
    together = threading.Barrier(len(gaps) + 1, timeout=90)

    def play(gap: int) -> list[Any]:
        steps = Script(harness, rest, f"gap-{gap:02}").steps()
        answers = [step() for step in steps[: gap - 1]]
        together.wait()
        answers.append(steps[gap - 1]())
        together.wait()  # all are in their gaps
        together.wait()  # what was killed runs again
        return answers + [step() for step in steps[gap:]]

    with ThreadPoolExecutor(len(gaps)) as callers:
        played = {gap: callers.submit(play, gap) for gap in gaps}
        together.wait()
        together.wait()
        kill(harness, rest)
        together.wait()
        answers = {gap: answered.result() for gap, answered in played.items()}

    assert answers == dict.fromkeys(gaps, undisturbed)
    assert set(harness.pods_created().values()) == {1}
