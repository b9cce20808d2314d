"""When the next attempt begins: pods and Leases that are removed, with real engines on the local node."""

import json
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.operator_harness import (
    DEADLINE,
    OPERATOR_USER,
    OperatorHarness,
    Trial,
    condition,
    in_seconds,
    nap,
)
from tests.cluster.test_operator_finally import process_of

from devcluster.cluster.components import NODE, OPERATOR
from devcluster.waiting import wait_until

ENGINE = {"heartbeatTimeoutSeconds": 4}


def at_work(harness: OperatorHarness, *activities: dict[str, Any], **spec: Any) -> Trial:
    """Start a trial, and wait until its engine works on the last of its activities."""
    trial = harness.trial("example", start=in_seconds(1), activities=list(activities), engine=ENGINE, **spec)
    last = activities[-1]["name"]
    harness.wait(lambda: state_of(harness, last) == "Running")
    return trial


def state_of(harness: OperatorHarness, activity: str) -> str:
    engines = harness.engines()
    saved = engines[0].obj.get("status", {}).get("activities", []) if engines else []
    return next((each["state"] for each in saved if each["name"] == activity), "")


def attempts(harness: OperatorHarness) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = harness.engine("example").obj["status"]["attempts"]
    return found


def remove_by_force(harness: OperatorHarness, pod: str) -> None:
    harness.cluster.kubectl(
        "delete", "pod", pod, f"--namespace={harness.namespace}", "--force", "--grace-period=0"
    )


def ticking(file: Path, **more: Any) -> dict[str, Any]:
    """Return a program that writes the time into a file as long as it runs."""
    command = f"while :; do date +%s.%N >> {file}; sleep 0.1; done"
    return {"name": "tick", "exec": {"command": ["sh", "-c", command]} | more}


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param({}, id="a program without a limit"),
        pytest.param({"timeoutSeconds": 12}, id="a program with a limit"),
    ],
)
def test_a_pod_removed_by_force_whose_program_continues_is_waited_for(
    harness: OperatorHarness, tmp_path: Path, limit
):
    file = tmp_path / "ticks"
    trial = at_work(harness, ticking(file, **limit))
    harness.cluster.stop(NODE, signal.SIGKILL)  # as if the node were cut off: what runs there goes on
    removed = time.time()
    remove_by_force(harness, "example-1")
    harness.annotate(trial, restore="r-1")
    harness.until(trial, lambda _: "was not seen to end" in message(trial))
    harness.until(trial, lambda status: status.get("lastHandledRestore", {}).get("result") == "Done")
    harness.wait(lambda: "startTime" in attempts(harness)[-1])

    ticks = [float(line) for line in file.read_text().split()]
    assert max(ticks) > removed + 2, "the program has ended with its pod: this proves nothing"
    begun = datetime.fromisoformat(attempts(harness)[1]["startTime"]).timestamp()
    assert max(ticks) < begun, "two attempts have acted at a time"
    assert attempts(harness)[1]["reason"] == "Restore"


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param({}, id="a program without a limit"),
        pytest.param({"timeoutSeconds": 5}, id="a program with a limit that nobody enforces"),
    ],
)
def test_a_frozen_engine_s_program_never_acts_beside_the_next_attempt(
    harness: OperatorHarness, tmp_path: Path, limit
):
    file = tmp_path / "journal"
    stubborn = f"trap '' TERM; while :; do echo $ATTEMPT $(date +%s.%N) >> {file}; sleep 0.1; done"
    program = {"command": ["sh", "-c", stubborn], "env": {"ATTEMPT": "{{ trial.attempt }}"}}
    trial = at_work(harness, {"name": "tick", "exec": program | limit})
    harness.wait(file.exists)
    [pod] = harness.pods()
    frozen = time.time()
    os.kill(process_of(pod), signal.SIGSTOP)
    harness.annotate(trial, restore="r-1")

    def acts(attempt: str) -> list[float]:
        lines = [line.split() for line in file.read_text().splitlines()]
        return [float(each[1]) for each in lines if each[0] == attempt]

    # The grace period of a pod, and what a loaded node needs after that.
    assert wait_until(lambda: acts("2"), seconds=2 * DEADLINE)
    silence = 4 + 10
    assert max(acts("1")) > frozen + silence, (
        "the program has ended before the silence did: this proves nothing"
    )
    assert max(acts("1")) < min(acts("2")), "two attempts have acted at a time"


def message(trial: Trial) -> str:
    found = trial.obj.get("status", {}).get("conditions", [])
    return next((each["message"] for each in found if each["type"] == "Succeeded"), "")


