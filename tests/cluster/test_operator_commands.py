"""Requests by annotation, and the ways in which a trial ends, on a real control plane with real engines."""

from tests.cluster.operator_stage import Stage, condition, in_seconds, nap

from devcluster.cluster.components import OPERATOR


def running(stage: Stage, name: str = "busy", **spec):
    """Start a trial that has long to do, and wait until it does."""
    trial = stage.trial(name, start=in_seconds(1), activities=[nap("long", 300)], **spec)
    stage.until(trial, lambda status: status.get("firstActivityLagMilliseconds") is not None)
    return trial


def nothing_left(stage: Stage) -> bool:
    leases = stage.cluster.kubectl.get("leases", f"--namespace={stage.namespace}").get("items")
    return not stage.engines() and not stage.pods() and not leases


def test_a_delete_request_before_the_start_cancels_the_trial(stage: Stage):
    trial = stage.trial("early", start=in_seconds(40))
    stage.until_condition(trial, "Armed", "True", "Admitted")
    stage.annotate(trial, delete="d-1")
    status = stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    assert status["phase"] == "Cancelled"
    assert status["lastHandledDelete"]["result"] == "Done"
    stage.wait(lambda: nothing_left(stage))


def test_a_delete_request_after_the_start_stops_the_engine_and_removes_it(stage: Stage):
    trial = running(stage)
    stage.annotate(trial, delete="d-1")
    status = stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    assert (status["lastHandledDelete"]["id"], status["lastHandledDelete"]["result"]) == ("d-1", "Done")
    stage.wait(lambda: nothing_left(stage))


def test_a_delete_request_on_the_engine_cancels_its_trial(stage: Stage):
    trial = running(stage)
    stage.annotate(stage.engine("busy"), delete="d-1")
    stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    stage.wait(lambda: nothing_left(stage))


def test_deleting_the_engine_object_counts_as_a_delete_request(stage: Stage):
    trial = running(stage)
    stage.engine("busy").delete()
    stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    stage.wait(lambda: nothing_left(stage))


def test_a_succeeded_trial_stays_succeeded_when_its_engine_is_removed(stage: Stage):
    trial = stage.trial("done", start=in_seconds(1))
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    stage.annotate(trial, delete="d-1")
    stage.until(trial, lambda status: status.get("lastHandledDelete", {}).get("result") == "Done")
    stage.wait(lambda: nothing_left(stage))
    assert condition(trial, "Succeeded") == ("True", "Completed")


def test_delete_comes_before_restore(stage: Stage):
    trial = running(stage)
    stage.annotate(trial, delete="d-1", restore="r-1")
    status = stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    stage.until(trial, lambda status: status.get("lastHandledRestore", {}).get("result") == "Refused")
    assert status["lastHandledDelete"]["result"] == "Done"
    stage.wait(lambda: nothing_left(stage))


def test_a_restore_before_the_start_is_met_by_the_start(stage: Stage):
    trial = stage.trial("eager", start=in_seconds(4))
    stage.until_condition(trial, "Armed", "True", "Admitted")
    stage.annotate(trial, restore="r-1")
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    status = stage.until(trial, lambda status: "lastHandledRestore" in status)
    assert status["lastHandledRestore"]["result"] == "Merged"
    assert stage.engine("eager").obj["status"]["attempt"] == 1


def test_a_restore_of_a_missed_trial_is_refused(stage: Stage):
    trial = stage.trial("gone", start=in_seconds(-30), startingDeadlineSeconds=5)
    stage.until_condition(trial, "Succeeded", "False", "Missed")
    stage.annotate(trial, restore="r-1")
    stage.until(trial, lambda status: status.get("lastHandledRestore", {}).get("result") == "Refused")


def test_a_request_id_that_is_too_long_is_refused_and_holds_up_nothing(stage: Stage):
    trial = stage.trial("long-winded", start=in_seconds(4))
    stage.until_condition(trial, "Armed", "True", "Admitted")
    stage.annotate(trial, restore="r" * 2000)
    status = stage.until_condition(trial, "Succeeded", "True", "Completed")
    status = stage.until(trial, lambda status: "lastHandledRestore" in status)
    assert status["lastHandledRestore"]["result"] == "Refused"


def test_suspended_trial_is_not_started_but_missed_after_its_deadline(stage: Stage):
    trial = stage.trial("held", start=in_seconds(40))
    stage.until_condition(trial, "Armed", "True", "Admitted")
    trial.patch({"spec": {"suspend": True}})
    status = stage.until_condition(trial, "Scheduled", "False", "Suspended")
    assert status["phase"] == "Suspended"
    stage.wait(lambda: not stage.engines())
    trial.patch({"spec": {"startTime": in_seconds(1), "startingDeadlineSeconds": 2}})
    stage.until_condition(trial, "Succeeded", "False", "Missed")
    assert stage.pods_created() == {}


def test_a_resumed_trial_is_started(stage: Stage):
    trial = stage.trial("resumed", start=in_seconds(2), suspend=True)
    stage.until_condition(trial, "Scheduled", "False", "Suspended")
    trial.patch({"spec": {"suspend": False}})
    stage.until_condition(trial, "Succeeded", "True", "Completed")


