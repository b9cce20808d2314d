"""The real engine process when the API server is away, others write, or the grant is withdrawn."""

import signal

import pytest
from tests.cluster.engine_stage import acting, http

from devcluster.cluster.components import API_SERVER


@pytest.fixture
def stage(cluster, namespace, tmp_path):
    with acting(cluster, namespace, tmp_path) as stage:
        yield stage


def test_while_the_api_server_is_away_an_engine_waits_and_never_runs_ahead(cluster, stage):
    stage.create(http("one"), http("two"))

    def stop(_request):
        cluster.stop(API_SERVER, signal.SIGKILL)
        return 200

    stage.partner.answer["/one"] = stop
    running = stage.run()
    try:
        running.until(lambda: "reading the TrialEngine" in running.log or "saving" in running.log)
        ahead = list(stage.partner.lines)
    finally:
        cluster.start(API_SERVER)

    assert running.exit_code() == 0, running.log
    assert ahead == ["POST /one"]
    assert stage.partner.lines == ["POST /one", "POST /two"]
    assert set(stage.states.values()) == {"Succeeded"}


def test_an_engine_that_starts_while_the_api_server_is_away_waits_for_it(cluster, stage):
    stage.create(http("one"))
    cluster.stop(API_SERVER, signal.SIGKILL)
    try:
        running = stage.start()
        running.says("following TrialEngine")
    finally:
        cluster.start(API_SERVER)
    stage.grant(running)

    assert running.exit_code() == 0, running.log
    assert stage.partner.lines == ["POST /one"]


def test_engine_reads_again_after_writes_of_others_and_keeps_them(stage):
    stage.create(http("one"), http("two"))

    def write(_request):
        stage.write(
            phase="Running", signals=[{"id": "s", "name": "slice", "receivedTime": "2026-11-24T10:00:00Z"}]
        )
        return 200

    stage.partner.answer["/one"] = write
    running = stage.run()

    assert running.exit_code() == 0, running.log
    assert "TrialEngine has changed" in running.log
    assert stage.partner.lines == ["POST /one", "POST /two"]
    status = stage.object["status"]
    assert status["phase"] == "Running"
    assert [signal["id"] for signal in status["signals"]] == ["s"]
    assert status["checkpoint"]["sequence"] == 3


WITHDRAWALS = {
    "another pod is granted": (
        {"attempt": 2, "podRef": {"name": "example-2", "uid": "x", "notBefore": "2026-11-24T10:00:00Z"}},
        "the grant is that of pod example-2",
    ),
    "a restore begins": ({"podRef": None}, "the grant was taken back for a restore"),
}


@pytest.mark.parametrize(("change", "why"), WITHDRAWALS.values(), ids=WITHDRAWALS.keys())
def test_an_engine_ends_without_another_act_or_write_when(stage, change, why):
    stage.create(http("one"), http("two"))
    sequence = []

    def withdraw(_request):
        sequence.append(stage.object["status"]["checkpoint"]["sequence"])
        stage.write(**change)
        return 200

    stage.partner.answer["/one"] = withdraw
    running = stage.run()

    assert running.exit_code() == 3, running.log
    assert running.last_message == why
    assert stage.partner.lines == ["POST /one"]
    assert stage.object["status"]["checkpoint"]["sequence"] == sequence[0] == 1


def test_what_runs_is_interrupted_as_soon_as_the_grant_is_withdrawn(stage):
    stage.create({"name": "long", "sleep": {"seconds": 600}})
    running = stage.run()
    running.until(lambda: stage.states.get("long") == "Running")

    stage.write(podRef=None)

    assert running.exit_code() == 3, running.log


def test_a_pod_that_another_was_granted_before_ends_without_an_act(stage):
    stage.create(http("one"))
    stage.write(podRef={"name": "example-2", "uid": "x", "notBefore": "2026-11-24T10:00:00Z"}, attempt=2)

    running = stage.start()

    assert running.exit_code() == 3, running.log
    assert stage.partner.lines == []


def test_an_engine_without_a_trial_engine_ends(stage):
    running = stage.start()

    assert running.exit_code() == 3, running.log
    assert running.last_message == "the TrialEngine is gone"


def test_an_engine_whose_trial_engine_is_deleted_before_the_grant_ends(stage):
    stage.create(http("one"))
    running = stage.start()
    running.says("waiting for the grant")

    stage.api.delete("TrialEngine", stage.namespace, "example")

    assert running.exit_code() == 3, running.log


def test_plan_with_a_part_that_this_engine_cannot_run_is_refused(stage):
    stage.create(http("one"), http("two", http={"headers": {"Content-Length": "5"}}))

    running = stage.run()

    assert running.exit_code() == 2, running.log
    assert "activities[1].http.headers.Content-Length: " in running.last_message
    assert stage.partner.lines == []


def test_an_engine_without_the_value_of_a_secret_is_refused(stage):
    stage.create(
        http("one"), parameters=[{"name": "password", "secretKeyRef": {"name": "kpi", "key": "password"}}]
    )

    running = stage.run()

    assert running.exit_code() == 2, running.log
    assert "LCM_PARAMETER_1" in running.last_message
