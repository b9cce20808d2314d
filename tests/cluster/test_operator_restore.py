"""A failed engine is restored from its checkpoint: by annotation, with real engines and a real partner."""

import signal
from collections.abc import Iterator

import pytest
from tests.cluster.engine_stage import Partner
from tests.cluster.operator_stage import Stage, Trial, in_seconds, nap

from lcm_operator.local.components import OPERATOR

FIVE = ("one", "two", "three", "four", "five")


@pytest.fixture
def partner() -> Iterator[Partner]:
    partner = Partner()
    yield partner
    partner.close()


def failing_third(stage: Stage, partner: Partner) -> Trial:
    """Start a trial of five requests whose third is refused, and wait until it has failed."""
    partner.answer["/three"] = 500
    activities = [{"name": name, "http": {"method": "POST", "url": f"{partner.url}/{name}"}} for name in FIVE]
    trial = stage.trial("five", start=in_seconds(1), activities=activities)
    stage.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    assert partner.lines == ["POST /one", "POST /two", "POST /three"]
    partner.answer["/three"] = 200
    return trial


def test_a_failed_engine_goes_on_from_its_checkpoint(stage: Stage, partner: Partner):
    trial = failing_third(stage, partner)
    stage.annotate(trial, restore="r-1")
    status = stage.until_condition(trial, "Succeeded", "True", "Completed")

    assert partner.lines == [f"POST /{name}" for name in ("one", "two", "three", "three", "four", "five")]
    assert len(set(partner.keys("POST /three"))) == 1
    assert status["lastHandledRestore"]["id"] == "r-1"
    assert status["lastHandledRestore"]["result"] == "Done"
    engine = stage.engine("five").obj["status"]
    assert engine["attempt"] == 2
    assert [(a["number"], a["outcome"]) for a in engine["attempts"]] == [(1, "Failed"), (2, "Succeeded")]
    assert engine["attempts"][1]["fromActivity"] == "three"
    assert stage.pods_created() == {"five-1": 1, "five-2": 1}


def test_one_request_restores_once_however_often_the_operator_is_restarted(stage: Stage, partner: Partner):
    trial = failing_third(stage, partner)
    stage.annotate(trial, restore="r-1")
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    stage.cluster.stop(OPERATOR, signal.SIGKILL)
    stage.cluster.start(OPERATOR)
    stage.annotate(trial, restore="r-2")
    stage.until(trial, lambda status: status["lastHandledRestore"]["id"] == "r-2")
    assert stage.engine("five").obj["status"]["attempt"] == 3


def test_a_running_engine_is_stopped_before_the_next_attempt_begins(stage: Stage):
    trial = stage.trial("busy", start=in_seconds(1), activities=[nap("long", 300)])
    stage.until(trial, lambda status: status.get("firstActivityLagMilliseconds") is not None)
    stage.annotate(trial, restore="r-1")
    stage.until(trial, lambda status: status.get("lastHandledRestore", {}).get("result") == "Done")
    first, second = stage.engine("busy").obj["status"]["attempts"]
    assert first["outcome"] == "Stopped"
    assert second["fromActivity"] == "long"
    stage.wait(lambda: {pod.name for pod in stage.pods()} == {"busy-2"})


def test_restore_from_repeats_what_had_succeeded_with_new_keys(stage: Stage, partner: Partner):
    trial = failing_third(stage, partner)
    stage.annotate(trial, restore="again", restore_from="again/two")
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    assert partner.lines.count("POST /one") == 1
    assert len(set(partner.keys("POST /two"))) == 2
    assert len(set(partner.keys("POST /three"))) == 1


def test_restore_from_an_unknown_activity_is_refused_and_says_so(stage: Stage, partner: Partner):
    trial = failing_third(stage, partner)
    stage.annotate(trial, restore="r-1", restore_from="r-1/six")
    status = stage.until(trial, lambda status: "lastHandledRestore" in status)
    assert status["lastHandledRestore"]["result"] == "Refused"
    assert "six" in status["lastHandledRestore"]["message"]
    assert stage.engine("five").obj["status"]["attempt"] == 1


def test_a_restore_on_the_engine_is_answered_there(stage: Stage, partner: Partner):
    trial = failing_third(stage, partner)
    engine = stage.engine("five")
    stage.annotate(engine, restore="direct")
    stage.until(engine, lambda status: status.get("lastHandledRestore", {}).get("id") == "direct")
    stage.until_condition(trial, "Succeeded", "True", "Completed")


def test_an_engine_whose_pod_dies_is_failed_and_can_be_restored(stage: Stage):
    trial = stage.trial("killed", start=in_seconds(1), activities=[nap("long", 5)])
    stage.until(trial, lambda status: status.get("firstActivityLagMilliseconds") is not None)
    stage.cluster.kubectl("delete", "pod", "killed-1", f"--namespace={stage.namespace}", "--now")
    stage.until_condition(trial, "Succeeded", "False", "EngineEnded")
    stage.annotate(trial, restore="r-1")
    stage.until_condition(trial, "Succeeded", "True", "Completed")
