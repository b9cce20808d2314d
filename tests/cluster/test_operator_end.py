"""What became of a trial, on a real API server: Released, Finished, what holds on, what is judged first."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.engine_stage import Partner, http
from tests.cluster.operator_stage import DEADLINE, Stage, Trial, condition, in_seconds, nap
from tests.cluster.test_operator_finally import process_of, states

from devcluster.cluster.components import OPERATOR
from devcluster.waiting import wait_until

OUR_FINALIZER = "lcm.5gdrones.eu/engine"
RELEASES = {"finally": [http("free"), http("clean")]}


@pytest.fixture
def partner() -> Iterator[Partner]:
    partner = Partner()
    yield partner
    partner.close()


def begin(stage: Stage, partner: Partner, *activities: dict[str, Any], **spec: Any) -> Trial:
    """Create a trial that starts at once, and releases two things at its end."""
    given = {"parameters": {"partner": partner.url}} | RELEASES | spec
    return stage.trial("example", start=in_seconds(1), activities=list(activities), **given)


def quota(stage: Stage, resource: str) -> None:
    """Let no object of a kind be made in the namespace any more."""
    where = f"--namespace={stage.namespace}"
    stage.cluster.kubectl("create", "quota", "tight", where, f"--hard={resource}=0")
    used = ("get", "quota", "tight", where, "--output=jsonpath={.status.used}")
    stage.wait(lambda: stage.cluster.kubectl(*used))


def message(trial: Trial, kind: str) -> str:
    found = {each["type"]: each["message"] for each in trial.obj["status"]["conditions"]}
    return found.get(kind, "")


def kill_engine(stage: Stage) -> None:
    """End the container of the one pod as the kernel does when memory is short."""
    [pod] = [pod for pod in stage.pods() if pod.obj["status"]["phase"] == "Running"]
    os.kill(process_of(pod), signal.SIGKILL)


def once(partner: Partner, path: str, do: Callable[[], None]) -> None:
    """Do something during the first request of a path."""

    def answer(_request: object) -> int:
        del partner.answer[path]
        do()
        return 200

    partner.answer[path] = answer


def failed(stage: Stage, partner: Partner, **spec: Any) -> Trial:
    """Return a trial that has failed after its first activity; its pod has ended."""
    partner.answer["/two"] = 503
    trial = begin(stage, partner, http("one"), http("two"), **spec)
    stage.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    stage.wait(lambda: stage.pods()[0].obj["status"]["phase"] == "Failed")
    return trial


def without_engine(stage: Stage) -> None:
    stage.wait(lambda: not stage.engines())


def test_releases_that_could_not_be_run_show_on_the_cancelled_trial(stage: Stage, partner: Partner):
    trial = failed(stage, partner, engine={"finallyTimeoutSeconds": 2})
    assert condition(trial, "Released") == ("Unknown", "Owed")
    quota(stage, "pods")
    stage.annotate(trial, delete="d-1")
    stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    without_engine(stage)
    trial.reload()
    assert condition(trial, "Released") == ("False", "FinallyNotRun")
    assert condition(trial, "Finished") == ("True", "Cancelled")
    assert "free, clean" in message(trial, "Released")
    answer = trial.obj["status"]["lastHandledDelete"]
    assert answer["result"] == "Done"
    assert "not released: free, clean" in answer["message"]
    stage.wait(lambda: len(stage.events("FinallyNotRun")) == 2)
    assert partner.lines == ["POST /one", "POST /two"]


def test_releases_cut_off_after_the_active_deadline_show_too(stage: Stage, partner: Partner):
    def break_off() -> None:
        quota(stage, "pods")
        kill_engine(stage)

    once(partner, "/free", break_off)
    engine = {"activeDeadlineSeconds": 3, "finallyTimeoutSeconds": 2}
    trial = begin(stage, partner, http("one"), nap("long", 300), engine=engine)
    stage.until_condition(trial, "Succeeded", "False", "DeadlineExceeded")
    assert condition(trial, "Released") == ("False", "FinallyTimedOut")
    assert "clean: never begun" in message(trial, "Released")
    assert condition(trial, "Finished") == ("True", "Failed")
    stage.until(stage.engine("example"), lambda _: OUR_FINALIZER not in finalizers(stage))


def finalizers(stage: Stage) -> list[str]:
    return stage.engine("example").obj["metadata"].get("finalizers", [])


def test_a_release_that_fails_is_a_condition_and_an_event(stage: Stage, partner: Partner):
    partner.answer["/free"] = 500
    trial = begin(stage, partner, http("one"))
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    assert condition(trial, "Released") == ("False", "FinallyFailed")
    assert condition(trial, "Finished") == ("True", "Succeeded")
    assert "free: failed" in message(trial, "Released")
    assert "500" in message(trial, "Released")
    stage.wait(lambda: stage.events("FinallyFailed"))


def test_kill_during_the_release_after_success_is_followed_by_a_release(stage: Stage, partner: Partner):
    once(partner, "/free", lambda: kill_engine(stage))
    trial = begin(stage, partner, http("one"))
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    assert condition(trial, "Released") == ("True", "Released")
    assert partner.lines == ["POST /one", "POST /free", "POST /free", "POST /clean"]
    assert len(set(partner.keys("POST /free"))) == 1
    attempts = stage.engine("example").obj["status"]["attempts"]
    assert [attempt["reason"] for attempt in attempts] == ["Start", "Finally"]


def test_a_deleted_trial_keeps_which_release_failed(stage: Stage, partner: Partner):
    partner.answer["/clean"] = 500
    trial = failed(stage, partner)
    stage.annotate(trial, delete="d-1")
    stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    without_engine(stage)
    trial.reload()
    assert condition(trial, "Released") == ("False", "FinallyFailed")
    assert "not released: clean" in trial.obj["status"]["lastHandledDelete"]["message"]
    stage.wait(lambda: stage.events("FinallyFailed"))


def test_a_restore_owes_the_releases_again(stage: Stage, partner: Partner):
    trial = begin(stage, partner, http("one"))
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    stage.until(stage.engine("example"), lambda _: not finalizers(stage))
    held = []
    once(partner, "/one", lambda: held.extend(finalizers(stage)))
    stage.annotate(trial, restore="r-1", restore_from="r-1/one")
    stage.until(trial, lambda _: condition(trial, "Released") == ("Unknown", "Owed"))
    assert condition(trial, "Finished")[0] == "False"
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    assert condition(trial, "Released") == ("True", "Released")
    assert held == [OUR_FINALIZER]


def test_a_trial_cancelled_before_anything_acted_has_nothing_to_release(stage: Stage, partner: Partner):
    trial = stage.trial("example", start=in_seconds(3600), activities=[nap()], **RELEASES)
    stage.annotate(trial, delete="d-1")
    stage.until_condition(trial, "Finished", "True", "Cancelled")
    assert condition(trial, "Released") == ("True", "NothingToRelease")
    assert partner.lines == []


@pytest.mark.parametrize("way", ["annotation", "engine", "deadline"])
def test_completed_plan_has_succeeded_whatever_comes_without_an_operator(
    stage: Stage, partner: Partner, way: str
):
    once(partner, "/one", lambda: stage.cluster.stop(OPERATOR))
    engine = {"activeDeadlineSeconds": 5} if way == "deadline" else {}
    trial = begin(stage, partner, http("one"), engine=engine)
    stage.wait(lambda: partner.lines == ["POST /one", "POST /free", "POST /clean"])
    stage.wait(lambda: states(stage).get("clean") == "Succeeded")
    if way == "annotation":
        stage.annotate(trial, delete="d-1")
    elif way == "engine":
        stage.engine("example").delete()
    else:
        granted = stage.engine("example").obj["status"]["podRef"]["notBefore"]
        stage.wait(lambda: in_seconds(-6) > granted)
    stage.cluster.start(OPERATOR)
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    assert condition(trial, "Released") == ("True", "Released")
    if way != "deadline":
        without_engine(stage)
        trial.reload()
        assert condition(trial, "Succeeded") == ("True", "Completed")


def test_a_lease_that_is_refused_is_shown_before_the_start_and_after_it(stage: Stage):
    quota(stage, "count/leases.coordination.k8s.io")
    trial = stage.trial("example", start=in_seconds(8), activities=[nap()])
    stage.until_condition(trial, "Armed", "False", "AdmissionRefused")
    assert "leases" in message(trial, "Armed")
    stage.until(trial, lambda status: status.get("startedTime"))
    stage.until_condition(trial, "Succeeded", "Unknown", "AdmissionRefused")
    assert "leases" in message(trial, "Succeeded")
    stage.wait(lambda: any("leases" in text for text in stage.events("AdmissionRefused")))
    stage.cluster.kubectl("delete", "quota", "tight", f"--namespace={stage.namespace}")
    stage.until_condition(trial, "Succeeded", "True", "Completed")


def test_without_an_operator_only_an_engine_that_owes_a_release_holds_on(stage: Stage, partner: Partner):
    done = begin(stage, partner, http("one"))
    stage.until_condition(done, "Succeeded", "True", "Completed")
    stage.until(stage.engine("example"), lambda _: not finalizers(stage))
    busy = stage.trial("busy", start=in_seconds(1), activities=[nap("long", 300)])
    armed = stage.trial("armed", start=in_seconds(50), activities=[nap()], **RELEASES)
    stage.until_condition(armed, "Armed", "True", "Admitted")
    stage.until(busy, lambda status: status.get("progress") == "0/1" and status.get("startedTime"))
    stage.cluster.stop(OPERATOR)
    for trial in (done, busy, armed):
        trial.delete()
    stage.wait(lambda: not stage.trials() and not stage.engines() and not stage.pods())


def test_a_held_engine_says_how_to_free_it(stage: Stage, partner: Partner):
    trial = failed(stage, partner)
    engine = stage.engine("example")
    told = {each["type"]: each["message"] for each in engine.obj["status"]["conditions"]}["Released"]
    assert f"kubectl patch trialengine example -n {stage.namespace}" in told
    stage.cluster.stop(OPERATOR)
    trial.delete()
    stage.wait(lambda: "deletionTimestamp" in stage.engine("example").obj["metadata"])
    engine.patch({"metadata": {"finalizers": None}})
    without_engine(stage)


def test_an_engine_deleted_with_nothing_to_release_cancels_its_trial(stage: Stage):
    trial = stage.trial("example", start=in_seconds(1), activities=[nap("long", 300)])
    stage.wait(lambda: states(stage).get("long") == "Running")
    [pod] = stage.pods()
    os.kill(process_of(pod), signal.SIGSTOP)  # it does not obey, so it lives as long as its grace period
    stage.engine("example").delete()
    stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    assert condition(trial, "Finished") == ("False", "Ending")
    os.kill(process_of(pod), signal.SIGKILL)
    stage.until_condition(trial, "Finished", "True", "Cancelled")


def test_conditions_carry_the_generation_after_the_start_too(stage: Stage):
    trial = stage.trial("example", start=in_seconds(1), activities=[nap("long", 300)])
    stage.wait(lambda: states(stage).get("long") == "Running")
    trial.patch({"spec": {"ttlSecondsAfterFinished": 3600}})
    where = (f"--namespace={stage.namespace}", "--timeout=20s")
    stage.cluster.kubectl("wait", "--for=condition=Started", "trial/example", *where)
    trial.reload()
    seen = {each["observedGeneration"] for each in trial.obj["status"]["conditions"]}
    assert seen == {trial.obj["metadata"]["generation"]}


def test_trial_recreated_while_its_first_engine_releases_starts_after_that(stage: Stage, tmp_path: Path):
    """Its start time passes meanwhile; its deadline does not."""
    journal, release = tmp_path / "journal", tmp_path / "release"
    journal.touch()

    def plan(name: str) -> dict[str, Any]:
        wait_for = f"while [ ! -e {release} ]; do sleep 0.1; done"
        free = f"echo {name} frees >> {journal}; {wait_for}; echo {name} has freed >> {journal}"
        act = {"name": "act", "exec": {"command": ["sh", "-c", f"echo {name} acts >> {journal}"]}}
        last = [] if name == "second" else [nap("long", 300)]
        return {
            "activities": [act, *last],
            "finally": [{"name": "free", "exec": {"command": ["sh", "-c", free]}}],
        }

    first = stage.trial("example", start=in_seconds(1), **plan("first"))
    stage.wait(lambda: "first acts" in journal.read_text())
    first.delete()
    stage.wait(lambda: "first frees" in journal.read_text() and not stage.trials())
    begin = datetime.now(UTC) + timedelta(seconds=2)
    again = stage.trial("example", start=begin.strftime("%Y-%m-%dT%H:%M:%SZ"), **plan("second"))
    stage.until_condition(again, "Accepted", "False", "TrialIDNotFree")
    assert wait_until(lambda: datetime.now(UTC) > begin + timedelta(seconds=3), seconds=DEADLINE)
    again.reload()
    assert condition(again, "Accepted") == ("False", "TrialIDNotFree")
    release.touch()
    stage.until_condition(again, "Succeeded", "True", "Completed")
    assert journal.read_text().splitlines() == [
        f"{name} {does}" for name in ("first", "second") for does in ("acts", "frees", "has freed")
    ]
    assert stage.events("Cancelled")
