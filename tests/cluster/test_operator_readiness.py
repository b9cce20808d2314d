"""Readiness long before the start, edits of a plan before and after it, on a real control plane."""

from typing import Any

import pykube
from tests.cluster.operator_harness import OperatorHarness, Trial, TrialPlan, condition, in_seconds, nap

HOUR = 3600


def message(trial: Trial, kind: str = "Armed") -> str:
    found = {each["type"]: each for each in trial.obj["status"]["conditions"]}
    return str(found[kind]["message"])


def webhook(**more: Any) -> dict[str, Any]:
    ref = {"name": "chat", "key": "url"}
    return {"activities": [nap()], "parameters": [{"name": "webhook", "secretKeyRef": ref}]} | more


def by_plan(harness: OperatorHarness, name: str, start: float = HOUR, **spec: Any) -> Trial:
    return harness.trial(name, start=in_seconds(start), planRef={"name": "flight"}, **spec)


def secret(harness: OperatorHarness, **data: str) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "chat", "namespace": harness.namespace},
        "stringData": data,
    }
    pykube.Secret(harness.api, manifest).create()


def test_a_trial_in_order_is_checked_an_hour_ahead(harness: OperatorHarness):
    trial = harness.trial("fine", start=in_seconds(HOUR))
    status = harness.until_condition(trial, "Armed", "Unknown", "Checked")
    assert (status["phase"], status["ready"]) == ("Scheduled", "Checked")
    assert not harness.engines()


def test_a_wrong_plan_name_is_reported_an_hour_ahead_until_it_is_corrected(harness: OperatorHarness):
    harness.create(TrialPlan, "flightday", {"activities": [nap()]})
    trial = harness.trial("typo", start=in_seconds(HOUR), planRef={"name": "flightdya"})
    status = harness.until_condition(trial, "Armed", "False", "PlanNotFound")
    assert status["ready"] == "False"
    assert "did you mean flightday?" in status["message"]
    harness.wait(lambda: len(harness.events("PlanNotFound")) == 1)

    trial.patch({"spec": {"planRef": {"name": "flightday"}}})
    status = harness.until_condition(trial, "Armed", "Unknown", "Checked")
    assert status["plan"] == "flightday"
    assert len(harness.events("PlanNotFound")) == 1


def test_a_missing_secret_is_reported_until_it_exists_with_its_key(harness: OperatorHarness):
    harness.create(TrialPlan, "flight", webhook())
    trial = by_plan(harness, "secretive")
    harness.until_condition(trial, "Armed", "False", "SecretNotFound")
    assert "parameter webhook: Secret chat does not exist" in message(trial)

    secret(harness, uri="http://chat")
    harness.until(trial, lambda _: "Secret chat has no key url" in message(trial))
    pykube.Secret.objects(harness.api, namespace=harness.namespace).get_by_name("chat").patch(
        {"stringData": {"url": "http://chat"}}
    )
    harness.until_condition(trial, "Armed", "Unknown", "Checked")


def test_a_fault_in_an_expression_is_reported_an_hour_ahead(harness: OperatorHarness):
    shell = {"name": "say", "exec": {"command": ["true"], "env": {"A": "{{ parameters.drone }}"}}}
    trial = harness.trial("typed", start=in_seconds(HOUR), activities=[shell])
    harness.until_condition(trial, "Armed", "False", "PlanInvalid")
    assert "activities[0].exec.env.A" in message(trial)


def test_a_registry_that_does_not_exist_is_reported(harness: OperatorHarness):
    trial = harness.create(Trial, "lost", {"registryRef": {"name": "defalt"}, "activities": [nap()]})
    harness.until_condition(trial, "Armed", "False", "RegistryNotFound")
    assert condition(trial, "Scheduled") == ("False", "RegistryNotFound")
    assert "TrialRegistry defalt does not exist" in message(trial)


def test_an_edit_of_the_plan_of_an_armed_trial_takes_effect(harness: OperatorHarness):
    plan = harness.create(TrialPlan, "flight", {"activities": [nap("old")]})
    trial = by_plan(harness, "edited", 20)
    harness.until_condition(trial, "Armed", "True", "Admitted")
    plan.patch({"spec": {"activities": [nap("new")]}})
    status = harness.until_condition(trial, "Succeeded", "True", "Completed")

    assert status["planGeneration"] == 2
    assert [each["name"] for each in harness.engine("edited").obj["status"]["activities"]] == ["new"]
    assert condition(trial, "PlanCurrent") == ("True", "PlanCurrent")


def test_an_edit_of_the_plan_of_a_started_trial_is_shown(harness: OperatorHarness):
    plan = harness.create(TrialPlan, "flight", {"activities": [nap("long", 300)]})
    trial = by_plan(harness, "flying", 1)
    harness.until(trial, lambda status: status.get("phase") == "Running")
    assert condition(trial, "PlanCurrent") == ("True", "PlanCurrent")
    plan.patch({"spec": {"activities": [nap("short")]}})
    harness.until_condition(trial, "PlanCurrent", "False", "PlanChanged")

    said = message(trial, "PlanCurrent")
    assert "the trial runs the plan of generation 1; the Trial's plan is at generation 2 now" in said
    assert "restore-plan" in said
    harness.annotate(trial, delete="d-1")
    harness.until_condition(trial, "Succeeded", "False", "Cancelled")


def test_a_trial_created_after_its_start_time_says_so(harness: OperatorHarness):
    trial = harness.trial("past", start=in_seconds(-HOUR))
    status = harness.until_condition(trial, "Succeeded", "False", "Missed")
    assert "the Trial was created 36" in status["message"]
    assert "set spec.startTime to a future time" in status["message"]
