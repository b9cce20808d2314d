"""The activity `exec`: runs a program in the engine's container.

The program runs in its own process group (in the engine's session). When it ends, the rest of the group is
killed: nothing that a restore could not repeat may outlive the activity. A guard leads the group and kills it
when the engine dies, even by SIGKILL. A process that leaves the group (setsid) ends with the container.

A program without a time-out is ended when the API server was out of reach for so long that the next attempt
may begin. One with a time-out continues: the next attempt waits that long.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, BinaryIO, Self

from lcm_operator.api.plan import Exec
from lcm_operator.engine.outcome import ActivityFailedError, Performed, excerpt
from lcm_operator.engine.redactor import Redactor
from lcm_operator.kube.clock import pause
from lcm_operator.plan.templates import Scope

_TAIL = 1024
_CHUNK = 64 * 1024
_LAST_CHUNKS = 16  # more than a pipe holds
_GRACE_SECONDS = 0.8
_MOST_PROGRAMS = 128
# Not the pool of the event loop, which is small: it looks up host names, also while many programs run.
_WAITERS = ThreadPoolExecutor(_MOST_PROGRAMS)
_GUARD = "trap '' TERM INT HUP; read _; kill -s KILL 0"


class ContactLostError(Exception):
    """The program was ended because the engine could not renew its Lease for too long."""


async def perform(
    program: Exec,
    scope: Scope,
    environment: Mapping[str, str],
    redactor: Redactor,
    lost: Callable[[], Awaitable[None]],
) -> Performed:
    """Run `program.command` with `environment` and the rendered `program.env`; exit code 0 is success.

    `lost` returns once another attempt may begin. Raises ContactLostError, ActivityFailedError.
    """
    extra = {name: scope.text(source) for name, source in program.env.items()}
    name = program.command[0]
    with _Pipe(sys.stdout.buffer, redactor) as stdout, _Pipe(sys.stderr.buffer, redactor) as stderr:
        group = _Group()
        process = _start(program, {**environment, **extra}, group, stdout.write_end, stderr.write_end)
        ended = asyncio.get_running_loop().run_in_executor(_WAITERS, process.wait)
        limit = program.timeout_seconds
        fence = asyncio.ensure_future(lost() if limit is None else pause(limit))
        either: set[asyncio.Future[Any]] = {ended, fence}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done() and limit is None:
                raise ContactLostError(f"{name}: ended because the Lease could not be renewed")
            if not ended.done():
                raise ActivityFailedError(
                    f"{name}: expected to end within {limit:g} s, still running; ended it"
                )
        finally:
            fence.cancel()
            await _end(group, ended)
        code = ended.result()
    if code != 0:
        came = f"exit code {code}" if code > 0 else f"signal {-code}"
        words = f": {stderr.tail}" if stderr.tail else ""
        raise ActivityFailedError(f"{name}: expected exit code 0, got {came}{words}", {"exitCode": code})
    return Performed(output={"exitCode": code})


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


def _start(
    program: Exec, environment: Mapping[str, str], group: _Group, stdout: int, stderr: int
) -> subprocess.Popen[bytes]:
    """Start the program, without an await: no cancellation may lose a process that was started."""
    try:
        return subprocess.Popen(
            program.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            process_group=group.number,
        )
    except (OSError, ValueError) as error:
        group.close()
        raise ActivityFailedError(f"cannot start {program.command[0]}: {error}") from error


class _Pipe:
    """A pipe for the program's output, which is masked and copied to the pod's log; its tail is kept.

    Processes that the program has started may hold it open: nobody waits for its end.
    """

    def __init__(self, sink: BinaryIO, redactor: Redactor) -> None:
        self._read_end, self.write_end = os.pipe()
        self._sink = sink
        self._redactor = redactor
        self._held = b""
        self._kept = bytearray()

    def __enter__(self) -> Self:
        os.set_blocking(self._read_end, False)
        asyncio.get_running_loop().add_reader(self._read_end, self._copy)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self.write_end)
        for _ in range(_LAST_CHUNKS):
            if not self._copy():
                break
        self._pass_on(self._masked(self._held))
        asyncio.get_running_loop().remove_reader(self._read_end)
        os.close(self._read_end)

    @property
    def tail(self) -> str:
        """Its last 1024 bytes, as one line."""
        return excerpt(self._kept.decode(errors="replace"), _TAIL)

    def _copy(self) -> bool:
        """Copy what can be read now; return whether there was anything."""
        try:
            chunk = os.read(self._read_end, _CHUNK)
        except BlockingIOError:
            return False
        # A chunk may end within a secret, so the last line is held back, or of an endless line as much as
        # the longest secret.
        self._held += chunk
        longest = 4 * self._redactor.longest
        if not longest:
            ready, self._held = self._held, b""
        elif len(self._held) > _CHUNK + longest:
            masked = self._masked(self._held)
            ready, self._held = masked[:-longest], masked[-longest:]
        else:
            end = self._held.rfind(b"\n") + 1
            ready, self._held = self._masked(self._held[:end]), self._held[end:]
        self._pass_on(ready)
        return bool(chunk)

    def _masked(self, content: bytes) -> bytes:
        text = content.decode(errors="surrogateescape")
        return self._redactor.text(text).encode(errors="surrogateescape")

    def _pass_on(self, content: bytes) -> None:
        self._sink.write(content)
        self._sink.flush()
        self._kept += content
        del self._kept[:-_TAIL]


async def _end(group: _Group, ended: asyncio.Future[int]) -> None:
    """End the rest of the process group: SIGTERM, a short grace, SIGKILL."""
    if not ended.done():
        group.signal(signal.SIGTERM)
        await asyncio.wait([ended], timeout=_GRACE_SECONDS)
    group.close()
    await ended
