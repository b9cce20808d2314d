"""Engine pods with containers that never end, as a mesh injects them. On the local node."""

from typing import Any

from tests.cluster.operator_harness import OperatorHarness, Trial, in_seconds, nap

DIE = {"name": "die", "exec": {"command": ["sh", "-c", "kill -KILL $PPID"]}}
SIDECAR = {"name": "proxy", "image": "lcm-operator", "command": ["sleep", "600"]}


def with_sidecar(**settings: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "engine"}, SIDECAR]}}} | settings


def names_of_pods(harness: OperatorHarness) -> list[str]:
    return sorted(pod.name for pod in harness.pods())


def attempts(harness: OperatorHarness) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = harness.engine("example").obj["status"]["attempts"]
    return found


def message(trial: Trial) -> str:
    (found,) = [each for each in trial.obj["status"]["conditions"] if each["type"] == "Succeeded"]
    return str(found["message"])


def test_pod_ends_once_its_engine_has_succeeded(harness: OperatorHarness):
    plan = [{"name": "say", "exec": {"command": ["echo", "done by the engine"]}}, nap()]
    trial = harness.trial("example", start=in_seconds(1), activities=plan, engine=with_sidecar())
    harness.until_condition(trial, "Finished", "True", "Succeeded")

    harness.wait(lambda: not harness.pods())

    assert "done by the engine" in attempts(harness)[0]["log"]
    assert harness.engine("example").obj["status"]["podRef"]["endTime"]


def test_engine_that_crashes_is_restored_although_its_sidecar_runs(harness: OperatorHarness):
    settings = with_sidecar(heartbeatTimeoutSeconds=30)
    trial = harness.trial("example", start=in_seconds(1), activities=[nap(), DIE], engine=settings)

    harness.until_condition(trial, "Succeeded", "False", "EngineEnded")
    assert "exit code 137" in message(trial)
    harness.wait(lambda: not harness.pods())
    assert "activity=die" in attempts(harness)[0]["log"]

    harness.annotate(trial, restore="one")
    harness.wait(lambda: names_of_pods(harness) == ["example-2"])
    assert attempts(harness)[1]["fromActivity"] == "die"
