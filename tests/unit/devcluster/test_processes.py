"""Background processes: known by a locked pid file, so that nobody else is ever taken for them."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.cluster.processes import Background
from devcluster.failure import LocalClusterError
from devcluster.waiting import wait_until

SLEEP = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("begun", flush=True)
time.sleep(600)
""",
]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Background]:
    process = Background(pid_file=tmp_path / "run" / "thing.pid", log_file=tmp_path / "log" / "thing.log")
    yield process
    process.stop(grace=0)


def has_begun(process: Background) -> bool:
    return wait_until(lambda: "begun" in process.log_tail(), seconds=20)


def test_the_pid_file_names_the_program_itself_and_not_a_wrapper(process: Background) -> None:
    process.start(
        [sys.executable, "-c", "import os, time; print('begun', os.getpid(), flush=True); time.sleep(600)"],
        {},
    )

    assert has_begun(process)
    assert process.pid_file.read_text().strip() == process.log_tail().removeprefix("begun ")


def test_a_process_that_was_killed_is_known_to_be_dead(process: Background) -> None:
    process.start(SLEEP, {})
    assert process.alive()

    os.kill(process.pid() or 0, signal.SIGKILL)

    assert wait_until(lambda: not process.alive(), seconds=10)
    assert process.pid() is None


def test_a_living_stranger_who_got_the_pid_meanwhile_is_not_taken_for_ours(process: Background) -> None:
    process.pid_file.parent.mkdir()
    process.pid_file.write_text(f"{os.getpid()}\n")

    assert not process.alive()
    process.stop(grace=0)  # would end this very test


def test_a_running_process_is_not_started_twice(process: Background) -> None:
    process.start(SLEEP, {})

    with pytest.raises(LocalClusterError, match=rf"thing is already running \(process {process.pid()}\)"):
        process.start(SLEEP, {})


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(process: Background) -> None:
    process.start(DEAF, {})
    assert has_begun(process)

    process.stop(grace=0.2)

    assert not process.alive()
    assert not process.pid_file.exists()


def test_stopping_what_does_not_run_is_fine(process: Background) -> None:
    process.stop(grace=0)


def test_a_restart_continues_with_the_same_log(process: Background) -> None:
    process.log_file.parent.mkdir()
    process.log_file.write_text("before\n")

    process.start(SLEEP, {})

    assert has_begun(process)
    assert process.log_tail() == "before\nbegun"


def test_it_gets_the_environment_that_it_is_given_and_no_other(process: Background) -> None:
    process.start(["/usr/bin/env"], {"ONLY": "this"})

    assert wait_until(lambda: not process.alive(), seconds=10)
    assert "ONLY=this" in process.log_tail()
    assert "HOME" not in process.log_tail()
