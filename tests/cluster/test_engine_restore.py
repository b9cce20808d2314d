"""The real engine process and a real API server: from the grant to the end, and on from the checkpoint."""

import signal
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from tests.cluster.engine_harness import acting, http

from devcluster.waiting import wait_until


@pytest.fixture
def harness(cluster, namespace, tmp_path):
    with acting(cluster, namespace, tmp_path) as harness:
        yield harness


FIVE = [http(name) for name in ("one", "two", "three", "four", "five")]


def test_an_engine_acts_only_after_its_grant(harness):
    harness.create(http("one"))
    running = harness.start()
    running.says("waiting for the grant")
    harness.write(phase="Pending", attempt=1)  # a change that grants nothing
    before = list(harness.partner.lines)

    harness.grant(running)

    assert running.exit_code() == 0, running.log
    assert before == []
    assert harness.partner.lines == ["POST /one"]


def test_an_engine_acts_only_from_the_time_of_its_grant_on(harness):
    harness.create(http("one"))
    came = []
    harness.partner.answer["/one"] = lambda _: came.append(datetime.now(UTC)) or 200
    running = harness.start()

    harness.grant(running, delay=1.5)

    assert running.exit_code() == 0, running.log
    not_before = datetime.fromisoformat(harness.object["status"]["podRef"]["notBefore"])
    assert not_before <= came[0]
    assert (came[0] - not_before).total_seconds() < 1


def test_restore_of_a_failed_engine_repeats_nothing_that_succeeded(harness):
    harness.create(*FIVE)
    harness.partner.answer["/three"] = 503

    first = harness.run()

    assert first.exit_code() == 1, first.log
    assert harness.partner.lines == ["POST /one", "POST /two", "POST /three"]
    assert list(harness.states) == ["one", "two", "three", "four", "five"]
    assert list(harness.states.values()) == ["Succeeded", "Succeeded", "Failed", "Pending", "Pending"]
    message = harness.activity("three")["message"]
    assert message == (
        f'three: POST {harness.partner.url}/three: expected status 2xx, got 503: {{"path": "/three"}}'
    )
    assert first.last_message == message

    del harness.partner.answer["/three"]
    harness.reset()
    second = harness.run(attempt=2)

    assert second.exit_code() == 0, second.log
    assert harness.partner.lines[3:] == ["POST /three", "POST /four", "POST /five"]
    assert set(harness.states.values()) == {"Succeeded"}
    uid = UUID(harness.object["metadata"]["uid"])
    assert harness.partner.keys("POST /three") == [str(uuid5(uid, "three/1"))] * 2
    assert len({request.key for request in harness.partner.requests}) == 5


ODD = {
    "none": None,
    "deep": [None, {"a": None, "b": [{"c": None}]}],
    "whole": 2.0,
    "ü": "\u2028",
    "big": 2**62,
}


def test_outputs_values_and_parameters_are_the_same_after_a_restore(harness):
    harness.partner.body["/one"] = ODD
    look = {
        "outputs": "{{ outputs.one }}",
        "label": "{{ values.kpiLabel }}",
        "password": "{{ parameters.password }}",
        "trial": "{{ trial.id }} {{ trial.name }} {{ trial.namespace }} {{ trial.startTime }}",
    }
    capture = {"all": "{{ response.json }}", "none": "{{ response.json.none }}"}
    harness.create(
        http("one", http={"capture": capture}, set={"kpiLabel": "Idle"}),
        http("two", http={"json": look}),
        http("three", http={"expect": {"status": [299]}}),
        http("four", http={"json": look}),
        parameters=[{"name": "password", "secretKeyRef": {"name": "kpi", "key": "password"}}],
    )
    assert harness.run(LCM_PARAMETER_1="secret").exit_code() == 1
    harness.partner.answer["/three"] = 299
    harness.reset()

    second = harness.run(attempt=2, LCM_PARAMETER_1="secret")

    assert second.exit_code() == 0, second.log
    _, before, _, _, after = harness.partner.requests
    assert before.json == after.json
    assert before.json["outputs"] == {"all": ODD, "none": None}
    assert before.json["label"] == "Idle"
    assert before.json["password"] == "secret"
    assert before.json["trial"] == f"example example {harness.namespace} 2026-11-24T08:00:00.123456Z"


