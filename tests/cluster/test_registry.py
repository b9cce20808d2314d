"""A real operator asks a trial registry: times taken, moved, kept; trials imported, ignored, held back."""

from datetime import datetime

import pykube
from tests.cluster.operator_harness import OPERATOR_USER, Trial, condition, in_seconds, nap
from tests.cluster.registry_harness import FAR, LATER, RegistryHarness


def test_a_trial_waits_for_its_time_and_is_moved_by_the_registry(field: RegistryHarness):
    registry, trial = field.serve(), field.trial("survey")
    status = field.harness.until_condition(trial, "Armed", "False", "AwaitingRegistry")
    assert condition(trial, "Scheduled") == ("False", "AwaitingRegistry")
    assert "TrialRegistry default has no trial 'survey' (asked at " in status["message"]

    field.serve_times(survey=FAR)
    field.until_start(trial, FAR)
    field.serve_times(survey=LATER)
    field.until_start(trial, LATER)

    (move,) = trial.obj["status"]["registryMoves"]
    assert [datetime.fromisoformat(move[key]) for key in ("from", "to")] == [
        datetime.fromisoformat(time) for time in (FAR, LATER)
    ]
    field.harness.wait(lambda: field.harness.events("Moved"))
    field.until_synced(registry, "Synced")
    assert registry.obj["status"]["trials"] == 1


def test_the_answer_about_an_unknown_trial_is_kept_up_to_date(field: RegistryHarness):
    field.registry.answer["/trial/"] = (500, b"away")
    trial = field.trial("survey")
    status = field.harness.until_condition(trial, "Armed", "False", "RegistryNotFound")
    field.serve()
    field.harness.until(trial, lambda _: "did not report a start time" in trial.obj["status"]["message"])
    del field.registry.answer["/trial/"]
    field.harness.until(trial, lambda _: "has no trial 'survey'" in trial.obj["status"]["message"])
    assert "TrialRegistry default does not exist" in status["message"]


def test_a_trial_that_is_armed_is_armed_anew_when_it_moves_and_starts_once(field: RegistryHarness):
    field.serve()
    field.serve_times(survey=in_seconds(30))
    trial = field.trial("survey")
    field.harness.until_condition(trial, "Armed", "True", "Admitted")
    first = field.harness.engine("survey").obj["metadata"]["uid"]

    field.serve_times(survey=in_seconds(4))
    field.harness.until_condition(trial, "Succeeded", "True", "Completed")

    assert trial.obj["status"]["engineRef"]["uid"] != first
    assert field.harness.pods_created() == {"survey-1": 1}


def test_a_trial_that_has_started_is_not_moved_any_more(field: RegistryHarness):
    begin = in_seconds(0)
    field.serve()
    field.serve_times(survey=begin)
    trial = field.trial("survey", activities=[nap("long", 600)])
    field.harness.until_condition(trial, "Started", "True", "EngineStarted")

    field.serve_times(survey=FAR)
    field.until_asked_again()

    trial.reload()
    assert datetime.fromisoformat(trial.obj["status"]["startTime"]) == datetime.fromisoformat(begin)
    assert "registryMoves" not in trial.obj["status"]


def test_a_missed_trial_that_gets_a_new_time_is_scheduled_again(field: RegistryHarness):
    field.serve()
    field.serve_times(survey="2026-01-01T00:00:00Z")
    trial = field.trial("survey")
    field.harness.until_condition(trial, "Succeeded", "False", "Missed")

    field.serve_times(survey=FAR)

    field.harness.until_condition(trial, "Scheduled", "True", "StartTimeKnown")
    field.until_start(trial, FAR)


def test_reported_time_counts_while_the_registry_does_not_answer(field: RegistryHarness):
    field.registry.answer["/trial/"] = (500, b"away")
    registry = field.serve()
    trial = Trial(
        field.harness.api,
        {
            "apiVersion": Trial.version,
            "kind": Trial.kind,
            "metadata": {
                "name": "survey",
                "namespace": field.harness.namespace,
                "annotations": {"lcm.5gdrones.eu/registry-start-time": FAR},
            },
            "spec": {"registryRef": {"name": "default"}, "activities": [nap()]},
        },
    )
    trial.create()

    field.until_start(trial, FAR)
    field.until_synced(registry, "RegistryRefused")


FAULTS = {
    "an error": ((500, b"oops"), "RegistryRefused"),
    "no key": ((401, b""), "RegistryRefused"),
    "HTML": ((200, b"<html>"), "RegistryReplyMalformed"),
    "half a list": ((200, b'[{"id": "survey", '), "RegistryReplyMalformed"),
    "an object": ((200, b"{}"), "RegistryReplyMalformed"),
}


