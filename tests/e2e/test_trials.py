"""A user's day on the installed chart: trials by kubectl and by the old interface."""

import os
import signal
import socket
import subprocess

import requests
from tests.e2e.release import NAME, NAMESPACE, TRIALS, Release, in_seconds, until

FAILS_FIRST = {
    "name": "radio-link",
    "exec": {
        "command": ["sh", "-c", 'test "$ATTEMPT" -gt 1'],
        "env": {"ATTEMPT": "{{ trial.attempt }}"},
    },
}


def test_helm_test_finds_everything_answering(release: Release):
    done = release.helm("test", NAME, "--timeout=2m", check=False)

    logs = release.kubectl("logs", f"{NAME}-test", f"--namespace={NAMESPACE}", check=False).stdout
    assert done.returncode == 0, done.stderr + logs
    assert "/status 200" in logs


def test_a_trial_fails_is_restored_and_continues_where_it_stopped(release: Release):
    nap = {"name": "prepare", "sleep": {"seconds": 1}}
    trial = release.trial("restored", 5, activities=[nap, FAILS_FIRST])
    release.until_phase(trial, "Failed")

    release.annotate(trial, restore="first")
    status = release.until_phase(trial, "Succeeded")

    assert status["lastHandledRestore"]["result"] == "Done"
    engine = release.get("trialengine", trial)["status"]
    assert [attempt["number"] for attempt in engine["attempts"]] == [1, 2]
    assert engine["attempts"][1]["fromActivity"] == "radio-link"


def test_an_engine_runs_our_image_without_any_privilege(release: Release):
    trial = release.trial("confined", 5, activities=[{"name": "nap", "sleep": {"seconds": 8}}])
    until(lambda: release.is_ready(f"{trial}-1"))
    pod = release.get("pod", f"{trial}-1")

    assert pod["status"]["containerStatuses"][0]["image"].endswith("lcm-operator:e2e")
    inside = ("exec", f"{trial}-1", f"--namespace={TRIALS}", "--container=engine", "--")
    assert "uid=65532" in release.kubectl(*inside, "id").stdout
    assert release.kubectl(*inside, "touch", "/opt/lcm/mine", check=False).returncode != 0
    status = release.kubectl(*inside, "cat", "/proc/1/status").stdout
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    release.until_phase(trial, "Succeeded")


def test_the_plan_demo_comes_with_the_chart(release: Release):
    trial = release.trial("planned", 5, planRef={"name": "demo"})

    assert release.until_phase(trial, "Succeeded")["progress"] == "3/3"


class TestTheRestInterface:
    def test_schedules_and_shows_trials_through_its_service(self, release: Release):
        url, key = release.service(), {"Authorization": release.key()}
        body = {"trial_id": "by-rest", "start_time": in_seconds(5)}

        asked = requests.post(f"{url}/debug/schedule-trial", json=body, headers=key, timeout=10)

        assert asked.status_code == 200, asked.text
        release.until_phase("by-rest", "Succeeded")
        assert "by-rest" in requests.get(f"{url}/status", headers=key, timeout=10).text

    def test_is_reached_by_port_forward(self, release: Release):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [str(release.node.layout.bin / "kubectl"), f"--kubeconfig={release.node.layout.kubeconfig}"]
        forward = [
            *command,
            f"--namespace={NAMESPACE}",
            "port-forward",
            f"service/{NAME}-rest",
            f"{port}:5000",
        ]
        with subprocess.Popen(forward, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                assert "Forwarding" in process.stdout.readline()
                headers = {"Authorization": release.key()}
                assert requests.get(f"http://127.0.0.1:{port}/status", headers=headers, timeout=10).ok
            finally:
                os.kill(process.pid, signal.SIGTERM)

    def test_turns_away_who_has_no_key(self, release: Release):
        assert requests.get(f"{release.service()}/status", timeout=10).status_code == 401


def test_a_restore_before_the_start_is_met_by_it(release: Release):
    trial = release.trial("early", 8)
    # A restore on an empty status would be Ignored.
    until(lambda: release.get("trial", trial)["status"]["observedGeneration"] == 1)
    release.annotate(trial, restore="early")
    release.until_phase(trial, "Succeeded")

    until(
        lambda: release.get("trial", trial)["status"].get("lastHandledRestore", {}).get("result") == "Merged"
    )
