"""What becomes of programs, and of what they start: programs of this machine."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.harness.waiting import until
from tests.unit.engine.performing import perform

from lcm_operator.engine.outcome import ActivityFailedError
from lcm_operator.plan.values import TemplateError


def program(*command, scope=None, **more):
    return asyncio.run(perform({"name": "run", "exec": {"command": list(command), **more}}, scope))


def test_a_program_that_ends_with_0_has_succeeded():
    assert program("true").output == {"exitCode": 0}


def test_a_program_gets_its_environment_arguments_and_input_rendered():
    done = program(
        "sh", "-c", 'cat; echo "$WHO $1"', "sh", "{{ trial.id }}-{{ 1 + 1 }}",
        env={"WHO": "{{ trial.id }}"}, stdin="{{ trial.id }} in, ", scope={"trial": {"id": "T"}},
        capture={"said": "{{ stdout.text }}"},
    )  # fmt: skip

    assert done.output["said"] == "T in, T T-2\n"


def test_name_of_a_program_is_not_rendered():
    with pytest.raises(ActivityFailedError, match=r"cannot start {{ trial.id }}"):
        program("{{ trial.id }}", scope={"trial": {"id": "true"}})


@pytest.mark.parametrize(
    ("printed", "source", "value"),
    [
        pytest.param("one\ntwo\n", "{{ stdout.text }}", "one\ntwo\n", id="the text"),
        pytest.param("one\ntwo\n\n", "{{ stdout.lastLine }}", "two", id="the last line"),
        pytest.param("", "{{ stdout.lastLine }}", "", id="no line"),
        pytest.param('{"ms": [1, 2.5]}', "{{ stdout.json.ms[1] }}", 2.5, id="JSON"),
        pytest.param("9" * 10 + "\nend", "{{ stdout.lastLine | length }}", 3, id="a line without an end"),
    ],
)
def test_captures_see_the_standard_output(printed, source, value):
    done = program("printf", "%s", printed, capture={"it": source})
    assert done.output == {"exitCode": 0, "it": value}


def test_output_that_is_not_as_captured_fails_with_its_end():
    with pytest.raises(ActivityFailedError, match="stdout as a whole is not JSON") as error:
        program("echo", "no", capture={"it": "{{ stdout.json.ms }}"})
    assert error.value.output == {"exitCode": 0, "stdout": "no\n"}


def test_more_than_a_mebibyte_of_output_is_captured_by_its_last_line_only():
    command = [sys.executable, "-c", "print('x' * 2**20); print('end')"]
    assert program(*command, capture={"it": "{{ stdout.lastLine }}"}).output["it"] == "end"
    with pytest.raises(ActivityFailedError, match="stdout is over 1048576 bytes"):
        program(*command, capture={"it": "{{ stdout.text }}"})


def test_end_of_the_output_is_kept_whether_a_program_succeeds_or_fails():
    script = "printf 'a%01100d' 7; echo b >&2; exit "
    done = program("sh", "-c", script + "0")
    with pytest.raises(ActivityFailedError) as error:
        program("sh", "-c", script + "1")

    kept = {"stdout": "0" * 1023 + "7", "stderr": "b\n"}
    assert done.notes == kept
    assert error.value.output == {"exitCode": 1, **kept}


def test_end_of_the_output_of_a_program_that_takes_too_long_is_kept():
    with pytest.raises(ActivityFailedError, match="expected to end within 1 s") as error:
        program("sh", "-c", "echo begun; sleep 60", timeoutSeconds=1)
    assert error.value.output == {"stdout": "begun\n"}


def test_secret_is_masked_in_what_is_kept_of_the_output():
    activity = {"name": "run", "exec": {"command": ["echo", "hush"], "capture": {"it": "{{ stdout.text }}"}}}
    done = asyncio.run(perform(activity, secrets=["hush"]))
    assert done.output == {"exitCode": 0, "it": "***\n"}
    assert done.notes == {"stdout": "***\n"}


def test_files_are_in_the_working_folder_and_path_of_the_program(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "go").write_text("#!/bin/sh\ncat note; ./go2; pwd; echo $LCM_FILES; ls -l go")
    files = [
        {"name": "go", "configMapKeyRef": {"name": "scripts", "key": "go"}},
        {"name": "go2", "content": "#!/bin/sh\necho {{ raw }}\n"},
        {"name": "note", "content": "noted\n"},
    ]
    activity = {
        "name": "run",
        "exec": {"command": ["go"], "files": files, "capture": {"it": "{{ stdout.text }}"}},
    }

    done = asyncio.run(perform(activity, files=tmp_path))

    note, inner, folder, again, mode = done.output["it"].splitlines()
    assert (note, inner) == ("noted", "{{ raw }}")
    assert folder == again
    assert mode.startswith("-r-xr-xr-x")
    assert not Path(folder).exists()


def test_file_that_its_volume_does_not_have_is_a_failure(tmp_path):
    files = [{"name": "go", "configMapKeyRef": {"name": "scripts", "key": "go"}}]
    with pytest.raises(ActivityFailedError, match=r"files: cannot provide go: .*scripts/go"):
        asyncio.run(perform({"name": "run", "exec": {"command": ["go"], "files": files}}, files=tmp_path))


def test_time_out_may_be_an_expression_within_bounds():
    with pytest.raises(ActivityFailedError, match=r"expected to end within 0.3 s"):
        program(
            "sleep", "60", timeoutSeconds="{{ parameters.s | number / 10 }}", scope={"parameters": {"s": "3"}}
        )
    with pytest.raises(TemplateError, match=r"exec.timeoutSeconds: expected a number above 0, .* got `-1`"):
        program("sleep", "60", timeoutSeconds="{{ 0 - 1 }}")


def test_program_with_another_exit_code_fails_with_the_end_of_its_stderr(capfd):
    with pytest.raises(ActivityFailedError) as error:
        program("sh", "-c", "echo one >&2; echo two >&2; exit 3")

    assert str(error.value) == "sh: expected exit code 0, got exit code 3: one two"
    assert error.value.output == {"exitCode": 3, "stderr": "one\ntwo\n"}
    assert capfd.readouterr().err == "one\ntwo\n"


def test_of_a_long_stderr_only_the_end_is_kept():
    with pytest.raises(ActivityFailedError) as error:
        program(sys.executable, "-c", "import sys; sys.stderr.write('x' * 10**6 + ' the end'); sys.exit(1)")

    assert str(error.value).endswith("xx the end")
    assert len(str(error.value)) < 1200


def test_last_output_of_a_program_is_in_the_message_even_if_read_late(mocker):
    async def scenario():
        mocker.patch.object(asyncio.get_running_loop(), "add_reader")
        await perform({"name": "run", "exec": {"command": ["sh", "-c", "echo last >&2; exit 1"]}})

    with pytest.raises(ActivityFailedError, match="exit code 1: last"):
        asyncio.run(scenario())


def test_end_of_a_program_is_noticed_however_many_others_run(tmp_path):
    """More programs than the event loop has threads, at most 32, run until the last has ended."""
    until_told = {"command": ["sh", "-c", f"until [ -e {tmp_path}/told ]; do sleep 0.1; done"]}

    async def scenario():
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(perform({"name": f"run-{number}", "exec": until_told}))
            await asyncio.sleep(0)
            assert (await perform({"name": "last", "exec": {"command": ["true"]}})).output == {"exitCode": 0}
            (tmp_path / "told").touch()

    asyncio.run(scenario())


def test_a_program_that_is_not_there_is_a_failure():
    with pytest.raises(ActivityFailedError, match="cannot start no-such-program"):
        program("no-such-program")


def test_a_program_that_was_killed_is_a_failure():
    with pytest.raises(ActivityFailedError, match="got signal 9"):
        program("sh", "-c", "kill -9 $$")


def alive(pid):
    """Whether a process still does anything; one that waits to be reaped by its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