def test_whatever_the_registry_answers_the_times_known_so_far_are_kept(field: RegistryHarness):
    registry, trial = field.serve(), field.trial("survey")
    field.serve_times(survey=FAR)
    field.until_start(trial, FAR)

    for answer, reason in FAULTS.values():
        field.registry.answer["/trial/"] = answer
        field.harness.annotate(registry, sync=repr(answer))
        field.until_synced(registry, reason)
        field.harness.until(registry, lambda s, a=answer: s.get("lastHandledSync", {}).get("id") == repr(a))
    del field.registry.answer["/trial/"]
    field.harness.annotate(registry, sync="it is back")
    field.until_synced(registry, "Synced")

    trial.reload()
    assert condition(trial, "Scheduled") == ("True", "StartTimeKnown")
    assert "registryMoves" not in trial.obj["status"]


def test_trials_are_imported_once_and_later_pulls_write_none(field: RegistryHarness):
    wanted = {f"trial-{number}": FAR for number in range(50)}
    field.serve_times(**wanted, past="2026-01-01T00:00:00Z")
    field.registry.trials.append({"id": "Two Words", "start_time": FAR})
    registry = field.serve(**{"import": "All"})
    field.harness.wait(lambda: len(field.names()) == 51)
    field.harness.wait(lambda: all(condition(t, "Scheduled")[0] == "True" for t in field.harness.trials()))

    before = written(field)
    field.until_asked_again()

    assert written(field) == before
    assert {trial.obj["spec"]["trialID"] for trial in field.harness.trials()} == {*wanted, "Two Words"}
    field.until_synced(registry, "Synced")


def written(field: RegistryHarness) -> int:
    """Return how often the operator has written a Trial of the namespace."""
    about = [event for event in field.harness.cluster.audit() if "objectRef" in event]
    return sum(
        event["verb"] in ("create", "patch", "update", "delete")
        and event["objectRef"].get("resource") == "trials"
        and event["objectRef"].get("namespace") == field.harness.namespace
        and event["user"]["username"] == OPERATOR_USER
        for event in about
    )


def test_removed_import_is_ignored_until_somebody_schedules_it(field: RegistryHarness):
    field.serve_times(survey=FAR, other=FAR)
    registry = field.serve(**{"import": "All"})
    field.harness.wait(lambda: field.names() == {"survey", "other"})

    next(trial for trial in field.harness.trials() if trial.name == "survey").delete()
    field.harness.wait(lambda: field.names() == {"other"})
    field.until_asked_again()
    assert field.names() == {"other"}
    registry.reload()
    assert registry.obj["status"]["ignored"] == ["survey"]

    by_hand = field.trial("survey")
    field.harness.until(registry, lambda status: not status.get("ignored"))
    by_hand.delete()
    field.harness.wait(lambda: field.imported("survey"))


def test_an_imported_trial_that_vanishes_is_held_back_and_let_go_on(field: RegistryHarness):
    field.serve_times(survey=FAR)
    field.serve(**{"import": "All", "onVanished": "Suspend"})
    field.harness.wait(lambda: field.names() == {"survey"})
    (trial,) = field.harness.trials()

    field.serve_times()
    field.harness.until_condition(trial, "Scheduled", "False", "Suspended")
    field.serve_times(survey=FAR)
    field.harness.until_condition(trial, "Scheduled", "True", "StartTimeKnown")

    assert trial.obj["spec"]["suspend"] is False


def test_a_trial_that_the_list_lacks_is_asked_for_by_itself(field: RegistryHarness):
    field.registry.answer["/trial/survey/"] = (200, b'{"start_time": "%s"}' % FAR.encode())
    field.serve()

    field.until_start(field.trial("survey"), FAR)


def test_a_secret_is_sent_only_where_it_was_meant_for(field: RegistryHarness):
    field.serve_times(survey=FAR)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "registry",
            "namespace": field.harness.namespace,
            "annotations": {"lcm.5gdrones.eu/origin": "http://elsewhere.example"},
        },
        "stringData": {"apikey": "sesame"},
    }
    made = pykube.Secret(field.harness.api, secret)
    made.create()
    registry = field.serve(auth={"secretRef": {"name": "registry"}})
    field.until_synced(registry, "RegistryMisconfigured")
    assert not field.registry.asked

    made.annotations["lcm.5gdrones.eu/origin"] = field.registry.url
    made.update()

    field.until_synced(registry, "Synced")
    assert "Basic YXBpa2V5OnNlc2FtZQ==" in field.registry.authorizations
