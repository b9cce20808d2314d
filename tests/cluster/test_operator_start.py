"""A trial starts at its time, once: on a real control plane, with real engines on the local node."""

from datetime import datetime

from tests.cluster.operator_harness import OperatorHarness, TrialPlan, condition, in_seconds, nap


def test_a_trial_is_started_at_its_time_and_runs_to_its_end(harness: OperatorHarness):
    trial = harness.trial("flight", start=in_seconds(4), activities=[nap("one"), nap("two")])
    armed = harness.until_condition(trial, "Armed", "True", "Admitted")
    assert armed["phase"] == "Armed"
    assert harness.pods() == []

    status = harness.until_condition(trial, "Succeeded", "True", "Completed")
    start = datetime.fromisoformat(trial.obj["spec"]["startTime"])
    assert datetime.fromisoformat(status["startedTime"]) >= start
    assert 0 <= status["startLagMilliseconds"] <= status["firstActivityLagMilliseconds"]
    assert status["progress"] == "2/2"
    assert status["phase"] == "Succeeded"
    assert harness.pods_created() == {"flight-1": 1}
    assert harness.engine("flight").obj["status"]["attempts"][0]["outcome"] == "Succeeded"
    for reason in ("Scheduled", "Armed", "Started", "Completed"):
        harness.wait(lambda reason=reason: len(harness.events(reason)) == 1)


def test_a_trial_due_in_the_past_but_within_its_deadline_starts_at_once(harness: OperatorHarness):
    trial = harness.trial("late", start=in_seconds(-30))
    status = harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert status["startLagMilliseconds"] >= 30_000


def test_a_trial_beyond_its_deadline_is_missed_and_says_how_late_it_was(harness: OperatorHarness):
    trial = harness.trial("missed", start=in_seconds(-30), startingDeadlineSeconds=10)
    status = harness.until_condition(trial, "Succeeded", "False", "Missed")
    assert status["missed"][0]["lateMilliseconds"] >= 30_000
    assert status["phase"] == "Missed"
    assert harness.pods() == []


def test_missing_plan_is_reported_and_the_trial_armed_once_it_appears(harness: OperatorHarness):
    trial = harness.trial("planned", start=in_seconds(50), planRef={"name": "later"})
    harness.until_condition(trial, "Armed", "False", "PlanNotFound")
    harness.wait(lambda: harness.events("PlanNotFound"))
    harness.create(TrialPlan, "later", {"activities": [nap()]})
    harness.until_condition(trial, "Armed", "True", "Admitted")


def test_armed_trial_whose_start_time_moves_is_armed_for_the_new_one(harness: OperatorHarness):
    trial = harness.trial("moved", start=in_seconds(40))
    harness.until_condition(trial, "Armed", "True", "Admitted")
    before = harness.engine("moved").obj["metadata"]["uid"]
    trial.patch({"spec": {"startTime": in_seconds(3)}})
    harness.until_condition(trial, "Succeeded", "True", "Completed")
    assert harness.engine("moved").obj["metadata"]["uid"] != before
    assert harness.pods_created() == {"moved-1": 1}


def test_older_of_two_trials_with_one_id_runs_and_the_other_reports_why_not(harness: OperatorHarness):
    first = harness.trial("first", start=in_seconds(3), trialID="Flight 7")
    harness.until_condition(first, "Armed", "True", "Admitted")
    second = harness.trial("second", start=in_seconds(3), trialID="Flight 7")
    harness.until_condition(second, "Accepted", "False", "DuplicateTrialID")
    harness.until_condition(first, "Succeeded", "True", "Completed")
    assert condition(second, "Accepted") == ("False", "DuplicateTrialID")
    assert len(harness.pods_created()) == 1


def test_deleting_a_trial_ends_its_engine_and_leaves_nothing(harness: OperatorHarness):
    trial = harness.trial("doomed", start=in_seconds(1), activities=[nap("long", 300)])
    harness.until(trial, lambda status: status.get("firstActivityLagMilliseconds") is not None)
    trial.delete()
    harness.wait(lambda: not harness.engines() and not harness.pods())


def test_deleting_a_trial_before_its_start_leaves_nothing(harness: OperatorHarness):
    trial = harness.trial("withdrawn", start=in_seconds(40))
    harness.until_condition(trial, "Armed", "True", "Admitted")
    trial.delete()
    harness.wait(lambda: not harness.engines())
    assert harness.pods() == []
