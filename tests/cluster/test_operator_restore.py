"""A failed engine is restored from its checkpoint: by annotation, with real engines and a real partner."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from pykube.objects import NamespacedAPIObject
from tests.cluster.engine_harness import Partner
from tests.cluster.operator_harness import (
    GROUP,
    OperatorHarness,
    Trial,
    TrialPlan,
    condition,
    in_seconds,
    nap,
)

from devcluster.cluster.components import OPERATOR

FIVE = ("one", "two", "three", "four", "five")


@pytest.fixture
def partner() -> Iterator[Partner]:
    partner = Partner()
    yield partner
    partner.close()


def failing_third(harness: OperatorHarness, partner: Partner) -> Trial:
    """Start a trial of five requests whose third is refused, and wait until it has failed."""
    partner.answer["/three"] = 500
    activities = [{"name": name, "http": {"method": "POST", "url": f"{partner.url}/{name}"}} for name in FIVE]
    trial = harness.trial("five", start=in_seconds(1), activities=activities)
    harness.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    assert partner.lines == ["POST /one", "POST /two", "POST /three"]
    partner.answer["/three"] = 200
    return trial


def test_a_failed_engine_continues_from_its_checkpoint(harness: OperatorHarness, partner: Partner):
    trial = failing_third(harness, partner)
    harness.annotate(trial, restore="r-1")
    status = harness.until_condition(trial, "Succeeded", "True", "Completed")

    assert partner.lines == [f"POST /{name}" for name in ("one", "two", "three", "three", "four", "five")]
    assert len(set(partner.keys("POST /three"))) == 1
    assert status["lastHandledRestore"]["id"] == "r-1"
    assert status["lastHandledRestore"]["result"] == "Done"
    engine = harness.engine("five").obj["status"]
    assert engine["attempt"] == 2
    assert [(a["number"], a["outcome"]) for a in engine["attempts"]] == [(1, "Failed"), (2, "Succeeded")]
    assert engine["attempts"][1]["fromActivity"] == "three"
    assert harness.pods_created() == {"five-1": 1, "five-2": 1}


def test_one_request_restores_once_however_often_the_operator_is_restarted(
    harness: OperatorHarness, partner: Partner
):
    trial = failing_third(harness, partner)
    harness.annotate(trial, restore="r-1")
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    harness.cluster.stop(OPERATOR, signal.SIGKILL)
    harness.cluster.start(OPERATOR)
    harness.annotate(trial, restore="r-2")
    harness.until(trial, lambda status: status["lastHandledRestore"]["id"] == "r-2")
    assert harness.engine("five").obj["status"]["attempt"] == 3


def test_a_running_engine_is_stopped_before_the_next_attempt_begins(harness: OperatorHarness):
    trial = harness.trial("busy", start=in_seconds(1), activities=[nap("long", 300)])
    harness.until(trial, lambda status: status.get("firstActivityLagMilliseconds") is not None)
    harness.annotate(trial, restore="r-1")
    harness.until(trial, lambda status: status.get("lastHandledRestore", {}).get("result") == "Done")
    first, second = harness.engine("busy").obj["status"]["attempts"]
    assert first["outcome"] == "Stopped"
    assert second["fromActivity"] == "long"
    harness.wait(lambda: {pod.name for pod in harness.pods()} == {"busy-2"})


def test_restore_from_repeats_what_had_succeeded_with_new_keys(harness: OperatorHarness, partner: Partner):
    trial = failing_third(harness, partner)
    harness.annotate(trial, restore="again", restore_from="again/two")
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert partner.lines.count("POST /one") == 1
    assert len(set(partner.keys("POST /two"))) == 2
    assert len(set(partner.keys("POST /three"))) == 1


def test_restore_from_an_unknown_activity_is_refused_and_says_so(harness: OperatorHarness, partner: Partner):
    trial = failing_third(harness, partner)
    harness.annotate(trial, restore="r-1", restore_from="r-1/six")
    status = harness.until(trial, lambda status: "lastHandledRestore" in status)
    assert status["lastHandledRestore"]["result"] == "Refused"
    assert "six" in status["lastHandledRestore"]["message"]
    assert harness.engine("five").obj["status"]["attempt"] == 1


def posts(partner: Partner, *names: str, **paths: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "http": {"method": "POST", "url": f"{partner.url}/{paths.get(name, name)}"}}
        for name in names
    ]


def ask_with_plan(thing: NamespacedAPIObject, request: str, **spec: Any) -> None:
    """Repair an object's plan and ask for a restore with it, in one write."""
    annotations = {f"{GROUP}/restore": request, f"{GROUP}/restore-plan": request}
    thing.patch({"metadata": {"annotations": annotations}, "spec": spec})


