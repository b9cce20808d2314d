"""The activity `exec`: runs a program in the engine's container.

The program runs in its own process group (in the engine's session). When it ends, the rest of the group is
killed: nothing that a restore could not repeat may outlive the activity. A guard leads the group and kills it
when the engine dies, even by SIGKILL. A process that leaves the group (setsid) ends with the container.

A program is ended when the API server was out of reach for so long that the next attempt may begin, unless
its time-out is a number: then the next attempt waits that long.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from lcm_operator.api.plan import Exec
from lcm_operator.engine.activities.files import standard_input, working_folder
from lcm_operator.engine.activities.output import OutputPipe
from lcm_operator.engine.outcome import ActivityFailedError, ContactLostError, Performed
from lcm_operator.engine.redactor import Redactor
from lcm_operator.kube.clock import within
from lcm_operator.plan.numbers import number
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError

_GRACE_SECONDS = 0.8
_MOST_PROGRAMS = 128
# Not the pool of the event loop, which is small: it looks up host names, also while many programs run.
_WAITERS = ThreadPoolExecutor(_MOST_PROGRAMS)
_GUARD = "trap '' TERM INT HUP; read _; kill -s KILL 0"


async def perform(
    program: Exec,
    scope: Scope,
    environment: Mapping[str, str],
    redactor: Redactor,
    lost: Callable[[], Awaitable[None]],
    mounted: Path | None = None,
) -> Performed:
    """Run the program with `environment` and the rendered `program.env`; exit code 0 is success.

    `lost` returns once another attempt may begin; `mounted` is the folder with keys of ConfigMaps. Raises
    ContactLostError, ActivityFailedError, TemplateError.
    """
    limit = program.timeout_seconds
    seconds = None if limit is None else number(limit, "exec.timeoutSeconds", scope)
    name, *arguments = program.command
    command = [name, *map(scope.text, arguments)]
    variables = {**environment, **{key: scope.text(source) for key, source in program.env.items()}}
    stdin = None if program.stdin is None else scope.text(program.stdin)
    fence = _forever if isinstance(limit, int | float) else lost
    async with working_folder(program.files, mounted) as folder:
        if folder is not None:
            variables["LCM_FILES"] = str(folder)
            variables["PATH"] = f"{folder}:{variables.get('PATH', os.defpath)}"
        with (
            OutputPipe(sys.stdout.buffer, redactor) as stdout,
            OutputPipe(sys.stderr.buffer, redactor) as stderr,
        ):
            with standard_input(stdin) as source:
                streams = (source, stdout.write_end, stderr.write_end)
                running = _Program(command, folder, variables, streams)
            code = await running.exit_code(seconds, fence)
    notes = {key: pipe.tail for key, pipe in (("stdout", stdout), ("stderr", stderr)) if pipe.tail}
    if code is None:
        raise ActivityFailedError(
            f"{name}: expected to end within {seconds:g} s, still running; ended it", notes
        )
    output = {"exitCode": code, **notes}
    if code != 0:
        came = f"exit code {code}" if code > 0 else f"signal {-code}"
        words = f": {stderr.line}" if stderr.line else ""
        raise ActivityFailedError(f"{name}: expected exit code 0, got {came}{words}", output)
    seen = {"stdout": stdout.variables("stdout")}
    try:
        captured = {key: scope.with_(**seen).value(source) for key, source in program.capture.items()}
    except TemplateError as error:
        raise ActivityFailedError(f"capture: {error}", output) from error
    return Performed({"exitCode": code, **captured}, seen, notes=notes)


class _Group:
    """A process group with a guard: a shell that waits for the end of a pipe which only the engine holds."""

    def __init__(self) -> None:
        """Start the guard. Raises ActivityFailedError."""
        read_end, self._held = os.pipe()
        try:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD],
                env={},
                stdin=read_end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        except OSError as error:
            os.close(self._held)
            raise ActivityFailedError(f"cannot start /bin/sh, which guards programs: {error}") from error
        finally:
            os.close(read_end)

    @property
    def number(self) -> int:
        """The number of the group, which stays reserved until `close`."""
        return self._guard.pid

    def signal(self, number: signal.Signals) -> None:
        """Signal all processes of the group; the guard ignores all but SIGKILL."""
        with suppress(ProcessLookupError):
            os.killpg(self.number, number)

    def close(self) -> None:
        """Kill the rest of the group."""
        self.signal(signal.SIGKILL)
        os.close(self._held)
        self._guard.wait()


class _Program:
    """A program that runs, in a group of its own."""

    def __init__(
        self,
        command: list[str],
        folder: Path | None,
        environment: Mapping[str, str],
        streams: tuple[int, int, int],
    ) -> None:
        """Start it, without an await: a cancellation must not lose a process. Raises ActivityFailedError."""
        stdin, stdout, stderr = streams
        self._name = command[0]
        self._group = _Group()
        try:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                process_group=self._group.number,
            )
        except (OSError, ValueError) as error:
            self._group.close()
            raise ActivityFailedError(f"cannot start {self._name}: {error}") from error

    async def exit_code(self, seconds: float | None, fence: Callable[[], Awaitable[None]]) -> int | None:
        """Return the exit code, or None if the program had to be ended after `seconds`.

        Raises ContactLostError if `fence` returns first. Nothing of the group is left then.
        """
        ended = asyncio.get_running_loop().run_in_executor(_WAITERS, self._process.wait)
        cut = asyncio.ensure_future(fence())
        either: set[asyncio.Future[Any]] = {ended, cut}
        try:
            with suppress(TimeoutError):
                async with within(seconds):
                    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if cut.done() and not ended.done():
                raise ContactLostError(f"{self._name}: ended because the Lease could not be renewed")
            return ended.result() if ended.done() else None
        finally:
            cut.cancel()
            await self._end(ended)

    async def _end(self, ended: asyncio.Future[int]) -> None:
        """End the rest of the process group: SIGTERM, a short grace, SIGKILL."""
        if not ended.done():
            self._group.signal(signal.SIGTERM)
            await asyncio.wait([ended], timeout=_GRACE_SECONDS)
        self._group.close()
        await ended


async def _forever() -> None:
    await asyncio.Event().wait()
