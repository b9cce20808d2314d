"""The legacy contract, second half: engines, the registry, tokens and heartbeats, at both levels."""

from typing import Any

import pytest
from tests.cluster.operator_harness import Trial, TrialEngine, condition, in_seconds, nap
from tests.cluster.rest_harness import FAR, TRIGGER, Caller

from devcluster.waiting import wait_until


@pytest.mark.parametrize("route", ["debug", "debud"])
def test_the_whole_life_of_an_engine(caller: Caller, route: str):
    name = caller.fresh_id("life")
    unknown = caller.rest.call("POST", f"/{route}/engine/{name}/restore")
    assert unknown.said == (404, f"Engine instance with trial ID: {name} does not exist.")

    assert caller.rest.schedule(name, in_seconds(0)).status == 200
    caller.until_engine(name, "finished")
    assert f"'id': {name!r}" not in caller.scheduled()
    assert caller.rest.schedule(name, FAR).said == (400, f"Executor Engine with ID: {name} already exists.")
    scheduling = caller.rest.call("DELETE", f"/debug/trial/{name}/schedule")
    assert scheduling.said == (400, f"Trial scheduling with ID: {name} does not exist.")

    restored = caller.rest.call("POST", f"/{route}/engine/{name}/restore")
    assert restored.said == (200, f"Engine instance restored for trial ID: {name}")
    caller.until_engine(name, "finished")
    removed = caller.rest.call("DELETE", f"/debug/engine/{name}")
    assert removed.said == (200, f"Engine instance removed with trial ID: {name}")
    assert repr(name) not in caller.engines_shown()
    assert all(engine.name != name for engine in caller.engines())
    again = caller.rest.call("DELETE", f"/debug/engine/{name}")
    assert again.said == (400, f"Engine instance with trial ID: {name} does not exist.")
    assert caller.rest.schedule(name, FAR).status == 200  # an ID whose engine was removed is free
    assert f"'id': {name!r}" in caller.scheduled()


def test_a_failed_engine_is_shown_and_restored_from_its_checkpoint(caller: Caller):
    name = caller.fresh_id("fails")
    failing = {
        "name": "two",
        "exec": {"command": ["sh", "-c", 'test "$ATTEMPT" = 2'], "env": {"ATTEMPT": "{{ trial.attempt }}"}},
    }
    caller.trial(name, start=in_seconds(0), activities=[nap("one"), failing])
    caller.until_engine(name, "failed")

    restored = caller.rest.call("POST", f"/debug/engine/{name}/restore")

    assert restored.status == 200
    caller.until_engine(name, "finished")
    activities = caller.engine(name).obj["status"]["activities"]
    assert {activity["name"]: activity["run"] for activity in activities} == {"one": 1, "two": 1}


def at_level(caller: Caller, old: Any, new: Any) -> Any:
    return new if caller.level == "1.0.2" else old


def test_a_trial_is_scheduled_by_the_registrys_time(caller: Caller):
    name = caller.fresh_id("registry")
    caller.registry.trials = [{"id": name, "start_time": FAR, "facility": "EUR"}]

    reply = caller.rest.call("POST", f"/debug/trial/{name}/schedule")

    assert reply.said == (200, f"Trial scheduled with trial ID: {name}")
    assert f"{{'id': {name!r}, 'trigger': {TRIGGER!r}}}" in caller.scheduled()
    again = caller.rest.call("POST", f"/debug/trial/{name}/schedule")
    failed = "Failed to retrieve trial start time: "
    assert again.said == (400, f"{failed}Trial scheduling with ID: {name} already exists.")


REGISTRY_FAULTS: dict[str, tuple[tuple[int, bytes], str]] = {
    "it answers 404": (
        (404, b'{"detail":"Not found."}'),
        'Trial registry responded with: b\'{"detail":"Not found."}\'.',
    ),
    "it answers 500": ((500, b"oops"), "Trial registry responded with: b'oops'."),
    "it answers HTML": ((200, b"<html>"), "Failed to parse reply from Trial registry: "),
    "the time lies in the past": (
        (200, b'{"id":"x","start_time":"2021-01-01T00:00:00Z"}'),
        "Trial start time in the past. Skipping scheduling.",
    ),
    "there is no time": ((200, b'{"id":"x"}'), "Failed to parse reply from Trial registry: "),
}