def test_a_failed_engine_continues_with_its_repaired_plan(harness: OperatorHarness, partner: Partner):
    trial = failing_third(harness, partner)
    partner.answer["/three"] = 500
    before = harness.engine("five").obj
    ask_with_plan(trial, "r-1", activities=posts(partner, "one", "two", "three", "six", three="mended"))
    status = harness.until_condition(trial, "Succeeded", "True", "Completed")

    paths = ("one", "two", "three", "mended", "six")
    assert partner.lines == [f"POST /{name}" for name in paths]
    assert partner.keys("POST /three") == partner.keys("POST /mended")
    assert status["lastHandledRestore"]["result"] == "Done"
    generation = trial.obj["metadata"]["generation"]
    reported = f"attempt 2 begins at three with the plan of generation {generation}"
    assert status["lastHandledRestore"]["message"] == reported
    assert (status["progress"], status["planGeneration"]) == ("4/4", generation)
    engine = harness.engine("five").obj
    assert engine["metadata"]["uid"] == before["metadata"]["uid"]
    assert engine["metadata"]["generation"] == 2
    assert engine["status"]["planGeneration"] == generation
    assert "pendingPlan" not in engine["status"]
    assert [a["name"] for a in engine["status"]["activities"]] == ["one", "two", "three", "six"]
    assert harness.pods_created() == {"five-1": 1, "five-2": 1}


def test_a_repaired_trial_plan_is_taken_with_parameters_and_settings(
    harness: OperatorHarness, partner: Partner
):
    partner.answer["/two"] = 500
    url = "{{ parameters.service }}"
    plan = harness.create(
        TrialPlan,
        "flight",
        {
            "parameters": [{"name": "service"}],
            "activities": [
                {"name": name, "http": {"method": "POST", "url": f"{url}/{name}"}} for name in ("one", "two")
            ],
        },
    )
    given = {"planRef": {"name": "flight"}, "parameters": {"service": partner.url}}
    trial = harness.trial("flown", start=in_seconds(1), **given)
    harness.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    program = {"command": ["sh", "-c", "test $LEVEL = high"], "env": {"LEVEL": "{{ parameters.level }}"}}
    plan.reload()
    activities = [plan.obj["spec"]["activities"][0], {"name": "show", "exec": program}]
    plan.patch({"spec": {"parameters": [{"name": "service"}, {"name": "level"}], "activities": activities}})
    ask_with_plan(
        trial,
        "r-1",
        parameters={"service": partner.url, "level": "high"},
        engine={"finallyTimeoutSeconds": 99},
    )
    status = harness.until_condition(trial, "Succeeded", "True", "Completed")

    assert partner.lines == ["POST /one", "POST /two"]
    assert status["planGeneration"] == 2
    spec = harness.engine("flown").obj["spec"]
    assert (spec["planGeneration"], spec["planUID"]) == (2, plan.obj["metadata"]["uid"])
    assert spec["engine"]["finallyTimeoutSeconds"] == 99


