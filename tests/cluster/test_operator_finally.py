"""The end of a trial with operator, node and engines: `finally`, `onFailure`, engines that fall silent."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pykube.objects import Pod
from tests.cluster.engine_harness import Partner, http
from tests.cluster.operator_harness import OperatorHarness, condition, in_seconds, nap

from devcluster.cluster.components import OPERATOR

LISTS = {"finally": [http("free"), http("clean")], "onFailure": [http("tell")]}
RELEASED = ["POST /free", "POST /clean"]


@pytest.fixture
def partner() -> Iterator[Partner]:
    partner = Partner()
    yield partner
    partner.close()


def begin(harness: OperatorHarness, partner: Partner, *activities, **spec):
    """Create a trial that starts at once."""
    given = {"parameters": {"partner": partner.url}} | LISTS | spec
    return harness.trial("example", start=in_seconds(1), activities=list(activities), **given)


def busy(harness: OperatorHarness, partner: Partner, **spec):
    """Begin a trial with long to do, and wait until it does."""
    trial = begin(harness, partner, http("one"), nap("long", 300), **spec)
    harness.wait(lambda: states(harness).get("long") == "Running")
    return trial


def states(harness: OperatorHarness) -> dict[str, str]:
    engines = harness.engines()
    activities = engines[0].obj.get("status", {}).get("activities", []) if engines else []
    return {activity["name"]: activity["state"] for activity in activities}


def nothing_left(harness: OperatorHarness) -> bool:
    leases = harness.cluster.kubectl.get("leases", f"--namespace={harness.namespace}").get("items")
    return not harness.engines() and not harness.pods() and not leases


def attempts(harness: OperatorHarness) -> list[tuple[str, str]]:
    return [(a["reason"], a["outcome"]) for a in harness.engine("example").obj["status"]["attempts"]]


def force_delete(harness: OperatorHarness, pod: str) -> None:
    harness.cluster.kubectl(
        "delete", "pod", pod, f"--namespace={harness.namespace}", "--grace-period=0", "--force"
    )


def process_of(pod: Pod) -> int:
    """Return the process that is the engine of a pod."""
    uid = f"LCM_POD_UID={pod.obj['metadata']['uid']}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is not ours
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes().split(b"\0")
            if uid in environment and b"lcm_operator.engine" in command:
                found.append(int(process.name))
    [engine] = found
    return engine


def test_finally_runs_after_success(harness: OperatorHarness, partner: Partner):
    trial = begin(harness, partner, http("one"))
    status = harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert status["progress"] == "1/1"
    assert partner.lines == ["POST /one", *RELEASED]


def test_a_failed_release_is_recorded_and_the_trial_stays_succeeded(
    harness: OperatorHarness, partner: Partner
):
    partner.answer["/free"] = 503
    trial = begin(harness, partner, http("one"))
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert states(harness) == {
        "one": "Succeeded",
        "tell": "Pending",
        "free": "Failed",
        "clean": "Succeeded",
    }


def test_finally_runs_after_a_delete_request(harness: OperatorHarness, partner: Partner):
    trial = busy(harness, partner)
    harness.annotate(trial, delete="d-1")
    harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    harness.wait(lambda: nothing_left(harness))
    assert partner.lines == ["POST /one", *RELEASED]


def test_finally_runs_after_the_trial_was_deleted(harness: OperatorHarness, partner: Partner):
    busy(harness, partner).delete()
    harness.wait(lambda: not harness.trials() and nothing_left(harness))
    assert partner.lines == ["POST /one", *RELEASED]


def test_finally_runs_while_the_operator_is_away(harness: OperatorHarness, partner: Partner):
    trial = busy(harness, partner)
    harness.cluster.stop(OPERATOR)
    trial.delete()
    harness.wait(lambda: partner.lines == ["POST /one", *RELEASED])
    harness.cluster.start(OPERATOR)
    harness.wait(lambda: not harness.trials() and nothing_left(harness))
    assert partner.lines == ["POST /one", *RELEASED]


def test_finally_runs_after_the_active_deadline(harness: OperatorHarness, partner: Partner):
    trial = busy(harness, partner, engine={"activeDeadlineSeconds": 3})
    harness.until_condition(trial, "Succeeded", "False", "DeadlineExceeded")
    assert partner.lines == ["POST /one", *RELEASED]
    assert attempts(harness) == [("Start", "Failed")]


def test_after_a_failure_on_failure_reports_and_only_a_delete_releases(
    harness: OperatorHarness, partner: Partner
):
    partner.answer["/one"] = 503
    trial = begin(harness, partner, http("one"), engine={"heartbeatTimeoutSeconds": 4})
    harness.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    harness.wait(lambda: states(harness).get("tell") == "Succeeded")
    assert partner.lines == ["POST /one", "POST /tell"]

    harness.annotate(trial, delete="d-1")
    harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    harness.wait(lambda: nothing_left(harness))
    assert partner.lines == ["POST /one", "POST /tell", *RELEASED]


def test_a_delete_after_success_releases_nothing_twice(harness: OperatorHarness, partner: Partner):
    trial = begin(harness, partner, http("one"))
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    trial.delete()
    harness.wait(lambda: not harness.trials() and nothing_left(harness))
    assert partner.lines == ["POST /one", *RELEASED]


def test_a_restore_after_success_releases_again_as_a_run_of_its_own(
    harness: OperatorHarness, partner: Partner
):
    trial = begin(harness, partner, http("one"), http("two"))
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    harness.annotate(trial, restore="r-1", restore_from="r-1/two")
    harness.until(trial, lambda status: status.get("lastHandledRestore", {}).get("result") == "Done")
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert partner.lines == ["POST /one", "POST /two", *RELEASED, "POST /two", *RELEASED]
    assert len(set(partner.keys("POST /free"))) == 2
    assert len(set(partner.keys("POST /two"))) == 2


def test_kill_of_a_stopping_engine_is_followed_by_one_attempt_to_release(
    harness: OperatorHarness, partner: Partner
):
    def kill(_request):
        del partner.answer["/free"]
        force_delete(harness, "example-1")
        return 200

    partner.answer["/free"] = kill
    trial = busy(harness, partner, engine={"heartbeatTimeoutSeconds": 4})
    harness.annotate(trial, delete="d-1")
    harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    harness.wait(lambda: nothing_left(harness))
    assert partner.lines == ["POST /one", "POST /free", *RELEASED]
    assert len(set(partner.keys("POST /free"))) == 1
    assert harness.pods_created() == {"example-1": 1, "example-2": 1}


def test_a_trial_whose_failed_engine_is_gone_is_released_by_one_more_attempt(
    harness: OperatorHarness, partner: Partner
):
    partner.answer["/one"] = 503
    trial = begin(harness, partner, http("one"))
    harness.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    harness.wait(lambda: states(harness).get("tell") == "Succeeded")
    force_delete(harness, "example-1")
    trial.delete()
    harness.wait(lambda: not harness.trials() and nothing_left(harness))
    assert partner.lines == ["POST /one", "POST /tell", *RELEASED]


def test_a_silent_engine_fails_and_its_pod_is_ended(harness: OperatorHarness, partner: Partner):
    trial = busy(harness, partner, engine={"heartbeatTimeoutSeconds": 4})
    [pod] = harness.pods()
    os.kill(process_of(pod), signal.SIGSTOP)
    harness.until_condition(trial, "Succeeded", "False", "EngineSilent")
    harness.wait(lambda: not harness.pods())
    assert condition(trial, "Succeeded") == ("False", "EngineSilent")
    assert partner.lines == ["POST /one"]


def test_what_does_not_release_in_time_is_recorded(harness: OperatorHarness, partner: Partner):
    lists = {"finally": [nap("stuck", 100), http("clean")]}
    engine = {"activeDeadlineSeconds": 2, "finallyTimeoutSeconds": 2}
    trial = busy(harness, partner, engine=engine, **lists)
    harness.until_condition(trial, "Succeeded", "False", "DeadlineExceeded")
    assert (states(harness)["stuck"], states(harness)["clean"]) == ("Failed", "Skipped")