def test_sigterm_ends_an_engine_at_once_and_a_restore_repeats_its_activity(harness):
    harness.create(http("one"), {"name": "long", "sleep": {"seconds": 600}}, http("two"))
    running = harness.run()
    running.until(lambda: harness.states.get("long") == "Running")

    running.process.send_signal(signal.SIGTERM)

    assert wait_until(lambda: running.ended, seconds=3), running.log
    assert running.exit_code() == 143
    assert running.last_message == "SIGTERM received"
    assert harness.states == {"one": "Succeeded", "long": "Running", "two": "Pending"}


def test_sigterm_before_the_grant_ends_an_engine_at_once(harness):
    harness.create(http("one"))
    running = harness.start()
    running.says("waiting for the grant")

    running.process.send_signal(signal.SIGTERM)

    assert running.exit_code() == 143
    assert "activities" not in harness.object.get("status", {})


def test_sigterm_ends_the_program_that_runs_with_all_its_children(harness, tmp_path):
    pids = tmp_path / "pids"
    command = ["sh", "-c", f"sleep 600 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait"]
    harness.create({"name": "run", "exec": {"command": command}})
    running = harness.run()
    running.until(pids.exists)

    running.process.send_signal(signal.SIGTERM)

    assert running.exit_code() == 143
    assert wait_until(lambda: not any(map(lives, pids.read_text().split())), seconds=5)
    assert harness.states == {"run": "Running"}


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("victim", ["one", "two", "three", "four", "five"])
def test_kill_during_an_activity_repeats_only_that_one_with_its_key(harness, victim):
    harness.create(*FIVE)
    first = harness.start()

    def kill(_request):
        first.process.kill()
        first.process.wait()
        del harness.partner.answer[f"/{victim}"]
        return 200

    harness.partner.answer[f"/{victim}"] = kill
    harness.grant(first)
    assert first.exit_code() == -signal.SIGKILL
    assert harness.states[victim] == "Running"

    harness.reset()
    second = harness.run(attempt=2)

    assert second.exit_code() == 0, second.log
    assert set(harness.states.values()) == {"Succeeded"}
    counts = {name: len(harness.partner.keys(f"POST /{name}")) for name in harness.states}
    assert counts == dict.fromkeys(harness.states, 1) | {victim: 2}
    assert len(set(harness.partner.keys(f"POST /{victim}"))) == 1


def test_killed_in_the_middle_of_a_sleep_or_a_program_that_one_is_repeated(harness, tmp_path):
    count = tmp_path / "count"
    program = {"command": ["sh", "-c", f"echo x >> {count}; [ $(wc -l < {count}) = 2 ] || sleep 600"]}
    harness.create({"name": "nap", "sleep": {"seconds": 2}}, {"name": "run", "exec": program}, http("last"))

    first = harness.run()
    first.until(lambda: harness.states.get("nap") == "Running")
    first.process.kill()
    first.process.wait()
    harness.reset()
    second = harness.run(attempt=2)
    second.until(count.exists)
    programs = children(second.process.pid)
    second.process.kill()
    second.process.wait()
    assert programs
    assert wait_until(lambda: not any(map(lives, programs)), seconds=20), "they outlive their engine"
    harness.reset()
    third = harness.run(attempt=3)

    assert third.exit_code() == 0, third.log
    assert harness.states == {"nap": "Succeeded", "run": "Succeeded", "last": "Succeeded"}
    assert harness.partner.lines == ["POST /last"]
    assert "activity started activity=nap" not in third.log


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
