"""Parallel branches in a real engine: a failure or SIGTERM ends all of them, programs included."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from tests.cluster.engine_harness import DEADLINE, acting, http

from devcluster.waiting import wait_until

# It ignores SIGTERM, so that only a kill ends it.
STUBBORN = "trap '' TERM; echo $$ > \"$FILE\"; while :; do sleep 0.1; done"


@pytest.fixture
def harness(cluster, namespace, tmp_path):
    with acting(cluster, namespace, tmp_path) as harness:
        yield harness


def program(name, branch, file):
    command = ["sh", "-c", STUBBORN]
    return {"name": name, "branch": branch, "exec": {"command": command, "env": {"FILE": str(file)}}}


def has_begun(file: Path) -> bool:
    return file.exists() and bool(file.read_text().strip())


def is_alive(file: Path) -> bool:
    with suppress(ProcessLookupError):
        os.kill(int(file.read_text()), 0)
        return True
    return False


def test_failure_kills_another_branch_and_a_restore_repeats_both(harness, tmp_path):
    pid = tmp_path / "pid"
    harness.create(
        http("deploy"),
        program("measure", "data", pid),
        http("fly", branch="flight"),
        http("land", branch="flight"),
    )
    harness.partner.answer["/fly"] = lambda _: (
        503 if wait_until(lambda: has_begun(pid), seconds=DEADLINE) else 200
    )

    failed = harness.run()

    assert failed.exit_code() == 1, failed.log
    assert not is_alive(pid)
    assert harness.states == {
        "deploy": "Succeeded",
        "measure": "Pending",
        "fly": "Failed",
        "land": "Pending",
    }
    stopped = harness.activity("measure")
    assert stopped["message"].startswith("measure: stopped, as a parallel branch failed: fly: ")
    assert stopped["startTime"]

    harness.partner.answer["/fly"] = 200
    pid.unlink()
    harness.reset()
    again = harness.run(attempt=2)
    again.until(lambda: harness.states["land"] == "Succeeded" and has_begun(pid))

    assert harness.partner.lines.count("POST /deploy") == 1
    first, second = harness.partner.keys("POST /fly")
    assert first == second
    assert harness.states["measure"] == "Running"


def test_sigterm_ends_the_programs_of_all_branches_which_stay_running(harness, tmp_path):
    pids = [tmp_path / name for name in ("one", "two", "three")]
    harness.create(*(program(pid.name, pid.name, pid) for pid in pids))
    running = harness.run()
    running.until(lambda: all(map(has_begun, pids)))

    running.process.send_signal(signal.SIGTERM)

    assert running.exit_code() == 143, running.log
    assert not any(map(is_alive, pids))
    assert set(harness.states.values()) == {"Running"}
