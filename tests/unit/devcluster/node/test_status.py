"""A pod's status from the states of its containers."""

import pytest

from devcluster.node.states import Started, Terminated, Waiting
from devcluster.node.status import Standing, Verdict, pod_status

NOW = 1_700_000_000.0
EARLIER = "2023-11-14T22:00:00Z"
WAITING, RUNNING = Waiting("ContainerCreating"), Started(NOW, 42)
DONE = Terminated(NOW, NOW, 0, "Completed")
FAILED = Terminated(NOW, NOW, 143, "Error", signal=15)


def pod(*names, init=(), conditions=()):
    spec = {"containers": [{"name": name, "image": "i"} for name in names]}
    if init:
        spec["initContainers"] = [{"name": name, "image": "i"} for name in init]
    return {"metadata": {"generation": 3}, "spec": spec, "status": {"conditions": list(conditions)}}


def standing(over=False, verdict=None, **states):
    return Standing(NOW, states, over=over, verdict=verdict)


@pytest.mark.parametrize(
    ("states", "phase"),
    [
        pytest.param(standing(a=WAITING, b=WAITING), "Pending", id="nothing begun: Pending"),
        pytest.param(standing(a=RUNNING, b=WAITING), "Pending", id="one not begun: Pending"),
        pytest.param(standing(a=RUNNING, b=RUNNING), "Running", id="all begun: Running"),
        pytest.param(standing(a=RUNNING, b=FAILED), "Running", id="one ended: still Running"),
        pytest.param(standing(over=True, a=DONE, b=DONE), "Succeeded", id="all ended well: Succeeded"),
        pytest.param(standing(over=True, a=DONE, b=FAILED), "Failed", id="one ended badly: Failed"),
        pytest.param(standing(over=True, a=DONE, b=WAITING), "Failed", id="one never began: Failed"),
        pytest.param(
            standing(over=True, a=DONE, b=DONE, verdict=Verdict("DeadlineExceeded", "late")),
            "Failed",
            id="a verdict: Failed, whatever the exit codes",
        ),
    ],
)
def test_the_phase(states, phase):
    assert pod_status(pod("a", "b"), states, NOW)["phase"] == phase


def test_a_condition_keeps_its_time_until_it_flips():
    known = [
        {"type": kind, "status": "True", "lastTransitionTime": EARLIER} for kind in ("Ready", "Initialized")
    ]
    status = pod_status(pod("a", conditions=known), standing(over=True, a=FAILED), NOW)
    times = {item["type"]: item["lastTransitionTime"] for item in status["conditions"]}

    assert times["Initialized"] == EARLIER
    assert times["Ready"] == "2023-11-14T22:13:20Z"


def test_ready_only_while_all_containers_run():
    def ready(states):
        conditions = pod_status(pod("a", "b", init=["i"]), states, NOW)["conditions"]
        return {item["type"]: item["status"] for item in conditions}["Ready"]

    assert ready(standing(i=DONE, a=RUNNING, b=RUNNING)) == "True"
    assert ready(standing(i=DONE, a=RUNNING, b=DONE)) == "False"


def test_a_signal_is_reported_beside_the_exit_code():
    status = pod_status(pod("a"), standing(over=True, a=FAILED), NOW)
    terminated = status["containerStatuses"][0]["state"]["terminated"]

    assert (terminated["exitCode"], terminated["signal"], terminated["reason"]) == (143, 15, "Error")


def test_refused_pod_reports_no_containers_so_that_its_reason_is_seen():
    refused = standing(over=True, a=WAITING, verdict=Verdict("LocalNodeCannotRun", "no images"))
    status = pod_status(pod("a"), refused, NOW)

    assert (status["phase"], status["reason"], status["message"]) == (
        "Failed",
        "LocalNodeCannotRun",
        "no images",
    )
    assert "containerStatuses" not in status