def test_a_missed_trial_that_is_given_a_new_start_time_runs(stage: Stage):
    trial = stage.trial("again", start=in_seconds(-30), startingDeadlineSeconds=5)
    stage.until_condition(trial, "Succeeded", "False", "Missed")
    trial.patch({"spec": {"startTime": in_seconds(3)}})
    status = stage.until_condition(trial, "Succeeded", "True", "Completed")
    assert len(status["missed"]) == 1


def test_a_freed_id_goes_to_the_trial_that_waits_for_it(stage: Stage):
    first = stage.trial("first", start=in_seconds(50), trialID="shared")
    stage.until_condition(first, "Armed", "True", "Admitted")
    second = stage.trial("second", start=in_seconds(30), trialID="shared")
    stage.until_condition(second, "Accepted", "False", "DuplicateTrialID")
    first.delete()
    stage.until_condition(second, "Armed", "True", "Admitted")
    assert condition(second, "Accepted") == ("True", "Accepted")


def test_a_finished_trial_is_removed_after_its_time_with_everything_of_it(stage: Stage):
    stage.trial("brief", start=in_seconds(1), ttlSecondsAfterFinished=1, startingDeadlineSeconds=5)
    stage.wait(lambda: stage.pods_created() == {"brief-1": 1})
    stage.wait(lambda: not stage.trials() and nothing_left(stage))


def test_foreground_deletion_of_a_trial_with_a_running_engine_leaves_nothing(stage: Stage):
    running(stage)
    arguments = ("busy", f"--namespace={stage.namespace}", "--cascade=foreground", "--wait=false")
    stage.cluster.kubectl("delete", "trial", *arguments)
    stage.wait(lambda: not stage.trials() and nothing_left(stage))


def test_a_deleted_trial_that_another_finalizer_holds_is_ended_all_the_same(stage: Stage):
    trial = running(stage)
    trial.patch({"metadata": {"finalizers": ["example.com/hold"]}})
    stage.cluster.kubectl("delete", "trial", "busy", f"--namespace={stage.namespace}", "--wait=false")
    stage.wait(lambda: nothing_left(stage))
    status = stage.until_condition(trial, "Succeeded", "False", "Cancelled")
    assert status["phase"] == "Cancelled"
    trial.patch({"metadata": {"finalizers": None}})
    stage.wait(lambda: not stage.trials())


def test_a_trial_deleted_alone_takes_its_orphaned_engine_with_it(stage: Stage):
    running(stage)
    stage.cluster.kubectl("delete", "trial", "busy", f"--namespace={stage.namespace}", "--cascade=orphan")
    stage.wait(lambda: not stage.trials() and nothing_left(stage))


def test_trial_recreated_at_once_starts_after_the_old_engine_was_deleted(stage: Stage):
    old = running(stage)
    old.delete()
    new = stage.trial("busy", start=in_seconds(12))
    stage.until_condition(new, "Succeeded", "True", "Completed")
    assert stage.engine("busy").obj["spec"]["trialUID"] == new.obj["metadata"]["uid"]


def test_trial_deleted_without_an_operator_leaves_nothing_once_one_is_back(stage: Stage):
    trial = running(stage)
    stage.cluster.stop(OPERATOR)
    trial.delete()
    stage.cluster.start(OPERATOR)
    stage.wait(lambda: not stage.trials() and nothing_left(stage))


def test_a_namespace_can_be_deleted_while_an_engine_runs(stage: Stage):
    running(stage)
    stage.cluster.kubectl("delete", "namespace", stage.namespace, "--wait=false")
    stage.wait(lambda: not stage.cluster.kubectl.get("namespace", stage.namespace))


def test_an_engine_taken_away_by_force_fails_its_trial(stage: Stage):
    trial = running(stage, **{"finally": [nap("free")]})
    stage.cluster.stop(OPERATOR)
    engine = stage.engine("busy")
    engine.patch({"metadata": {"finalizers": None}})
    engine.delete()
    stage.wait(lambda: not stage.engines())
    stage.cluster.start(OPERATOR)
    stage.until_condition(trial, "Succeeded", "False", "EngineLost")
    assert condition(trial, "Released") == ("False", "EngineLost")


def test_an_attempt_that_takes_too_long_is_ended(stage: Stage):
    trial = running(stage, engine={"activeDeadlineSeconds": 3})
    status = stage.until_condition(trial, "Succeeded", "False", "DeadlineExceeded")
    assert status["phase"] == "Failed"


def test_a_failing_engine_is_restored_by_itself_as_often_as_allowed(stage: Stage):
    always = {"name": "fails", "exec": {"command": ["false"]}}
    trial = stage.trial("stubborn", start=in_seconds(1), activities=[always], engine={"maxRestores": 2})
    stage.until_condition(trial, "Succeeded", "False", "ActivityFailed")
    assert [attempt["reason"] for attempt in stage.engine("stubborn").obj["status"]["attempts"]] == [
        "Start",
        "Automatic",
        "Automatic",
    ]