def test_a_pod_that_was_taken_away_is_restored_by_itself(harness: OperatorHarness):
    trial = at_work(harness, nap("one"), nap("long", 20))
    remove_by_force(harness, "example-1")
    harness.until_condition(trial, "Succeeded", "Unknown", "Restoring")
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert [each["reason"] for each in attempts(harness)] == ["Start", "Disruption"]
    assert harness.pods_created() == {"example-1": 1, "example-2": 1}


def test_a_pod_taken_away_while_no_operator_runs_is_restored_by_itself(harness: OperatorHarness):
    trial = at_work(harness, nap("one"), nap("long", 20))
    harness.cluster.stop(OPERATOR, signal.SIGKILL)
    remove_by_force(harness, "example-1")
    harness.cluster.start(OPERATOR)
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert [each["reason"] for each in attempts(harness)] == ["Start", "Disruption"]


def test_a_pod_that_vanishes_is_noticed_by_the_list_of_pods(harness: OperatorHarness):
    engine = {"heartbeatTimeoutSeconds": 600}
    trial = harness.trial("example", start=in_seconds(1), activities=[nap("long", 60)], engine=engine)
    harness.wait(lambda: state_of(harness, "long") == "Running")
    place = f"--namespace={harness.namespace}"
    orphan = '{"metadata":{"ownerReferences":null}}'  # so that it says nothing of the pod's end
    harness.cluster.kubectl("patch", "lease", "example-1", place, "--type=merge", f"--patch={orphan}")
    remove_by_force(harness, "example-1")
    harness.until_condition(trial, "Succeeded", "Unknown", "Restoring")
    assert harness.cluster.kubectl.get("lease", "example-1", place), "the Lease has gone: this proves nothing"


def test_a_trial_that_is_created_again_waits_for_the_engine_of_the_first(
    harness: OperatorHarness, tmp_path: Path
):
    file = tmp_path / "ticks"
    for_a_while = f"for i in $(seq 100); do date +%s.%N >> {file}; sleep 0.1; done"
    program = {"command": ["sh", "-c", for_a_while], "timeoutSeconds": 15}
    first = at_work(harness, {"name": "tick", "exec": program})
    harness.wait(file.exists)
    [pod] = harness.pods()
    os.kill(process_of(pod), signal.SIGSTOP)  # an engine that is told nothing any more
    harness.cluster.stop(NODE, signal.SIGKILL)
    removed = time.time()
    first.delete()
    remove_by_force(harness, "example-1")
    harness.wait(lambda: not harness.trials() and not harness.engines())
    second = harness.trial("example", start=in_seconds(1), activities=[nap("other")], engine=ENGINE)
    harness.until(second, lambda _: "of an earlier engine of this trial ID" in armed_message(second))
    assert harness.pods() == []
    harness.wait(harness.pods)
    ticks = [float(line) for line in file.read_text().split()]
    assert max(ticks) > removed + 2, "the program has ended with its pod: this proves nothing"
    assert max(ticks) < time.time() - 1, "two engines of one trial ID may act at a time"


def armed_message(trial: Trial) -> str:
    found = trial.obj.get("status", {}).get("conditions", [])
    return next((each["message"] for each in found if each["type"] == "Armed"), "")


def test_a_lease_that_is_deleted_is_made_again_and_renewed(harness: OperatorHarness):
    trial = at_work(harness, nap("long", 25))
    place = f"--namespace={harness.namespace}"
    first = harness.cluster.kubectl.get("lease", "example-1", place)["metadata"]["uid"]
    harness.cluster.kubectl("delete", "lease", "example-1", place)

    def renewed_again() -> bool:
        [lease] = harness.cluster.kubectl.get("leases", place).get("items") or [{}]
        spec = lease.get("spec", {})
        made = lease.get("metadata", {}).get("uid") not in (None, first)
        return made and spec.get("renewTime", "") > datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")[:-1]

    harness.wait(renewed_again)
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert len(attempts(harness)) == 1


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(False, id="made again by the operator"),
        pytest.param(True, id="made again from a copy"),
    ],
)
def test_dead_engine_fails_though_its_lease_is_deleted_for_ever(harness: OperatorHarness, again):
    engine = {"heartbeatTimeoutSeconds": 10}
    trial = harness.trial("example", start=in_seconds(1), activities=[nap("long", 600)], engine=engine)
    harness.wait(lambda: state_of(harness, "long") == "Running")
    place = f"--namespace={harness.namespace}"
    harness.wait(lambda: "renewTime" in harness.cluster.kubectl.get("lease", "example-1", place)["spec"])
    [pod] = harness.pods()
    os.kill(process_of(pod), signal.SIGSTOP)
    copy = harness.cluster.kubectl.get("lease", "example-1", place)
    copy["metadata"] = {
        key: copy["metadata"][key] for key in ("name", "namespace", "labels", "ownerReferences")
    }
    deleted = 0

    def is_given_up() -> bool:
        nonlocal deleted
        if condition(harness.trials()[0], "Succeeded") == ("False", "EngineSilent"):
            return True
        harness.cluster.kubectl("delete", "lease", "example-1", place, "--ignore-not-found")
        deleted += 1
        if again:
            harness.cluster.kubectl("create", "--filename=-", stdin=json.dumps(copy), check=False)
        time.sleep(1)
        return False

    assert wait_until(is_given_up, seconds=90)
    assert deleted > 3, "the Lease was hardly ever deleted: this proves nothing"
    harness.annotate(trial, restore="r-1")
    harness.until(trial, lambda status: status.get("lastHandledRestore", {}).get("result") == "Done")


