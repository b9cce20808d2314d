"""Pods that do not run, and what pods have logged: shown on Trial and TrialEngine. On the local node."""

import json
import signal
from typing import Any

import pytest
from tests.cluster.operator_harness import OperatorHarness, Trial, condition, in_seconds, nap

from devcluster.cluster.components import NODE


def from_secret(name: str, key: str) -> dict[str, Any]:
    entry = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
    return {"template": {"spec": {"containers": [{"name": "engine", "env": [entry]}]}}}


def message(trial: Trial) -> str:
    found = [each for each in trial.obj["status"]["conditions"] if each["type"] == "Succeeded"]
    return str(found[0].get("message", "")) if found else ""


def delete_secret(harness: OperatorHarness) -> None:
    harness.cluster.kubectl(
        "delete", "secret", "partner", f"--namespace={harness.namespace}", "--ignore-not-found"
    )


def put_secret(harness: OperatorHarness, key: str) -> None:
    delete_secret(harness)
    harness.cluster.kubectl(
        *("create", "secret", "generic", "partner"),
        *(f"--from-literal={key}=value", f"--namespace={harness.namespace}"),
    )


def write_status(harness: OperatorHarness, **status: Any) -> None:
    """Write into the pod's status what a scheduler or a kubelet would."""
    patch = json.dumps({"status": status})
    harness.cluster.kubectl(
        *("patch", "pod", "example-1", f"--namespace={harness.namespace}"),
        *("--subresource=status", "--type=merge", f"--patch={patch}"),
    )


def attempts(harness: OperatorHarness) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = harness.engine("example").obj["status"].get("attempts") or [{}]
    return found


def log_of(harness: OperatorHarness) -> str:
    return harness.cluster.kubectl(
        "logs", "example-1", f"--namespace={harness.namespace}", check=False
    ).stdout


def test_a_missing_secret_and_a_missing_key_are_shown_until_they_exist(harness: OperatorHarness):
    put_secret(harness, "token")
    trial = harness.trial("example", start=in_seconds(4), engine=from_secret("partner", "token"))
    harness.until_condition(trial, "Armed", "True", "Admitted")
    delete_secret(harness)

    harness.until_condition(trial, "Succeeded", "Unknown", "PodPending")
    assert "CreateContainerConfigError" in message(trial)
    assert "partner" in message(trial)
    harness.wait(lambda: any("partner" in text for text in harness.events("PodPending")))
    put_secret(harness, "other")
    harness.until(trial, lambda _: "token" in message(trial))
    put_secret(harness, "token")
    harness.until_condition(trial, "Succeeded", "True", "Completed")


def test_a_pod_that_no_scheduler_takes_up_is_shown(harness: OperatorHarness):
    harness.cluster.stop(NODE, signal.SIGKILL)  # it is the scheduler as well
    trial = harness.trial("example", start=in_seconds(1))
    harness.until_condition(trial, "Succeeded", "Unknown", "PodPending")
    assert "scheduler default-scheduler" in message(trial)


def test_the_words_of_scheduler_and_kubelet_are_shown_as_they_change(harness: OperatorHarness):
    harness.cluster.stop(NODE, signal.SIGKILL)
    trial = harness.trial("example", start=in_seconds(1))
    harness.until_condition(trial, "Started", "True", "EngineStarted")
    words = {"reason": "Unschedulable", "message": "0/3 nodes are available"}
    write_status(harness, conditions=[{"type": "PodScheduled", "status": "False"} | words])
    harness.until(trial, lambda _: "Unschedulable: 0/3 nodes are available" in message(trial))
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image nowhere/none"}
    container = {"name": "engine", "image": "nowhere/none", "imageID": "", "ready": False, "restartCount": 0}
    write_status(harness, containerStatuses=[container | {"state": {"waiting": waiting}}])
    harness.until(trial, lambda _: "ImagePullBackOff: Back-off pulling image" in message(trial))
    write_status(harness, phase="Running")
    harness.until_condition(trial, "Succeeded", "Unknown", "Starting")


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        pytest.param("echo measured: 42", ("True", "Completed"), id="succeeded"),
        pytest.param("echo measured: 42; exit 3", ("False", "ActivityFailed"), id="failed"),
    ],
)
def test_the_end_of_the_log_is_kept_of_an_attempt_that(harness: OperatorHarness, command, outcome):
    program = {"name": "measure", "exec": {"command": ["sh", "-c", command]}}
    trial = harness.trial("example", start=in_seconds(1), activities=[program])
    harness.until_condition(trial, "Succeeded", *outcome)
    harness.wait(lambda: "measured: 42" in log_of(harness))
    harness.wait(lambda: "measured: 42" in attempts(harness)[-1].get("log", ""))


def test_the_end_of_the_log_outlives_a_pod_that_a_restore_deletes(harness: OperatorHarness):
    program = {"name": "count", "exec": {"command": ["sh", "-c", "echo counting; exec sleep 600"]}}
    trial = harness.trial("example", start=in_seconds(1), activities=[program, nap()])
    harness.wait(lambda: "counting" in log_of(harness))
    harness.annotate(trial, restore="r-1")
    harness.until(trial, lambda status: status.get("lastHandledRestore", {}).get("result") == "Done")
    assert "counting" in attempts(harness)[0]["log"]
    assert condition(trial, "Succeeded")[0] == "Unknown"
