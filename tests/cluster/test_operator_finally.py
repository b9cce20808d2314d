"""The end of a trial with operator, node and engines: `finally`, `onFailure`, engines that fall silent."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pykube.objects import Pod
from tests.cluster.engine_stage import Partner, http
from tests.cluster.operator_stage import Stage, condition, in_seconds, nap

from devcluster.cluster.components import OPERATOR

LISTS = {"finally": [http("free"), http("clean")], "onFailure": [http("tell")]}
RELEASED = ["POST /free", "POST /clean"]


@pytest.fixture
def partner() -> Iterator[Partner]:
    partner = Partner()
    yield partner
    partner.close()


def begin(stage: Stage, partner: Partner, *activities, **spec):
    """Create a trial that starts at once."""
    given = {"parameters": {"partner": partner.url}} | LISTS | spec
    return stage.trial("example", start=in_seconds(1), activities=list(activities), **given)


def busy(stage: Stage, partner: Partner, **spec):
    """Begin a trial with long to do, and wait until it does."""
    trial = begin(stage, partner, http("one"), nap("long", 300), **spec)
    stage.wait(lambda: states(stage).get("long") == "Running")
    return trial


def states(stage: Stage) -> dict[str, str]:
    engines = stage.engines()
    activities = engines[0].obj.get("status", {}).get("activities", []) if engines else []
    return {activity["name"]: activity["state"] for activity in activities}


def nothing_left(stage: Stage) -> bool:
    leases = stage.cluster.kubectl.get("leases", f"--namespace={stage.namespace}").get("items")
    return not stage.engines() and not stage.pods() and not leases


def attempts(stage: Stage) -> list[tuple[str, str]]:
    return [(a["reason"], a["outcome"]) for a in stage.engine("example").obj["status"]["attempts"]]


def force_delete(stage: Stage, pod: str) -> None:
    stage.cluster.kubectl(
        "delete", "pod", pod, f"--namespace={stage.namespace}", "--grace-period=0", "--force"
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


def test_finally_runs_after_success(stage: Stage, partner: Partner):
    trial = begin(stage, partner, http("one"))
    status = stage.until_condition(trial, "Succeeded", "True", "Completed")
    assert status["progress"] == "1/1"
    assert partner.lines == ["POST /one", *RELEASED]


def test_a_failed_release_is_recorded_and_the_trial_stays_succeeded(stage: Stage, partner: Partner):
    partner.answer["/free"] = 503
    trial = begin(stage, partner, http("one"))
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    assert states(stage) == {
        "one": "Succeeded",
        "tell": "Pending",
        "free": "Failed",
        "clean": "Succeeded",
    }


def test_finally_runs_after_a_delete_request(stage: Stage, partner: Partner):
    trial = busy(stage, partner)
    stage.annotate(trial, delete="d-1")
    stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    stage.wait(lambda: nothing_left(stage))
    assert partner.lines == ["POST /one", *RELEASED]


def test_finally_runs_after_the_trial_was_deleted(stage: Stage, partner: Partner):
    busy(stage, partner).delete()
    stage.wait(lambda: not stage.trials() and nothing_left(stage))
    assert partner.lines == ["POST /one", *RELEASED]


def test_finally_runs_while_the_operator_is_away(stage: Stage, partner: Partner):
    trial = busy(stage, partner)
    stage.cluster.stop(OPERATOR)
    trial.delete()
    stage.wait(lambda: partner.lines == ["POST /one", *RELEASED])
    stage.cluster.start(OPERATOR)
    stage.wait(lambda: not stage.trials() and nothing_left(stage))
    assert partner.lines == ["POST /one", *RELEASED]


def test_finally_runs_after_the_active_deadline(stage: Stage, partner: Partner):
    trial = busy(stage, partner, engine={"activeDeadlineSeconds": 3})
    stage.until_condition(trial, "Succeeded", "False", "DeadlineExceeded")
    assert partner.lines == ["POST /one", *RELEASED]
    assert attempts(stage) == [("Start", "Failed")]


def test_after_a_failure_on_failure_reports_and_only_a_delete_releases(stage: Stage, partner: Partner):
    partner.answer["/one"] = 503
    trial = begin(stage, partner, http("one"), engine={"heartbeatTimeoutSeconds": 4})
    stage.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    stage.wait(lambda: states(stage).get("tell") == "Succeeded")
    assert partner.lines == ["POST /one", "POST /tell"]

    stage.annotate(trial, delete="d-1")
    stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    stage.wait(lambda: nothing_left(stage))
    assert partner.lines == ["POST /one", "POST /tell", *RELEASED]


def test_a_delete_after_success_releases_nothing_twice(stage: Stage, partner: Partner):
    trial = begin(stage, partner, http("one"))
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    trial.delete()
    stage.wait(lambda: not stage.trials() and nothing_left(stage))
    assert partner.lines == ["POST /one", *RELEASED]


def test_a_restore_after_success_releases_again_as_a_run_of_its_own(stage: Stage, partner: Partner):
    trial = begin(stage, partner, http("one"), http("two"))
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    stage.annotate(trial, restore="r-1", restore_from="r-1/two")
    stage.until(trial, lambda status: status.get("lastHandledRestore", {}).get("result") == "Done")
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    assert partner.lines == ["POST /one", "POST /two", *RELEASED, "POST /two", *RELEASED]
    assert len(set(partner.keys("POST /free"))) == 2
    assert len(set(partner.keys("POST /two"))) == 2


def test_kill_of_a_stopping_engine_is_followed_by_one_attempt_to_release(stage: Stage, partner: Partner):
    def kill(_request):
        del partner.answer["/free"]
        force_delete(stage, "example-1")
        return 200

    partner.answer["/free"] = kill
    trial = busy(stage, partner, engine={"heartbeatTimeoutSeconds": 4})
    stage.annotate(trial, delete="d-1")
    stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    stage.wait(lambda: nothing_left(stage))
    assert partner.lines == ["POST /one", "POST /free", *RELEASED]
    assert len(set(partner.keys("POST /free"))) == 1
    assert stage.pods_created() == {"example-1": 1, "example-2": 1}


def test_a_trial_whose_failed_engine_is_gone_is_released_by_one_more_attempt(stage: Stage, partner: Partner):
    partner.answer["/one"] = 503
    trial = begin(stage, partner, http("one"))
    stage.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    stage.wait(lambda: states(stage).get("tell") == "Succeeded")
    force_delete(stage, "example-1")
    trial.delete()
    stage.wait(lambda: not stage.trials() and nothing_left(stage))
    assert partner.lines == ["POST /one", "POST /tell", *RELEASED]


def test_a_silent_engine_fails_and_its_pod_is_ended(stage: Stage, partner: Partner):
    trial = busy(stage, partner, engine={"heartbeatTimeoutSeconds": 4})
    [pod] = stage.pods()
    os.kill(process_of(pod), signal.SIGSTOP)
    stage.until_condition(trial, "Succeeded", "False", "EngineSilent")
    stage.wait(lambda: not stage.pods())
    assert condition(trial, "Succeeded") == ("False", "EngineSilent")
    assert partner.lines == ["POST /one"]


def test_what_does_not_release_in_time_is_recorded(stage: Stage, partner: Partner):
    lists = {"finally": [nap("stuck", 100), http("clean")]}
    engine = {"activeDeadlineSeconds": 2, "finallyTimeoutSeconds": 2}
    trial = busy(stage, partner, engine=engine, **lists)
    stage.until_condition(trial, "Succeeded", "False", "DeadlineExceeded")
    assert (states(stage)["stuck"], states(stage)["clean"]) == ("Failed", "Skipped")