def test_engine_that_renews_lives_on_though_its_lease_is_deleted(harness: OperatorHarness):
    engine = {"heartbeatTimeoutSeconds": 30}
    harness.trial("example", start=in_seconds(1), activities=[nap("long", 50)], engine=engine)
    harness.wait(lambda: state_of(harness, "long") == "Running")
    place = f"--namespace={harness.namespace}"

    def is_over() -> bool:
        harness.cluster.kubectl("delete", "lease", "example-1", place, "--ignore-not-found")
        time.sleep(3)
        return condition(harness.trials()[0], "Succeeded")[0] != "Unknown"

    assert wait_until(is_over, seconds=150)
    assert condition(harness.trials()[0], "Succeeded") == ("True", "Completed")
    assert [each["reason"] for each in attempts(harness)] == ["Start"]


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param('{"spec":{"holderIdentity":"somebody"}}', id="another holder"),
        pytest.param('{"spec":null}', id="no spec"),
        pytest.param('{"metadata":{"labels":null}}', id="no label"),
        pytest.param('{"metadata":{"ownerReferences":null},"spec":{"holderIdentity":""}}', id="no owner"),
    ],
)
def test_a_lease_that_somebody_has_rewritten_is_made_again(harness: OperatorHarness, patch):
    trial = at_work(harness, nap("long", 20))
    place = f"--namespace={harness.namespace}"
    holder = harness.cluster.kubectl.get("lease", "example-1", place)["spec"]["holderIdentity"]
    harness.cluster.kubectl("patch", "lease", "example-1", place, "--type=merge", f"--patch={patch}")

    def is_whole() -> bool:
        [lease] = harness.cluster.kubectl.get("leases", place).get("items") or [{}]
        spec, labels = lease.get("spec", {}), lease.get("metadata", {}).get("labels", {})
        return spec.get("holderIdentity") == holder and "lcm.5gdrones.eu/trial" in labels

    harness.wait(is_whole)
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert len(attempts(harness)) == 1


def test_an_attempt_that_follows_by_itself_waits_and_says_until_when(harness: OperatorHarness):
    wrong = {"name": "wrong", "exec": {"command": ["false"]}}
    trial = harness.trial(
        "example", start=in_seconds(1), activities=[wrong], engine=ENGINE | {"maxRestores": 2}
    )
    harness.until(trial, lambda _: "attempt 2 (Automatic) begins at" in message(trial))
    harness.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    times = [datetime.fromisoformat(each["startTime"]) for each in attempts(harness)]
    ends = [datetime.fromisoformat(each["completionTime"]) for each in attempts(harness)]
    pauses = [(begun - ended).total_seconds() for ended, begun in zip(ends, times[1:], strict=False)]
    assert [each["reason"] for each in attempts(harness)] == ["Start", "Automatic", "Automatic"]
    assert pauses[0] >= 10
    assert pauses[1] >= 20


def test_running_engine_costs_no_request_of_its_own_and_no_kopf_finalizer(harness: OperatorHarness):
    at_work(harness, nap("long", 40))
    finalizers = harness.engine("example").obj["metadata"].get("finalizers", [])
    assert "lcm.5gdrones.eu/timer" not in finalizers
    before = len(gets_of_pods(harness))
    time.sleep(12)  # the span that is looked at: longer than the timer of former releases
    assert len(gets_of_pods(harness)) == before
    assert condition(harness.trials()[0], "Succeeded") == ("Unknown", "Running")


def gets_of_pods(harness: OperatorHarness) -> list[dict[str, Any]]:
    about = {"resource": "pods", "namespace": harness.namespace}
    return [
        event
        for event in harness.cluster.audit()
        if event["verb"] == "get"
        and about.items() <= event.get("objectRef", {}).items()
        and event["user"]["username"] == OPERATOR_USER
    ]
