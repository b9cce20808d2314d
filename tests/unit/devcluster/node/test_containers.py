"""The launcher and its supervisors with real processes: started once, ended for good, reported correctly."""

import asyncio
import base64
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from devcluster.node import environment
from devcluster.node.files import Ended, Lost, NotBegun, Running, pod_files
from devcluster.node.launching import Launcher, Start
from devcluster.node.reaping import reap
from devcluster.node.sources import Sources
from devcluster.node.states import state_of
from devcluster.node.supervisor import Supervisor
from devcluster.waiting import wait_until

DEADLINE = 20


class Harness:
    """One root directory with containers that are started by argument lists."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"

    def files(self, name="engine"):
        return pod_files(self.root, "uid").container(name)

    async def start(self, launcher, *command, name="engine"):
        files = self.files(name)
        files.prepare()
        await launcher.start(Start(files.directory, self.log, command, {"PATH": os.defpath}, files.home))
        return files

    async def python(self, launcher, source, name="engine"):
        return await self.start(launcher, sys.executable, "-I", "-S", "-u", "-c", source, name=name)

    def said(self, text):
        return wait_until(lambda: self.log.exists() and text in self.log.read_text(), seconds=DEADLINE)

    def numbers(self):
        return [int(word) for word in self.log.read_text().split() if word.isdigit()]


@pytest.fixture
def harness(tmp_path):
    yield Harness(tmp_path)
    reap(tmp_path, 0)


def lives(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def ended(files):
    supervisor = Supervisor.of(files)
    if supervisor:
        with supervisor:
            async with asyncio.timeout(DEADLINE):
                await supervisor.ended()
    return files.observe()


@pytest.mark.parametrize(
    ("script", "code", "by_signal", "reason"),
    [
        pytest.param("exit 0", 0, None, "Completed", id="exit 0"),
        pytest.param("exit 3", 3, None, "Error", id="exit 3"),
        pytest.param("exit 143", 143, None, "Error", id="exit 143, which is no signal"),
        pytest.param("kill -TERM $$", 143, 15, "Error", id="killed by SIGTERM"),
        pytest.param("kill -KILL $$", 137, 9, "Error", id="killed by SIGKILL"),
    ],
)
def test_the_end_of_a_process_is_reported_as_it_was(harness, script, code, by_signal, reason):
    async def scenario():
        async with Launcher() as launcher:
            files = await harness.start(launcher, "/bin/sh", "-c", script)
            return state_of(await ended(files), files, {}, harness.log, 0)

    state = asyncio.run(scenario())

    assert (state.exit_code, state.signal, state.reason) == (code, by_signal, reason)


def test_a_program_that_cannot_be_started_is_no_success(harness):
    async def scenario():
        async with Launcher() as launcher:
            files = await harness.start(launcher, "/no/such/program")
            return state_of(await ended(files), files, {}, harness.log, 0)

    state = asyncio.run(scenario())

    assert (state.exit_code, state.reason) == (128, "StartError")
    assert "No such file" in state.message


def test_a_container_is_begun_once_however_often_and_by_whom_it_is_asked_for(harness):
    async def scenario():
        async with Launcher() as first, Launcher() as second:
            async with asyncio.TaskGroup() as tasks:
                for number in range(10):
                    launcher = (first, second)[number % 2]
                    tasks.create_task(harness.start(launcher, "/bin/sh", "-c", "echo once; exec sleep 600"))
            assert isinstance(harness.files().observe(), Running)
        assert harness.said("once")

    asyncio.run(scenario())

    assert harness.log.read_text() == "once\n"


def test_processes_of_a_container_in_any_session_end_with_its_first_one(harness):
    source = """
import subprocess, sys
for session in (False, True):
    inner = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", inner], start_new_session=session)
    child.wait()
    print(subprocess.Popen(["sleep", "600"], start_new_session=session).pid)
"""

    async def scenario():
        async with Launcher() as launcher:
            return await ended(await harness.python(launcher, source))

    end = asyncio.run(scenario())

    assert isinstance(end, Ended)
    assert end.wait_status == 0
    assert len(harness.numbers()) == 4
    assert not [pid for pid in harness.numbers() if lives(pid)]


def test_orphans_that_end_before_their_container_are_reaped(harness):
    source = """
import os, subprocess
for _ in range(50):
    subprocess.run(["sh", "-c", "sleep 0.01 &"])
