"""Requests by annotation, and the ways in which a trial ends, on a real control plane with real engines."""

from typing import Any

import pytest
from tests.cluster.operator_harness import OperatorHarness, condition, in_seconds, nap

from devcluster.cluster.components import OPERATOR


def running(harness: OperatorHarness, name: str = "busy", **spec):
    """Start a trial that has long to do, and wait until it does."""
    trial = harness.trial(name, start=in_seconds(1), activities=[nap("long", 300)], **spec)
    harness.until(trial, lambda status: status.get("firstActivityLagMilliseconds") is not None)
    return trial


def nothing_left(harness: OperatorHarness) -> bool:
    leases = harness.cluster.kubectl.get("leases", f"--namespace={harness.namespace}").get("items")
    return not harness.engines() and not harness.pods() and not leases


def test_a_delete_request_before_the_start_cancels_the_trial(harness: OperatorHarness):
    trial = harness.trial("early", start=in_seconds(40))
    harness.until_condition(trial, "Armed", "True", "Admitted")
    harness.annotate(trial, delete="d-1")
    status = harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    assert status["phase"] == "Cancelled"
    assert status["lastHandledDelete"]["result"] == "Done"
    harness.wait(lambda: nothing_left(harness))


def test_a_delete_request_after_the_start_stops_the_engine_and_removes_it(harness: OperatorHarness):
    trial = running(harness)
    harness.annotate(trial, delete="d-1")
    status = harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    assert (status["lastHandledDelete"]["id"], status["lastHandledDelete"]["result"]) == ("d-1", "Done")
    harness.wait(lambda: nothing_left(harness))


def test_a_delete_request_on_the_engine_cancels_its_trial(harness: OperatorHarness):
    trial = running(harness)
    harness.annotate(harness.engine("busy"), delete="d-1")
    harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    harness.wait(lambda: nothing_left(harness))


def test_deleting_the_engine_object_counts_as_a_delete_request(harness: OperatorHarness):
    trial = running(harness)
    harness.engine("busy").delete()
    harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    harness.wait(lambda: nothing_left(harness))


def test_a_succeeded_trial_stays_succeeded_when_its_engine_is_removed(harness: OperatorHarness):
    trial = harness.trial("done", start=in_seconds(1))
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    harness.annotate(trial, delete="d-1")
    harness.until(trial, lambda status: status.get("lastHandledDelete", {}).get("result") == "Done")
    harness.wait(lambda: nothing_left(harness))
    assert condition(trial, "Succeeded") == ("True", "Completed")


def test_delete_comes_before_restore(harness: OperatorHarness):
    trial = running(harness)
    harness.annotate(trial, delete="d-1", restore="r-1")
    status = harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    harness.until(trial, lambda status: status.get("lastHandledRestore", {}).get("result") == "Refused")
    assert status["lastHandledDelete"]["result"] == "Done"
    harness.wait(lambda: nothing_left(harness))


def test_a_restore_before_the_start_is_met_by_the_start(harness: OperatorHarness):
    trial = harness.trial("eager", start=in_seconds(4))
    harness.until_condition(trial, "Armed", "True", "Admitted")
    harness.annotate(trial, restore="r-1")
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    status = harness.until(trial, lambda status: "lastHandledRestore" in status)
    assert status["lastHandledRestore"]["result"] == "Merged"
    assert harness.engine("eager").obj["status"]["attempt"] == 1


def test_a_restore_of_a_missed_trial_is_refused(harness: OperatorHarness):
    trial = harness.trial("gone", start=in_seconds(-30), startingDeadlineSeconds=5)
    harness.until_condition(trial, "Succeeded", "False", "Missed")
    harness.annotate(trial, restore="r-1")
    harness.until(trial, lambda status: status.get("lastHandledRestore", {}).get("result") == "Refused")


def test_a_request_id_that_is_too_long_is_refused_and_holds_up_nothing(harness: OperatorHarness):
    trial = harness.trial("long-winded", start=in_seconds(4))
    harness.until_condition(trial, "Armed", "True", "Admitted")
    harness.annotate(trial, restore="r" * 2000)
    status = harness.until_condition(trial, "Succeeded", "True", "Completed")
    status = harness.until(trial, lambda status: "lastHandledRestore" in status)
    assert status["lastHandledRestore"]["result"] == "Refused"


def test_suspended_trial_is_not_started_but_missed_after_its_deadline(harness: OperatorHarness):
    trial = harness.trial("held", start=in_seconds(40))
    harness.until_condition(trial, "Armed", "True", "Admitted")
    trial.patch({"spec": {"suspend": True}})
    status = harness.until_condition(trial, "Scheduled", "False", "Suspended")
    assert status["phase"] == "Suspended"
    harness.wait(lambda: not harness.engines())
    trial.patch({"spec": {"startTime": in_seconds(1), "startingDeadlineSeconds": 2}})
    harness.until_condition(trial, "Succeeded", "False", "Missed")
    assert harness.pods_created() == {}


def test_a_resumed_trial_is_started(harness: OperatorHarness):
    trial = harness.trial("resumed", start=in_seconds(2), suspend=True)
    harness.until_condition(trial, "Scheduled", "False", "Suspended")
    trial.patch({"spec": {"suspend": False}})
    harness.until_condition(trial, "Succeeded", "True", "Completed")