@pytest.mark.parametrize(("answer", "why"), REGISTRY_FAULTS.values(), ids=REGISTRY_FAULTS.keys())
def test_a_registry_that_does_not_report_the_time(caller: Caller, answer: tuple[int, bytes], why: str):
    name = caller.fresh_id("fault")
    caller.registry.answer[f"/trial/{name}/"] = answer

    status, detail = caller.rest.call("POST", f"/debug/trial/{name}/schedule").said

    assert status == 400
    assert detail.startswith(f"Failed to retrieve trial start time: {why}")


def test_all_trials_of_the_registry_are_scheduled_once(caller: Caller):
    executing, known, first, second, past = (caller.fresh_id("all") for _ in range(5))
    caller.rest.schedule(executing, in_seconds(0))
    caller.until_engine(executing, "finished")
    caller.rest.schedule(known, FAR)
    later = "2031-07-02T10:00:00+02:00"
    caller.registry.trials = [
        {"id": second, "start_time": FAR},
        {"id": first, "start_time": FAR},
        {"id": known, "start_time": later},
        {"id": executing, "start_time": FAR},
        {"id": past, "start_time": "2021-01-01T00:00:00Z"},
        {"id": "bad", "start_time": "soon"},
        "no object",
    ]

    reply = caller.rest.call("POST", "/debug/trial/schedule-all")

    added = [second, first]
    assert reply.said == (
        200,
        at_level(
            caller,
            f"Scheduled trials with ids: {added}",
            f"Trials added to scheduling: {added}. Trials already scheduled: [{known!r}]. "
            f"Trials already executing: [{executing!r}].",
        ),
    )
    shown = caller.scheduled()
    assert shown.index(repr(first)) < shown.index(repr(second))  # by ID, the time being the same
    assert f"{{'id': {known!r}, 'trigger': {TRIGGER!r}}}" in shown  # one scheduled by hand is not moved
    assert past not in shown
    again = caller.rest.call("POST", "/debug/trial/schedule-all").said
    assert again == (
        200,
        at_level(
            caller,
            "Scheduled trials with ids: []",
            f"Trials added to scheduling: []. Trials already scheduled: {[second, first, known]}. "
            f"Trials already executing: [{executing!r}].",
        ),
    )


def test_a_registry_that_can_not_be_read_schedules_nothing(caller: Caller):
    caller.registry.answer["/trial/"] = (500, b"oops")
    try:
        reply = caller.rest.call("POST", "/debug/trial/schedule-all")
    finally:
        del caller.registry.answer["/trial/"]

    failed = "Failed to retrieve trials: Trial registry responded with: b'oops'."
    assert reply.said == (400, failed)


def test_a_registry_with_nothing_ahead(caller: Caller):
    caller.registry.trials = [{"id": "old", "start_time": "2021-01-01T00:00:00Z"}]

    said = caller.rest.call("POST", "/debug/trial/schedule-all").said

    assert said == at_level(
        caller,
        (200, "Scheduled trials with ids: []"),
        (400, "Failed to retrieve trials: No future trials defined in repository. No need to schedule."),
    )


def test_a_time_that_changed_in_the_registry_moves_the_trial(caller: Caller):
    name = caller.fresh_id("moved")
    caller.registry.trials = [{"id": name, "start_time": FAR}]
    caller.rest.call("POST", f"/debug/trial/{name}/schedule")
    caller.registry.trials = [{"id": name, "start_time": "2031-08-01T10:00:00+02:00"}]

    caller.rest.call("POST", "/debug/trial/schedule-all")

    if caller.level == "1.0.2":
        caller.wait(
            lambda: f"{{'id': {name!r}, 'trigger': 'date[2031-08-01 11:00:00 EEST]'}}" in caller.scheduled()
        )


