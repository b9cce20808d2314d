"""The activity `exec`: runs a program in the engine's container.

The program leads a process group of its own (in the engine's session); when it ends or is ended, what is left
of the group is killed: nothing that a restore could not bring back outlives the activity.

A program without a limit is ended when contact to the API server is lost for so long that the next attempt
may begin. One with a limit goes on: the next attempt waits for as long as that.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Self

from lcm_operator.api.plan import Exec
from lcm_operator.engine.activities.results import ActivityFailedError, Performed
from lcm_operator.engine.outcome import excerpt
from lcm_operator.engine.redactor import Redactor
from lcm_operator.plan.templates import Scope

_TAIL = 1024
_CHUNK = 64 * 1024
_LAST_CHUNKS = 16  # more than a pipe holds
_GRACE_SECONDS = 0.8


class ContactLostError(Exception):
    """The program was ended, because the engine could not renew its Lease for too long."""


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
        process = _start(program, {**environment, **extra}, stdout.write_end, stderr.write_end)
        ended = asyncio.ensure_future(asyncio.to_thread(process.wait))
        fence = asyncio.ensure_future(lost() if program.timeout_seconds is None else asyncio.Event().wait())
        try:
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait([ended, fence], timeout=program.timeout_seconds, return_when=first)
            if not ended.done() and fence.done():
                raise ContactLostError(f"{name}: ended, as the Lease could not be renewed")
            if not ended.done():
                raise ActivityFailedError(
                    f"{name}: expected its end within {program.timeout_seconds:g} s, it still ran"
                )
        finally:
            fence.cancel()
            await _end(process, ended)
        code = ended.result()
    if code != 0:
        came = f"exit code {code}" if code > 0 else f"signal {-code}"
        words = f": {stderr.tail}" if stderr.tail else ""
        raise ActivityFailedError(f"{name}: expected exit code 0, got {came}{words}", {"exitCode": code})
    return Performed(output={"exitCode": code})


def _start(
    program: Exec, environment: Mapping[str, str], stdout: int, stderr: int
) -> subprocess.Popen[bytes]:
    """Start the program: at once, so that no cancellation can come between its start and our knowing it."""
    try:
        return subprocess.Popen(
            program.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            process_group=0,
        )
    except (OSError, ValueError) as error:
        raise ActivityFailedError(f"{program.command[0]} can't be started: {error}") from error


class _Pipe:
    """A pipe for what the program writes: passed on to the pod's log, masked; its end is kept for a message.

    It may outlive the program in the hands of what that has started: nobody waits for its end.
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
        """Copy what can be read now, and return whether there was anything."""
        try:
            chunk = os.read(self._read_end, _CHUNK)
        except BlockingIOError:
            return False
        # A secret may be cut anywhere, so what may be the begin of one is held back: the last line, and of
        # an endless one as much as the longest secret.
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


async def _end(process: subprocess.Popen[bytes], ended: asyncio.Future[int]) -> None:
    """End what is left of the process group: SIGTERM, most of a second, SIGKILL."""
    if not ended.done():
        _signal(process, signal.SIGTERM)
        await asyncio.wait([ended], timeout=_GRACE_SECONDS)
    _signal(process, signal.SIGKILL)
    await ended


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
