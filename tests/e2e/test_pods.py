"""Pods that do not run, in the words of a real kubelet, and the end of the log that a pod leaves."""

from typing import Any

import pytest
from tests.e2e.release import TRIALS, Release, until

ENTRY = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "partner", "key": "token"}}}
VOLUME = {"name": "partner", "secret": {"secretName": "partner"}}


def template(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "engine"} | (container or {})]} | spec}}


def message(release: Release, trial: str, reason: str) -> str:
    """Return the message of Succeeded while it has this reason; empty otherwise."""
    for found in release.get("trial", trial).get("status", {}).get("conditions", []):
        if found["type"] == "Succeeded" and found["reason"] == reason:
            return str(found["message"])
    return ""


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        pytest.param(
            template({"env": [ENTRY]}), ("CreateContainerConfigError", "partner"), id="a missing Secret"
        ),
        pytest.param(
            template({"volumeMounts": [{"name": "partner", "mountPath": "/partner"}]}, volumes=[VOLUME]),
            ("FailedMount", "partner"),
            id="a volume that can't be mounted",
        ),
        pytest.param(template(nodeSelector={"none": "such"}), ("Unschedulable",), id="no node that fits"),
    ],
)
def test_the_trial_shows_why_its_pod_does_not_run(release: Release, request, engine, words):
    place = f"--namespace={TRIALS}"
    release.kubectl("create", "secret", "generic", "partner", "--from-literal=token=t", place)
    name = f"pending-{abs(hash(request.node.name)) % 10_000}"
    trial = release.trial(name, 8, activities=[{"name": "nap", "sleep": {"seconds": 1}}], engine=engine)
    until(lambda: release.phase(trial) == "Armed", name)
    release.kubectl("delete", "secret", "partner", place)  # it was there when the trial was armed
    until(lambda: all(word in message(release, trial, "PodPending") for word in words), name)
    release.kubectl("delete", "trial", trial, place, "--wait=false")


def test_the_end_of_the_log_outlives_the_pod(release: Release):
    program = {"command": ["sh", "-c", "echo measured: 42; exit 3"]}
    trial = release.trial("logged", 3, activities=[{"name": "measure", "exec": program}])
    release.until_phase(trial, "Failed")

    def log() -> str:
        return str(release.get("trialengine", trial)["status"]["attempts"][-1].get("log", ""))

    until(lambda: "measured: 42" in log(), "the log is kept")
    release.kubectl("delete", "pod", f"{trial}-1", f"--namespace={TRIALS}")
    assert "measured: 42" in log()


def test_a_pod_with_a_sidecar_is_ended_once_its_trial_is_over(release: Release):
    image = release.operators()[0]["spec"]["containers"][0]["image"]
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    command = ["python", "-c", "import signal; signal.pause()"]
    sidecar = {"name": "proxy", "image": image, "imagePullPolicy": "Never", "command": command}
    containers = [{"name": "engine"}, sidecar | {"securityContext": security}]
    engine = {"template": {"spec": {"containers": containers, "terminationGracePeriodSeconds": 5}}}
    program = {"command": ["sh", "-c", "echo measured: 42"]}
    activities = [{"name": "measure", "exec": program}]
    trial = release.trial("meshed", 3, activities=activities, engine=engine)
    release.until_phase(trial, "Succeeded")

    def is_gone() -> bool:
        found = release.kubectl("get", "pod", f"{trial}-1", f"--namespace={TRIALS}", check=False)
        return found.returncode != 0 and "NotFound" in found.stderr

    until(is_gone, "its pod is deleted")
    assert "measured: 42" in release.get("trialengine", trial)["status"]["attempts"][-1]["log"]