@pytest.mark.parametrize("on", ["trial", "engine"])
def test_a_plan_without_what_has_succeeded_is_refused_and_nothing_changes(
    harness: OperatorHarness, partner: Partner, on: str
):
    trial = failing_third(harness, partner)
    engine = harness.engine("five")
    trial.patch({"spec": {"activities": posts(partner, "two", "three")}})
    asked = trial if on == "trial" else engine
    harness.annotate(asked, restore="r-1", restore_plan="r-1")
    answer = harness.until(asked, lambda status: "lastHandledRestore" in status)["lastHandledRestore"]

    assert answer["result"] == "Refused"
    assert "'one' has succeeded" in answer["message"]
    after = harness.engine("five").obj
    assert (after["status"]["attempt"], after["spec"]) == (1, engine.obj["spec"])
    assert condition(trial, "Succeeded") == ("False", "ActivityFailed")


def test_a_running_engine_is_not_touched_by_a_plan_that_does_not_exist(harness: OperatorHarness):
    trial = harness.trial("busy", start=in_seconds(1), activities=[nap("long", 300)])
    harness.until(trial, lambda status: status.get("firstActivityLagMilliseconds") is not None)
    gone = {"activities": None, "planRef": {"name": "missing"}}
    ask_with_plan(trial, "r-1", **gone)
    status = harness.until(trial, lambda status: "lastHandledRestore" in status)
    assert status["lastHandledRestore"]["result"] == "Refused"
    assert "TrialPlan missing does not exist" in status["lastHandledRestore"]["message"]
    assert harness.pods_deleted() == 0


def test_a_running_engine_takes_a_repaired_plan(harness: OperatorHarness):
    trial = harness.trial("busy", start=in_seconds(1), activities=[nap("first"), nap("long", 300)])
    harness.until(trial, lambda status: status.get("progress") == "1/2")
    ask_with_plan(trial, "r-1", activities=[nap("first"), nap("short")])
    status = harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert status["lastHandledRestore"]["result"] == "Done"
    assert [pod.name for pod in harness.pods()] == ["busy-2"]


def test_a_plain_restore_says_that_the_plan_has_changed(harness: OperatorHarness, partner: Partner):
    trial = failing_third(harness, partner)
    trial.patch({"spec": {"activities": posts(partner, "one", "two", "other")}})
    harness.annotate(trial, restore="r-1")
    status = harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert "restore with lcm.5gdrones.eu/restore-plan" in status["lastHandledRestore"]["message"]
    assert partner.lines[-1] == "POST /five"


def test_contradicting_restores_are_answered_by_what_was_done(harness: OperatorHarness, partner: Partner):
    trial = failing_third(harness, partner)
    engine = harness.engine("five")
    harness.cluster.stop(OPERATOR)
    harness.annotate(engine, restore="e", restore_from="e/two")
    harness.annotate(trial, restore="t", restore_from="t/one")
    harness.cluster.start(OPERATOR)
    status = harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert (status["lastHandledRestore"]["id"], status["lastHandledRestore"]["result"]) == ("t", "Done")
    engine.reload()
    other = engine.obj["status"]["lastHandledRestore"]
    assert (other["id"], other["result"]) == ("e", "Refused")
    assert "begins at one" in other["message"]
    assert partner.lines.count("POST /one") == 2


def test_a_restore_on_the_engine_is_answered_there(harness: OperatorHarness, partner: Partner):
    trial = failing_third(harness, partner)
    engine = harness.engine("five")
    harness.annotate(engine, restore="direct")
    harness.until(engine, lambda status: status.get("lastHandledRestore", {}).get("id") == "direct")
    harness.until_condition(trial, "Succeeded", "True", "Completed")


def test_an_engine_whose_pod_dies_is_failed_and_can_be_restored(harness: OperatorHarness):
    trial = harness.trial("killed", start=in_seconds(1), activities=[nap("long", 5)])
    harness.until(trial, lambda status: status.get("firstActivityLagMilliseconds") is not None)
    harness.cluster.kubectl("delete", "pod", "killed-1", f"--namespace={harness.namespace}", "--now")
    harness.until_condition(trial, "Succeeded", "False", "EngineEnded")
    harness.annotate(trial, restore="r-1")
    harness.until_condition(trial, "Succeeded", "True", "Completed")
