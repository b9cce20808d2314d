"""The real engine process and a real API server: from the grant to the end, and on from the checkpoint."""

import signal
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from tests.cluster.engine_stage import acting, http

from devcluster.waiting import wait_until


@pytest.fixture
def stage(cluster, namespace, tmp_path):
    with acting(cluster, namespace, tmp_path) as stage:
        yield stage


FIVE = [http(name) for name in ("one", "two", "three", "four", "five")]


def test_an_engine_acts_only_after_its_grant(stage):
    stage.create(http("one"))
    running = stage.start()
    running.says("waiting for the grant")
    stage.write(phase="Pending", attempt=1)  # a change that grants nothing
    before = list(stage.partner.lines)

    stage.grant(running)

    assert running.exit_code() == 0, running.log
    assert before == []
    assert stage.partner.lines == ["POST /one"]


def test_an_engine_acts_only_from_the_time_of_its_grant_on(stage):
    stage.create(http("one"))
    came = []
    stage.partner.answer["/one"] = lambda _: came.append(datetime.now(UTC)) or 200
    running = stage.start()

    stage.grant(running, delay=1.5)

    assert running.exit_code() == 0, running.log
    not_before = datetime.fromisoformat(stage.object["status"]["podRef"]["notBefore"])
    assert not_before <= came[0]
    assert (came[0] - not_before).total_seconds() < 1


def test_restore_of_a_failed_engine_repeats_nothing_that_succeeded(stage):
    stage.create(*FIVE)
    stage.partner.answer["/three"] = 503

    first = stage.run()

    assert first.exit_code() == 1, first.log
    assert stage.partner.lines == ["POST /one", "POST /two", "POST /three"]
    assert list(stage.states) == ["one", "two", "three", "four", "five"]
    assert list(stage.states.values()) == ["Succeeded", "Succeeded", "Failed", "Pending", "Pending"]
    message = stage.activity("three")["message"]
    assert message == (
        f'three: POST {stage.partner.url}/three: expected status 2xx, got 503: {{"path": "/three"}}'
    )
    assert first.last_message == message

    del stage.partner.answer["/three"]
    stage.reset()
    second = stage.run(attempt=2)

    assert second.exit_code() == 0, second.log
    assert stage.partner.lines[3:] == ["POST /three", "POST /four", "POST /five"]
    assert set(stage.states.values()) == {"Succeeded"}
    uid = UUID(stage.object["metadata"]["uid"])
    assert stage.partner.keys("POST /three") == [str(uuid5(uid, "three/1"))] * 2
    assert len({request.key for request in stage.partner.requests}) == 5


ODD = {
    "none": None,
    "deep": [None, {"a": None, "b": [{"c": None}]}],
    "whole": 2.0,
    "ü": "\u2028",
    "big": 2**62,
}


def test_outputs_values_and_parameters_are_the_same_after_a_restore(stage):
    stage.partner.body["/one"] = ODD
    look = {
        "outputs": "{{ outputs.one }}",
        "label": "{{ values.kpiLabel }}",
        "password": "{{ parameters.password }}",
        "trial": "{{ trial.id }} {{ trial.name }} {{ trial.namespace }} {{ trial.startTime }}",
    }
    capture = {"all": "{{ response.json }}", "none": "{{ response.json.none }}"}
    stage.create(
        http("one", http={"capture": capture}, set={"kpiLabel": "Idle"}),
        http("two", http={"json": look}),
        http("three", http={"expect": {"status": [299]}}),
        http("four", http={"json": look}),
        parameters=[{"name": "password", "secretKeyRef": {"name": "kpi", "key": "password"}}],
    )
    assert stage.run(LCM_PARAMETER_1="secret").exit_code() == 1
    stage.partner.answer["/three"] = 299
    stage.reset()

    second = stage.run(attempt=2, LCM_PARAMETER_1="secret")

    assert second.exit_code() == 0, second.log
    _, before, _, _, after = stage.partner.requests
    assert before.json == after.json
    assert before.json["outputs"] == {"all": ODD, "none": None}
    assert before.json["label"] == "Idle"
    assert before.json["password"] == "secret"
    assert before.json["trial"] == f"example example {stage.namespace} 2026-11-24T08:00:00.123456Z"


def test_sigterm_ends_an_engine_at_once_and_a_restore_repeats_its_activity(stage):
    stage.create(http("one"), {"name": "long", "sleep": {"seconds": 600}}, http("two"))
    running = stage.run()
    running.until(lambda: stage.states.get("long") == "Running")

    running.process.send_signal(signal.SIGTERM)

    assert wait_until(lambda: running.ended, seconds=3), running.log
    assert running.exit_code() == 143
    assert running.last_message == "SIGTERM received"
    assert stage.states == {"one": "Succeeded", "long": "Running", "two": "Pending"}


def test_sigterm_before_the_grant_ends_an_engine_at_once(stage):
    stage.create(http("one"))
    running = stage.start()
    running.says("waiting for the grant")

    running.process.send_signal(signal.SIGTERM)

    assert running.exit_code() == 143
    assert "activities" not in stage.object.get("status", {})


def test_sigterm_ends_the_program_that_runs_with_all_its_children(stage, tmp_path):
    pids = tmp_path / "pids"
    command = ["sh", "-c", f"sleep 600 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait"]
    stage.create({"name": "run", "exec": {"command": command}})
    running = stage.run()
    running.until(pids.exists)

    running.process.send_signal(signal.SIGTERM)

    assert running.exit_code() == 143
    assert wait_until(lambda: not any(map(lives, pids.read_text().split())), seconds=5)
    assert stage.states == {"run": "Running"}


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("victim", ["one", "two", "three", "four", "five"])
def test_kill_during_an_activity_repeats_only_that_one_with_its_key(stage, victim):
    stage.create(*FIVE)
    first = stage.start()

    def kill(_request):
        first.process.kill()
        first.process.wait()
        del stage.partner.answer[f"/{victim}"]
        return 200

    stage.partner.answer[f"/{victim}"] = kill
    stage.grant(first)
    assert first.exit_code() == -signal.SIGKILL
    assert stage.states[victim] == "Running"

    stage.reset()
    second = stage.run(attempt=2)

    assert second.exit_code() == 0, second.log
    assert set(stage.states.values()) == {"Succeeded"}
    counts = {name: len(stage.partner.keys(f"POST /{name}")) for name in stage.states}
    assert counts == dict.fromkeys(stage.states, 1) | {victim: 2}
    assert len(set(stage.partner.keys(f"POST /{victim}"))) == 1


def test_killed_in_the_middle_of_a_sleep_or_a_program_that_one_is_repeated(stage, tmp_path):
    count = tmp_path / "count"
    program = {"command": ["sh", "-c", f"echo x >> {count}; [ $(wc -l < {count}) = 2 ] || sleep 600"]}
    stage.create({"name": "nap", "sleep": {"seconds": 2}}, {"name": "run", "exec": program}, http("last"))

    first = stage.run()
    first.until(lambda: stage.states.get("nap") == "Running")
    first.process.kill()
    first.process.wait()
    stage.reset()
    second = stage.run(attempt=2)
    second.until(count.exists)
    programs = children(second.process.pid)
    second.process.kill()
    second.process.wait()
    assert programs
    assert wait_until(lambda: not any(map(lives, programs)), seconds=20), "they outlive their engine"
    stage.reset()
    third = stage.run(attempt=3)

    assert third.exit_code() == 0, third.log
    assert stage.states == {"nap": "Succeeded", "run": "Succeeded", "last": "Succeeded"}
    assert stage.partner.lines == ["POST /last"]
    assert "activity started activity=nap" not in third.log


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