os._exit(9)
"""

    async def scenario():
        async with Launcher() as launcher:
            return await ended(await harness.python(launcher, source))

    end = asyncio.run(scenario())

    assert isinstance(end, Ended)
    assert os.waitstatus_to_exitcode(end.wait_status) == 9


def test_supervisors_outlive_launcher_and_node_and_still_record_the_end(harness):
    async def begin():
        async with Launcher() as launcher:
            return await harness.start(
                launcher, "/bin/sh", "-c", "echo begun; trap 'exit 5' TERM; sleep 600 & wait"
            )

    files = asyncio.run(begin())
    assert harness.said("begun")
    with Supervisor.of(files) as supervisor:
        supervisor.terminate()
    end = asyncio.run(ended(files))

    assert isinstance(end, Ended)
    assert os.waitstatus_to_exitcode(end.wait_status) == 5


def test_killed_supervisor_takes_its_container_with_it_which_is_lost(harness):
    async def begin():
        async with Launcher() as launcher:
            return await harness.python(launcher, "import os, time; print(os.getpid()); time.sleep(600)")

    files = asyncio.run(begin())
    assert wait_until(lambda: bool(harness.numbers()), seconds=DEADLINE)
    with Supervisor.of(files) as supervisor:
        supervisor.kill_itself()
    seen = asyncio.run(ended(files))

    assert isinstance(seen, Lost)
    assert wait_until(lambda: not lives(harness.numbers()[0]), seconds=DEADLINE)


def test_a_launcher_that_is_killed_is_replaced(harness):
    async def scenario():
        async with Launcher() as launcher:
            await harness.start(launcher, "/bin/sleep", "600", name="first")
            os.kill(launcher._process.pid, signal.SIGKILL)
            await launcher._process.wait()
            async with asyncio.timeout(DEADLINE):
                await harness.start(launcher, "/bin/sleep", "600", name="second")

    asyncio.run(scenario())

    assert isinstance(harness.files("first").observe(), Running)
    assert isinstance(harness.files("second").observe(), Running)


def test_nothing_begins_for_a_pod_whose_directory_is_gone(harness):
    async def scenario():
        async with Launcher() as launcher:
            gone = harness.root / "pods" / "other" / "containers" / "engine"
            await launcher.start(Start(gone, harness.log, ["/bin/sh", "-c", "echo begun"], {}, harness.root))

    asyncio.run(scenario())

    assert harness.log.read_text() == ""


def test_the_reaper_ends_all_containers_gently_and_then_not(harness):
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    )

    async def begin():
        async with Launcher() as launcher:
            await harness.python(launcher, stubborn, name="stubborn")
            await harness.start(
                launcher, "/bin/sh", "-c", "trap 'exit 7' TERM; echo ears; sleep 600 & wait", name="polite"
            )

    asyncio.run(begin())
    assert harness.said("deaf")
    assert harness.said("ears")
    count = reap(harness.root, 1)

    assert count == 2
    codes = {
        name: os.waitstatus_to_exitcode(harness.files(name).observe().wait_status)
        for name in ("polite", "stubborn")
    }
    assert codes == {"polite": 7, "stubborn": -signal.SIGKILL}
    assert reap(harness.root, 1) == 0


def test_reaping_where_no_node_ever_was_is_no_error(tmp_path):
    assert reap(tmp_path / "nowhere", 1) == 0


def test_a_container_that_nobody_asked_for_has_not_begun(harness):
    assert isinstance(harness.files().observe(), NotBegun)


@pytest.mark.parametrize(
    ("policy", "script", "message"),
    [
        pytest.param("File", "echo out; exit 1", "", id="the log is no message by default"),
        pytest.param(
            "FallbackToLogsOnError", "echo out; exit 1", "out\n", id="the log of an error, if asked for"
        ),
        pytest.param("FallbackToLogsOnError", "echo out", "", id="not of a success"),
    ],
)
def test_the_message_of_an_end(harness, policy, script, message):
    harness.log.write_text("an earlier pod of that name said this\n")

    async def scenario():
        async with Launcher() as launcher:
            files = await harness.start(launcher, "/bin/sh", "-c", script)
            container = {"terminationMessagePolicy": policy}
            return state_of(await ended(files), files, container, harness.log, 0)

    assert asyncio.run(scenario()).message == message


def test_a_long_message_keeps_its_last_4096_bytes(harness):
    async def scenario():
        async with Launcher() as launcher:
            files = await harness.start(launcher, "/bin/true")
            files.termination_log.write_text("x" * 5000 + "y" * 4096)
            return state_of(await ended(files), files, {}, harness.log, 0)

    assert asyncio.run(scenario()).message == "y" * 4096


def test_an_environment_that_no_process_can_have_is_reported(harness):
    async def scenario():
        async with Launcher() as launcher:
            files = harness.files()
            files.prepare()
            start = Start(files.directory, harness.log, ["/bin/true"], {"A": "one\0two"}, files.home)
            await launcher.start(start)
            return state_of(await ended(files), files, {}, harness.log, 0)

    state = asyncio.run(scenario())

    assert (state.exit_code, state.reason, state.message) == (128, "StartError", "embedded null byte")


def test_an_environment_keeps_its_bytes_whatever_they_are(harness):
    class Secrets:
        async def get(self, *_):
            return {"kind": "Secret", "data": {"A": base64.b64encode(b"\xff\xfe\n").decode()}}

    async def scenario():
        container = {"envFrom": [{"secretRef": {"name": "s"}}]}
        found = await environment.declared({}, container, Sources(Secrets(), "default"), {})
        async with Launcher() as launcher:
            files = harness.files()
            files.prepare()
            script = [sys.executable, "-c", "import os; os.write(1, os.environb[b'A'])"]
            await launcher.start(Start(files.directory, harness.log, script, found, files.home))
            await ended(files)

    asyncio.run(scenario())

    assert harness.log.read_bytes() == b"\xff\xfe\n"
