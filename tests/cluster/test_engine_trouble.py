"""The real engine process when the API server is away, others write, or the grant is withdrawn."""

import signal

import pytest
from tests.cluster.engine_harness import acting, http

from devcluster.cluster.components import API_SERVER


@pytest.fixture
def harness(cluster, namespace, tmp_path):
    with acting(cluster, namespace, tmp_path) as harness:
        yield harness


def test_while_the_api_server_is_away_an_engine_waits_and_never_runs_ahead(cluster, harness):
    harness.create(http("one"), http("two"))

    def stop(_request):
        cluster.stop(API_SERVER, signal.SIGKILL)
        return 200

    harness.partner.answer["/one"] = stop
    running = harness.run()
    try:
        running.until(lambda: "reading the TrialEngine" in running.log or "saving" in running.log)
        ahead = list(harness.partner.lines)
    finally:
        cluster.start(API_SERVER)

    assert running.exit_code() == 0, running.log
    assert ahead == ["POST /one"]
    assert harness.partner.lines == ["POST /one", "POST /two"]
    assert set(harness.states.values()) == {"Succeeded"}


def test_an_engine_that_starts_while_the_api_server_is_away_waits_for_it(cluster, harness):
    harness.create(http("one"))
    cluster.stop(API_SERVER, signal.SIGKILL)
    try:
        running = harness.start()
        running.says("following TrialEngine")
    finally:
        cluster.start(API_SERVER)
    harness.grant(running)

    assert running.exit_code() == 0, running.log
    assert harness.partner.lines == ["POST /one"]


def test_engine_reads_again_after_writes_of_others_and_keeps_them(harness):
    harness.create(http("one"), http("two"))

    def write(_request):
        harness.write(
            phase="Running", signals=[{"id": "s", "name": "slice", "receivedTime": "2026-11-24T10:00:00Z"}]
        )
        return 200

    harness.partner.answer["/one"] = write
    running = harness.run()

    assert running.exit_code() == 0, running.log
    assert "TrialEngine has changed" in running.log
    assert harness.partner.lines == ["POST /one", "POST /two"]
    status = harness.object["status"]
    assert status["phase"] == "Running"
    assert [signal["id"] for signal in status["signals"]] == ["s"]
    assert status["checkpoint"]["sequence"] == 3


WITHDRAWALS = {
    "another pod is granted": (
        {"attempt": 2, "podRef": {"name": "example-2", "uid": "x", "notBefore": "2026-11-24T10:00:00Z"}},
        "pod example-2 has the grant",
    ),
    "a restore begins": ({"podRef": None}, "the grant was withdrawn for a restore"),
}


@pytest.mark.parametrize(("change", "why"), WITHDRAWALS.values(), ids=WITHDRAWALS.keys())
def test_an_engine_ends_without_another_act_or_write_when(harness, change, why):
    harness.create(http("one"), http("two"))
    sequence = []

    def withdraw(_request):
        sequence.append(harness.object["status"]["checkpoint"]["sequence"])
        harness.write(**change)
        return 200

    harness.partner.answer["/one"] = withdraw
    running = harness.run()

    assert running.exit_code() == 3, running.log
    assert running.last_message == why
    assert harness.partner.lines == ["POST /one"]
    assert harness.object["status"]["checkpoint"]["sequence"] == sequence[0] == 1


def test_what_runs_is_interrupted_as_soon_as_the_grant_is_withdrawn(harness):
    harness.create({"name": "long", "sleep": {"seconds": 600}})
    running = harness.run()
    running.until(lambda: harness.states.get("long") == "Running")

    harness.write(podRef=None)

    assert running.exit_code() == 3, running.log


def test_a_pod_that_another_was_granted_before_ends_without_an_act(harness):
    harness.create(http("one"))
    harness.write(podRef={"name": "example-2", "uid": "x", "notBefore": "2026-11-24T10:00:00Z"}, attempt=2)

    running = harness.start()

    assert running.exit_code() == 3, running.log
    assert harness.partner.lines == []


def test_an_engine_without_a_trial_engine_ends(harness):
    running = harness.start()

    assert running.exit_code() == 3, running.log
    assert running.last_message == "the TrialEngine was deleted"


def test_an_engine_whose_trial_engine_is_deleted_before_the_grant_ends(harness):
    harness.create(http("one"))
    running = harness.start()
    running.says("waiting for the grant")

    harness.api.delete("TrialEngine", harness.namespace, "example")

    assert running.exit_code() == 3, running.log


def test_plan_with_a_part_that_this_engine_cannot_run_is_refused(harness):
    harness.create(http("one"), http("two", http={"headers": {"Content-Length": "5"}}))

    running = harness.run()

    assert running.exit_code() == 2, running.log
    assert "activities[1].http.headers.Content-Length: " in running.last_message
    assert harness.partner.lines == []


def test_an_engine_without_the_value_of_a_secret_is_refused(harness):
    harness.create(
        http("one"), parameters=[{"name": "password", "secretKeyRef": {"name": "kpi", "key": "password"}}]
    )

    running = harness.run()

    assert running.exit_code() == 2, running.log
    assert "LCM_PARAMETER_1" in running.last_message
