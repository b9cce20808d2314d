"""What became of a trial, on a real API server: Released, Finished, what holds on, what is judged first."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.engine_harness import Partner, http
from tests.cluster.operator_harness import DEADLINE, OperatorHarness, Trial, condition, in_seconds, nap
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


def begin(harness: OperatorHarness, partner: Partner, *activities: dict[str, Any], **spec: Any) -> Trial:
    """Create a trial that starts at once, and releases two things at its end."""
    given = {"parameters": {"partner": partner.url}} | RELEASES | spec
    return harness.trial("example", start=in_seconds(1), activities=list(activities), **given)


def quota(harness: OperatorHarness, resource: str) -> None:
    """Let no object of a kind be made in the namespace any more."""
    where = f"--namespace={harness.namespace}"
    harness.cluster.kubectl("create", "quota", "tight", where, f"--hard={resource}=0")
    used = ("get", "quota", "tight", where, "--output=jsonpath={.status.used}")
    harness.wait(lambda: harness.cluster.kubectl(*used))


def message(trial: Trial, kind: str) -> str:
    found = {each["type"]: each["message"] for each in trial.obj["status"]["conditions"]}
    return found.get(kind, "")


def kill_engine(harness: OperatorHarness) -> None:
    """End the container of the one pod as the kernel does when memory is short."""
    [pod] = [pod for pod in harness.pods() if pod.obj["status"]["phase"] == "Running"]
    os.kill(process_of(pod), signal.SIGKILL)


def once(partner: Partner, path: str, do: Callable[[], None]) -> None:
    """Do something during the first request of a path."""

    def answer(_request: object) -> int:
        del partner.answer[path]
        do()
        return 200

    partner.answer[path] = answer


def failed(harness: OperatorHarness, partner: Partner, **spec: Any) -> Trial:
    """Return a trial that has failed after its first activity; its pod has ended."""
    partner.answer["/two"] = 503
    trial = begin(harness, partner, http("one"), http("two"), **spec)
    harness.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    harness.wait(lambda: harness.pods()[0].obj["status"]["phase"] == "Failed")
    return trial


def without_engine(harness: OperatorHarness) -> None:
    harness.wait(lambda: not harness.engines())


def test_releases_that_could_not_be_run_show_on_the_cancelled_trial(
    harness: OperatorHarness, partner: Partner
):
    trial = failed(harness, partner, engine={"finallyTimeoutSeconds": 2})
    assert condition(trial, "Released") == ("Unknown", "Owed")
    quota(harness, "pods")
    harness.annotate(trial, delete="d-1")
    harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    without_engine(harness)
    trial.reload()
    assert condition(trial, "Released") == ("False", "FinallyNotRun")
    assert condition(trial, "Finished") == ("True", "Cancelled")
    assert "free, clean" in message(trial, "Released")
    answer = trial.obj["status"]["lastHandledDelete"]
    assert answer["result"] == "Done"
    assert "not released: free, clean" in answer["message"]
    harness.wait(lambda: len(harness.events("FinallyNotRun")) == 2)
    assert partner.lines == ["POST /one", "POST /two"]


def test_releases_cut_off_after_the_active_deadline_show_as_well(harness: OperatorHarness, partner: Partner):
    def break_off() -> None:
        quota(harness, "pods")
        kill_engine(harness)

    once(partner, "/free", break_off)
    engine = {"activeDeadlineSeconds": 3, "finallyTimeoutSeconds": 2}
    trial = begin(harness, partner, http("one"), nap("long", 300), engine=engine)
    harness.until_condition(trial, "Succeeded", "False", "DeadlineExceeded")
    assert condition(trial, "Released") == ("False", "FinallyTimedOut")
    assert "clean: never begun" in message(trial, "Released")
    assert condition(trial, "Finished") == ("True", "Failed")
    harness.until(harness.engine("example"), lambda _: OUR_FINALIZER not in finalizers(harness))


def finalizers(harness: OperatorHarness) -> list[str]:
    return harness.engine("example").obj["metadata"].get("finalizers", [])


def test_a_release_that_fails_is_a_condition_and_an_event(harness: OperatorHarness, partner: Partner):
    partner.answer["/free"] = 500
    trial = begin(harness, partner, http("one"))
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert condition(trial, "Released") == ("False", "FinallyFailed")
    assert condition(trial, "Finished") == ("True", "Succeeded")
    assert "free: failed" in message(trial, "Released")
    assert "500" in message(trial, "Released")
    harness.wait(lambda: harness.events("FinallyFailed"))


def test_kill_during_the_release_after_success_is_followed_by_a_release(
    harness: OperatorHarness, partner: Partner
):
    once(partner, "/free", lambda: kill_engine(harness))
    trial = begin(harness, partner, http("one"))
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert condition(trial, "Released") == ("True", "Released")
    assert partner.lines == ["POST /one", "POST /free", "POST /free", "POST /clean"]
    assert len(set(partner.keys("POST /free"))) == 1
    attempts = harness.engine("example").obj["status"]["attempts"]
    assert [attempt["reason"] for attempt in attempts] == ["Start", "Finally"]


def test_a_deleted_trial_keeps_which_release_failed(harness: OperatorHarness, partner: Partner):
    partner.answer["/clean"] = 500
    trial = failed(harness, partner)
    harness.annotate(trial, delete="d-1")
    harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    without_engine(harness)
    trial.reload()
    assert condition(trial, "Released") == ("False", "FinallyFailed")
    assert "not released: clean" in trial.obj["status"]["lastHandledDelete"]["message"]
    harness.wait(lambda: harness.events("FinallyFailed"))


def test_a_restore_owes_the_releases_again(harness: OperatorHarness, partner: Partner):
    trial = begin(harness, partner, http("one"))
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    harness.until(harness.engine("example"), lambda _: not finalizers(harness))
    held = []
    once(partner, "/one", lambda: held.extend(finalizers(harness)))
    harness.annotate(trial, restore="r-1", restore_from="r-1/one")
    harness.until(trial, lambda _: condition(trial, "Released") == ("Unknown", "Owed"))
    assert condition(trial, "Finished")[0] == "False"
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert condition(trial, "Released") == ("True", "Released")
    assert held == [OUR_FINALIZER]


def test_a_trial_cancelled_before_anything_acted_has_nothing_to_release(
    harness: OperatorHarness, partner: Partner
):
    trial = harness.trial("example", start=in_seconds(3600), activities=[nap()], **RELEASES)
    harness.annotate(trial, delete="d-1")
    harness.until_condition(trial, "Finished", "True", "Cancelled")
    assert condition(trial, "Released") == ("True", "NothingToRelease")
    assert partner.lines == []


@pytest.mark.parametrize("way", ["annotation", "engine", "deadline"])
def test_completed_plan_has_succeeded_whatever_comes_without_an_operator(
    harness: OperatorHarness, partner: Partner, way: str
):
    once(partner, "/one", lambda: harness.cluster.stop(OPERATOR))
    engine = {"activeDeadlineSeconds": 5} if way == "deadline" else {}
    trial = begin(harness, partner, http("one"), engine=engine)
    harness.wait(lambda: partner.lines == ["POST /one", "POST /free", "POST /clean"])
    harness.wait(lambda: states(harness).get("clean") == "Succeeded")
    if way == "annotation":
        harness.annotate(trial, delete="d-1")
    elif way == "engine":
        harness.engine("example").delete()
    else:
        granted = harness.engine("example").obj["status"]["podRef"]["notBefore"]
        harness.wait(lambda: in_seconds(-6) > granted)
    harness.cluster.start(OPERATOR)
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert condition(trial, "Released") == ("True", "Released")
    if way != "deadline":
        without_engine(harness)
        trial.reload()
        assert condition(trial, "Succeeded") == ("True", "Completed")


def test_a_lease_that_is_refused_is_shown_before_the_start_and_after_it(harness: OperatorHarness):
    quota(harness, "count/leases.coordination.k8s.io")
    trial = harness.trial("example", start=in_seconds(8), activities=[nap()])
    harness.until_condition(trial, "Armed", "False", "AdmissionRefused")
    assert "leases" in message(trial, "Armed")
    harness.until(trial, lambda status: status.get("startedTime"))
    harness.until_condition(trial, "Succeeded", "Unknown", "AdmissionRefused")
    assert "leases" in message(trial, "Succeeded")
    harness.wait(lambda: any("leases" in text for text in harness.events("AdmissionRefused")))
    harness.cluster.kubectl("delete", "quota", "tight", f"--namespace={harness.namespace}")
    harness.until_condition(trial, "Succeeded", "True", "Completed")


def test_without_an_operator_only_an_engine_that_owes_a_release_holds_on(
    harness: OperatorHarness, partner: Partner
):
    done = begin(harness, partner, http("one"))
    harness.until_condition(done, "Succeeded", "True", "Completed")
    harness.until(harness.engine("example"), lambda _: not finalizers(harness))
    busy = harness.trial("busy", start=in_seconds(1), activities=[nap("long", 300)])
    given = {"parameters": {"partner": partner.url}} | RELEASES
    armed = harness.trial("armed", start=in_seconds(50), activities=[nap()], **given)
    harness.until_condition(armed, "Armed", "True", "Admitted")
    harness.until(busy, lambda status: status.get("progress") == "0/1" and status.get("startedTime"))
    harness.cluster.stop(OPERATOR)
    for trial in (done, busy, armed):
        trial.delete()
    harness.wait(lambda: not harness.trials() and not harness.engines() and not harness.pods())


def test_a_held_engine_says_how_to_free_it(harness: OperatorHarness, partner: Partner):
    trial = failed(harness, partner)
    engine = harness.engine("example")
    message = {each["type"]: each["message"] for each in engine.obj["status"]["conditions"]}["Released"]
    assert f"kubectl patch trialengine example -n {harness.namespace}" in message
    harness.cluster.stop(OPERATOR)
    trial.delete()
    harness.wait(lambda: "deletionTimestamp" in harness.engine("example").obj["metadata"])
    engine.patch({"metadata": {"finalizers": None}})
    without_engine(harness)


def test_an_engine_deleted_with_nothing_to_release_cancels_its_trial(harness: OperatorHarness):
    trial = harness.trial("example", start=in_seconds(1), activities=[nap("long", 300)])
    harness.wait(lambda: states(harness).get("long") == "Running")
    [pod] = harness.pods()
    os.kill(process_of(pod), signal.SIGSTOP)  # it does not obey, so it lives as long as its grace period
    harness.engine("example").delete()
    harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    assert condition(trial, "Finished") == ("False", "Ending")
    os.kill(process_of(pod), signal.SIGKILL)
    harness.until_condition(trial, "Finished", "True", "Cancelled")


def test_conditions_carry_the_generation_after_the_start_as_well(harness: OperatorHarness):
    trial = harness.trial("example", start=in_seconds(1), activities=[nap("long", 300)])
    harness.wait(lambda: states(harness).get("long") == "Running")
    trial.patch({"spec": {"ttlSecondsAfterFinished": 3600}})
    where = (f"--namespace={harness.namespace}", "--timeout=20s")
    harness.cluster.kubectl("wait", "--for=condition=Started", "trial/example", *where)
    trial.reload()
    seen = {each["observedGeneration"] for each in trial.obj["status"]["conditions"]}
    assert seen == {trial.obj["metadata"]["generation"]}


def test_trial_recreated_while_its_first_engine_releases_starts_after_that(
    harness: OperatorHarness, tmp_path: Path
):
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

    first = harness.trial("example", start=in_seconds(1), **plan("first"))
    harness.wait(lambda: "first acts" in journal.read_text())
    first.delete()
    harness.wait(lambda: "first frees" in journal.read_text() and not harness.trials())
    begin = datetime.now(UTC) + timedelta(seconds=2)
    again = harness.trial("example", start=begin.strftime("%Y-%m-%dT%H:%M:%SZ"), **plan("second"))
    harness.until_condition(again, "Accepted", "False", "TrialIDNotFree")
    assert wait_until(lambda: datetime.now(UTC) > begin + timedelta(seconds=3), seconds=DEADLINE)
    again.reload()
    assert condition(again, "Accepted") == ("False", "TrialIDNotFree")
    release.touch()
    harness.until_condition(again, "Succeeded", "True", "Completed")
    assert journal.read_text().splitlines() == [
        f"{name} {does}" for name in ("first", "second") for does in ("acts", "frees", "has freed")
    ]
    assert harness.events("Cancelled")