def test_a_missed_trial_that_is_given_a_new_start_time_runs(harness: OperatorHarness):
    trial = harness.trial("again", start=in_seconds(-30), startingDeadlineSeconds=5)
    harness.until_condition(trial, "Succeeded", "False", "Missed")
    trial.patch({"spec": {"startTime": in_seconds(3)}})
    status = harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert len(status["missed"]) == 1


def test_a_freed_id_is_given_to_the_trial_that_waits_for_it(harness: OperatorHarness):
    first = harness.trial("first", start=in_seconds(50), trialID="shared")
    harness.until_condition(first, "Armed", "True", "Admitted")
    second = harness.trial("second", start=in_seconds(30), trialID="shared")
    harness.until_condition(second, "Accepted", "False", "DuplicateTrialID")
    first.delete()
    harness.until_condition(second, "Armed", "True", "Admitted")
    assert condition(second, "Accepted") == ("True", "Accepted")


def test_a_finished_trial_is_removed_after_its_time_with_everything_of_it(harness: OperatorHarness):
    harness.trial("brief", start=in_seconds(1), ttlSecondsAfterFinished=1, startingDeadlineSeconds=5)
    harness.wait(lambda: harness.pods_created() == {"brief-1": 1})
    harness.wait(lambda: not harness.trials() and nothing_left(harness))


def test_foreground_deletion_of_a_trial_with_a_running_engine_leaves_nothing(harness: OperatorHarness):
    running(harness)
    arguments = ("busy", f"--namespace={harness.namespace}", "--cascade=foreground", "--wait=false")
    harness.cluster.kubectl("delete", "trial", *arguments)
    harness.wait(lambda: not harness.trials() and nothing_left(harness))


def test_a_deleted_trial_that_another_finalizer_holds_is_ended_all_the_same(harness: OperatorHarness):
    trial = running(harness)
    trial.patch({"metadata": {"finalizers": ["example.com/hold"]}})
    harness.cluster.kubectl("delete", "trial", "busy", f"--namespace={harness.namespace}", "--wait=false")
    harness.wait(lambda: nothing_left(harness))
    status = harness.until_condition(trial, "Succeeded", "False", "Cancelled")
    assert status["phase"] == "Cancelled"
    trial.patch({"metadata": {"finalizers": None}})
    harness.wait(lambda: not harness.trials())


def test_a_trial_deleted_alone_takes_its_orphaned_engine_with_it(harness: OperatorHarness):
    running(harness)
    harness.cluster.kubectl("delete", "trial", "busy", f"--namespace={harness.namespace}", "--cascade=orphan")
    harness.wait(lambda: not harness.trials() and nothing_left(harness))


def test_trial_recreated_at_once_starts_after_the_old_engine_was_deleted(harness: OperatorHarness):
    old = running(harness)
    old.delete()
    new = harness.trial("busy", start=in_seconds(12))
    harness.until_condition(new, "Succeeded", "True", "Completed")
    assert harness.engine("busy").obj["spec"]["trialUID"] == new.obj["metadata"]["uid"]


def test_trial_deleted_without_an_operator_leaves_nothing_once_one_is_back(harness: OperatorHarness):
    trial = running(harness)
    harness.cluster.stop(OPERATOR)
    trial.delete()
    harness.cluster.start(OPERATOR)
    harness.wait(lambda: not harness.trials() and nothing_left(harness))


@pytest.mark.parametrize("owed", [{}, {"finally": [nap("free")]}], ids=["no finally", "finally is owed"])
def test_a_namespace_can_be_deleted_while_an_engine_runs(harness: OperatorHarness, owed: dict[str, Any]):
    running(harness, **owed)
    harness.cluster.kubectl("delete", "namespace", harness.namespace, "--wait=false")
    harness.wait(lambda: not harness.cluster.kubectl.get("namespace", harness.namespace))
    assert harness.pods_created().total() == 1  # `finally` is not run: docs/backup.md


def test_an_engine_taken_away_by_force_fails_its_trial(harness: OperatorHarness):
    trial = running(harness, **{"finally": [nap("free")]})
    harness.cluster.stop(OPERATOR)
    engine = harness.engine("busy")
    engine.patch({"metadata": {"finalizers": None}})
    engine.delete()
    harness.wait(lambda: not harness.engines())
    harness.cluster.start(OPERATOR)
    harness.until_condition(trial, "Succeeded", "False", "EngineLost")
    assert condition(trial, "Released") == ("False", "EngineLost")


def test_an_attempt_that_takes_too_long_is_ended(harness: OperatorHarness):
    trial = running(harness, engine={"activeDeadlineSeconds": 3})
    status = harness.until_condition(trial, "Succeeded", "False", "DeadlineExceeded")
    assert status["phase"] == "Failed"


def test_a_failing_engine_is_restored_by_itself_as_often_as_allowed(harness: OperatorHarness):
    always = {"name": "fails", "exec": {"command": ["false"]}}
    trial = harness.trial("stubborn", start=in_seconds(1), activities=[always], engine={"maxRestores": 2})
    harness.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    assert [attempt["reason"] for attempt in harness.engine("stubborn").obj["status"]["attempts"]] == [
        "Start",
        "Automatic",
        "Automatic",
    ]
