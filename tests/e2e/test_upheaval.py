"""What a platform team does to the cluster while trials are due: each of them starts, and once."""

import os
import signal
import threading
from collections import Counter

from tests.e2e.release import NAME, NAMESPACE, TRIALS, Release, until

DUE = 50
LEASE_SECONDS = 10


def lags(release: Release, trials: list[str]) -> list[float]:
    """Return by how many seconds each start was late."""
    return sorted(release.get("trial", trial)["status"]["startLagMilliseconds"] / 1000 for trial in trials)


def leader(release: Release) -> str:
    """Return the pod that holds the Lease."""
    return release.get("lease", NAME, NAMESPACE)["spec"]["holderIdentity"].partition("_")[0]


def delete_pod(release: Release) -> None:
    release.kubectl(
        "delete", "pod", leader(release), f"--namespace={NAMESPACE}", "--grace-period=0", "--force"
    )


def kill_process(release: Release) -> None:
    pod = release.get("pod", leader(release), NAMESPACE)["metadata"]["uid"]
    (pid,) = release.node.pids(pod, "lcm_operator.controllers")
    os.kill(pid, signal.SIGKILL)


def test_the_leader_is_killed_twice_while_trials_are_due(release: Release):
    trials = release.trials("killed", DUE)

    release.until_started(trials[10])
    delete_pod(release)
    release.until_started(trials[30])
    kill_process(release)

    for trial in trials:
        release.until_phase(trial, "Succeeded", seconds=240)
    assert release.starts(*trials) == Counter(dict.fromkeys(trials, 1))
    assert lags(release, trials)[-1] <= LEASE_SECONDS
    until(release.all_ready)


def test_the_chart_is_upgraded_while_trials_are_due(release: Release):
    release.node.tag("e2e-next")
    before = {pod["metadata"]["uid"] for pod in release.operators()}
    key = release.key()
    trials = release.trials("rolled", DUE)

    upgrade = threading.Thread(
        target=release.upgrade, kwargs={"image": {"tag": "e2e-next", "pullPolicy": "Never"}}
    )
    upgrade.start()
    for trial in trials:
        release.until_phase(trial, "Succeeded", seconds=240)
    upgrade.join(timeout=240)

    assert not upgrade.is_alive()
    until(release.all_ready)
    assert not before & {pod["metadata"]["uid"] for pod in release.operators()}
    assert release.starts(*trials) == Counter(dict.fromkeys(trials, 1))
    assert lags(release, trials)[-1] <= LEASE_SECONDS
    assert release.key() == key


def test_a_node_that_was_away_at_the_start_begins_the_trial_when_it_is_back(release: Release):
    trial = release.trial("away", 6)
    release.node.stop_kubelet()
    release.until_phase(trial, "Starting")

    release.node.start_kubelet()

    release.until_phase(trial, "Succeeded")
    assert release.starts(trial) == Counter({trial: 1})


def test_a_drained_engine_continues_by_itself(release: Release):
    naps = [{"name": "short", "sleep": {"seconds": 1}}, {"name": "long", "sleep": {"seconds": 15}}]
    trial = release.trial("drained", 5, activities=naps)
    until(lambda: release.get("trial", trial).get("status", {}).get("progress") == "1/2")

    release.kubectl(
        "drain", "local", f"--pod-selector=lcm.5gdrones.eu/trial={trial}", "--delete-emptydir-data", "--force"
    )
    release.kubectl("uncordon", "local")

    release.until_phase(trial, "Succeeded")
    attempts = release.get("trialengine", trial)["status"]["attempts"]
    assert [attempt.get("fromActivity") for attempt in attempts[1:]] == ["long"]


def test_helm_uninstall_refuses_while_an_engine_runs(release: Release):
    trial = release.trial("working", 4, activities=[{"name": "nap", "sleep": {"seconds": 30}}])
    release.until_phase(trial, "Running")

    refused = release.helm("uninstall", NAME, "--timeout=2m", check=False)

    assert refused.returncode != 0
    said = release.kubectl("logs", f"job/{NAME}-pre-delete", f"--namespace={NAMESPACE}").stdout
    assert f"{TRIALS}/working" in said
    assert release.all_ready()
    release.until_phase(trial, "Succeeded")
