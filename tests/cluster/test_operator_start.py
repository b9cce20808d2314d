"""A trial starts at its time, once: on a real control plane, with real engines on the local node."""

from datetime import datetime

from tests.cluster.operator_stage import Stage, TrialPlan, condition, in_seconds, nap


def test_a_trial_is_started_at_its_time_and_runs_to_its_end(stage: Stage):
    trial = stage.trial("flight", start=in_seconds(4), activities=[nap("one"), nap("two")])
    armed = stage.until_condition(trial, "Armed", "True", "Admitted")
    assert armed["phase"] == "Armed"
    assert stage.pods() == []

    status = stage.until_condition(trial, "Succeeded", "True", "Completed")
    start = datetime.fromisoformat(trial.obj["spec"]["startTime"])
    assert datetime.fromisoformat(status["startedTime"]) >= start
    assert 0 <= status["startLagMilliseconds"] <= status["firstActivityLagMilliseconds"]
    assert status["progress"] == "2/2"
    assert status["phase"] == "Succeeded"
    assert stage.pods_created() == {"flight-1": 1}
    assert stage.engine("flight").obj["status"]["attempts"][0]["outcome"] == "Succeeded"
    for reason in ("Scheduled", "Armed", "Started", "Completed"):
        stage.wait(lambda reason=reason: len(stage.events(reason)) == 1)


def test_a_trial_due_in_the_past_but_within_its_deadline_starts_at_once(stage: Stage):
    trial = stage.trial("late", start=in_seconds(-30))
    status = stage.until_condition(trial, "Succeeded", "True", "Completed")
    assert status["startLagMilliseconds"] >= 30_000


def test_a_trial_beyond_its_deadline_is_missed_and_says_how_late_it_was(stage: Stage):
    trial = stage.trial("missed", start=in_seconds(-30), startingDeadlineSeconds=10)
    status = stage.until_condition(trial, "Succeeded", "False", "Missed")
    assert status["missed"][0]["lateMilliseconds"] >= 30_000
    assert status["phase"] == "Missed"
    assert stage.pods() == []


def test_missing_plan_is_reported_and_the_trial_armed_once_it_appears(stage: Stage):
    trial = stage.trial("planned", start=in_seconds(50), planRef={"name": "later"})
    stage.until_condition(trial, "Armed", "False", "PlanNotFound")
    stage.wait(lambda: stage.events("PlanNotFound"))
    stage.create(TrialPlan, "later", {"activities": [nap()]})
    stage.until_condition(trial, "Armed", "True", "Admitted")


def test_armed_trial_whose_start_time_moves_is_armed_for_the_new_one(stage: Stage):
    trial = stage.trial("moved", start=in_seconds(40))
    stage.until_condition(trial, "Armed", "True", "Admitted")
    before = stage.engine("moved").obj["metadata"]["uid"]
    trial.patch({"spec": {"startTime": in_seconds(3)}})
    stage.until_condition(trial, "Succeeded", "True", "Completed")
    assert stage.engine("moved").obj["metadata"]["uid"] != before
    assert stage.pods_created() == {"moved-1": 1}


def test_older_of_two_trials_with_one_id_runs_and_the_other_reports_why_not(stage: Stage):
    first = stage.trial("first", start=in_seconds(3), trialID="Flight 7")
    stage.until_condition(first, "Armed", "True", "Admitted")
    second = stage.trial("second", start=in_seconds(3), trialID="Flight 7")
    stage.until_condition(second, "Accepted", "False", "DuplicateTrialID")
    stage.until_condition(first, "Succeeded", "True", "Completed")
    assert condition(second, "Accepted") == ("False", "DuplicateTrialID")
    assert len(stage.pods_created()) == 1


def test_deleting_a_trial_ends_its_engine_and_leaves_nothing(stage: Stage):
    trial = stage.trial("doomed", start=in_seconds(1), activities=[nap("long", 300)])
    stage.until(trial, lambda status: status.get("firstActivityLagMilliseconds") is not None)
    trial.delete()
    stage.wait(lambda: not stage.engines() and not stage.pods())


def test_deleting_a_trial_before_its_start_leaves_nothing(stage: Stage):
    trial = stage.trial("withdrawn", start=in_seconds(40))
    stage.until_condition(trial, "Armed", "True", "Admitted")
    trial.delete()
    stage.wait(lambda: not stage.engines())
    assert stage.pods() == []