def test_automatic_scheduling_is_toggled(caller: Caller):
    caller.registry.trials = []

    def switch() -> tuple[int, Any]:
        return caller.rest.call("POST", "/trial/scheduling").said

    assert switch() == (200, "Automatic scheduling: True")
    if caller.level == "1.0.2":
        assert caller.rest.status()["Automatic_scheduling"] is True
    assert switch() == (200, "Automatic scheduling: False")
    if caller.level == "1.0.2":
        assert caller.rest.status()["Automatic_scheduling"] is False


def test_tokens_are_issued_checked_and_revoked(caller: Caller):
    name, other = caller.fresh_id("token"), caller.fresh_id("token")
    call = caller.rest.call
    token = call("POST", f"/token/{name}").json["Authorization"]

    assert call("GET", f"/token/{name}", key=token).said == (200, "Success")
    assert call("GET", f"/token/{other}", key=token).said == (401, "Unauthorized")
    assert call("GET", f"/token/{name}").said == (401, "Unauthorized")  # the key is no token
    assert call("GET", "/status", key=token).said == (401, "Unauthorized")  # and a token is no key
    assert call("DELETE", f"/token/{name}", key=token).said == (200, "Success")
    assert call("GET", f"/token/{name}", key=token).said == (401, "Unauthorized")


def test_a_token_outlives_the_sidecar(caller: Caller):
    scheduled, unknown = caller.fresh_id("token"), caller.fresh_id("token")
    caller.rest.schedule(scheduled, in_seconds(0))
    caller.until_engine(scheduled, "finished")
    tokens = {
        name: caller.rest.call("POST", f"/token/{name}").json["Authorization"]
        for name in (scheduled, unknown)
    }

    caller.rest.kill()
    caller.rest.start()

    for name, token in tokens.items():
        assert caller.rest.call("GET", f"/token/{name}", key=token).said == (200, "Success")
        assert token not in caller.rest.log


def test_heartbeats_are_counted(caller: Caller):
    name = caller.fresh_id("beat")
    add, call = f"/debug/add-heartbeat?trial_id={name}", caller.rest.call
    gone = (400, f"Heartbeat instance with trial ID: {name} does not exist.")

    assert call("POST", "/debug/add-heartbeat").json["detail"][0]["loc"] == ["query", "trial_id"]
    assert call("DELETE", f"/debug/heartbeat/{name}").said == gone
    assert call("POST", add).said == (200, f"Heartbeat added with trial ID: {name}")
    assert call("POST", add).status == 200
    assert caller.rest.status()["Heartbeat_instances"].count(name) == 2
    for _ in range(2):
        removed = call("DELETE", f"/debug/heartbeat/{name}").said
        assert removed == (200, f"Heartbeat instance removed with trial ID: {name}")
    assert call("DELETE", f"/debug/heartbeat/{name}").said == gone


def test_due_trial_moves_from_one_list_to_the_other_without_a_gap(caller: Caller):
    name = caller.fresh_id("passes")
    caller.trial(name, start=in_seconds(2), activities=[nap("long", 5)])
    caller.wait(lambda: repr(name) in caller.scheduled())
    seen: list[tuple[bool, bool]] = []

    def passed() -> bool:
        body = caller.rest.status()
        lists = (body["scheduled_trials"], body["Executor_Engine_instances"])
        seen.append((repr(name) in lists[0], repr(name) in lists[1]))
        return seen[-1][1]

    assert wait_until(passed, seconds=60)
    assert set(seen) == {(True, False), (False, True)}


def test_an_engine_that_runs_is_removed(caller: Caller):
    name = caller.fresh_id("long")
    caller.trial(name, start=in_seconds(0), activities=[nap("long", 600)])
    caller.until_engine(name, "active")

    removed = caller.rest.call("DELETE", f"/debug/engine/{name}")

    assert removed.status == 200
    assert not TrialEngine.objects(caller.api, namespace=caller.namespace).get_or_none(name=name)
    assert condition(
        Trial.objects(caller.api, namespace=caller.namespace).get_by_name(name), "Succeeded"
    ) == (
        "False",
        "Cancelled",
    )