STUBBORN = "trap '' TERM; (trap '' TERM; sleep 600) & echo $$ $! > pids; wait"


def pids(folder):
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def test_a_program_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path):
    with pytest.raises(ActivityFailedError, match=r"expected to end within 0.3 s"):
        program("sh", "-c", f"cd {tmp_path}; {STUBBORN}", timeoutSeconds=0.3)

    asyncio.run(until(lambda: not any(alive(pid) for pid in pids(tmp_path))))


def test_a_program_that_is_interrupted_is_ended_with_all_that_it_started(tmp_path):
    async def scenario():
        command = ["sh", "-c", f"cd {tmp_path}; {STUBBORN}"]
        running = asyncio.create_task(perform({"name": "run", "exec": {"command": command}}))
        await until(lambda: (tmp_path / "pids").exists() and len(pids(tmp_path)) == 2)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await until(lambda: not any(alive(pid) for pid in pids(tmp_path)))

    asyncio.run(scenario())


ENGINE = """
import asyncio, sys
from tests.unit.engine.performing import perform
asyncio.run(perform({"name": "run", "exec": {"command": sys.argv[1:]}}))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_a_program_dies_with_its_engine_and_all_that_it_started(tmp_path, number):
    command = ["sh", "-c", f"cd {tmp_path}; {STUBBORN}"]
    path = os.pathsep.join(sys.path)
    engine = subprocess.Popen([sys.executable, "-c", ENGINE, *command], env=os.environ | {"PYTHONPATH": path})
    asyncio.run(until(lambda: (tmp_path / "pids").exists() and len(pids(tmp_path)) == 2))
    engine.send_signal(number)
    engine.wait()
    asyncio.run(until(lambda: not any(alive(pid) for pid in pids(tmp_path))))


def test_no_guard_is_left_of_a_program_that_could_not_be_started():
    with pytest.raises(ActivityFailedError):
        program("no-such-program")
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline").read_text() for child in children]
    assert not [command for command in commands if "kill -s KILL 0" in command]


def test_what_a_program_leaves_behind_ends_with_it(tmp_path):
    program("sh", "-c", f"cd {tmp_path}; sleep 600 & echo $! > pids")

    asyncio.run(until(lambda: not any(alive(pid) for pid in pids(tmp_path))))


@pytest.fixture
def contact():
    """Contact that is lost once the program of the first try has begun, and may be back later."""

    class Contact:
        def __init__(self):
            self.back = asyncio.Event()
            self.back.set()
            self.losses = 0
            self.begun = lambda: True

        async def lost(self):
            self.losses += 1
            if self.losses > 1:
                await asyncio.Event().wait()
            await until(self.begun)
            self.back.clear()

        async def may_act(self):
            await self.back.wait()

    return Contact()


def outlasting(file):
    """Return a program that notes its start, then takes its time unless it was started before."""
    return ["sh", "-c", f"test -s {file} && exec echo again >> {file}; echo $$ > {file}; exec sleep 60"]


@pytest.mark.parametrize("limit", [{}, {"timeoutSeconds": "{{ 30 }}"}], ids=["none", "unknown to others"])
def test_program_without_a_fixed_limit_ends_when_contact_is_lost(tmp_path, contact, limit):
    file = tmp_path / "started"
    activity = {"name": "run", "exec": {"command": outlasting(file), **limit}}
    contact.begun = lambda: file.exists() and file.read_text().endswith("\n")

    async def scenario():
        running = asyncio.create_task(perform(activity, may_act=contact.may_act, lost=contact.lost))
        await until(lambda: not contact.back.is_set())
        pid = file.read_text().strip()
        await until(lambda: not Path(f"/proc/{pid}").exists())
        assert not running.done()
        contact.back.set()
        return await running

    assert asyncio.run(scenario()).output == {"exitCode": 0}
    assert file.read_text().endswith("again\n")


def test_a_program_with_a_limit_continues_when_contact_is_lost(contact):
    activity = {"name": "run", "exec": {"command": ["sleep", "0.5"], "timeoutSeconds": 30}}
    result = asyncio.run(perform(activity, may_act=contact.may_act, lost=contact.lost))
    assert result.output == {"exitCode": 0}
    assert contact.losses == 0


def test_folder_of_a_program_is_deleted_whatever_it_leaves_there(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files = [{"name": "go", "content": "#!/bin/sh\nmkdir -p a/b; echo > a/b/c; sleep $1"}]
    program("go", "0", files=files)
    with pytest.raises(ActivityFailedError, match=r"expected to end within 0.5 s"):
        program("go", "60", files=files, timeoutSeconds=0.5)
    assert list(tmp_path.iterdir()) == []
