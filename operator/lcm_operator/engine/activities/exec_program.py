"""The activity `exec`: runs a program in the engine's container.

The program leads a process group of its own (in the engine's session); when it ends or is ended, what is left
of the group is killed: nothing that a restore could not bring back outlives the activity.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress

from lcm_operator.api.plan import Exec
from lcm_operator.engine.activities.results import ActivityFailedError, Performed
from lcm_operator.engine.outcome import excerpt
from lcm_operator.engine.templates import Scope

_TAIL = 1024
_GRACE_SECONDS = 1.0
_LAST_WORDS_SECONDS = 0.5


async def perform(program: Exec, scope: Scope, environment: Mapping[str, str]) -> Performed:
    """Run `program.command` with `environment` and the rendered `program.env`; exit code 0 is success."""
    extra = {name: scope.text(source) for name, source in program.env.items()}
    try:
        process = await asyncio.create_subprocess_exec(
            *program.command, env={**environment, **extra}, stdin=DEVNULL, stderr=PIPE, process_group=0
        )
    except (OSError, ValueError) as error:
        raise ActivityFailedError(f"{program.command[0]} can't be started: {error}") from error
    tail = bytearray()
    copying = asyncio.create_task(_copy(process, tail))
    try:
        async with asyncio.timeout(program.timeout_seconds):
            code = await process.wait()
    except TimeoutError as error:
        raise ActivityFailedError(
            f"{program.command[0]}: expected its end within {program.timeout_seconds:g} s, it still ran"
        ) from error
    finally:
        await _end(process)
        await asyncio.wait([copying], timeout=_LAST_WORDS_SECONDS)
        copying.cancel()
    if code != 0:
        came = f"exit code {code}" if code > 0 else f"signal {-code}"
        words = excerpt(tail.decode(errors="replace"), _TAIL)
        raise ActivityFailedError(
            f"{program.command[0]}: expected exit code 0, got {came}" + (f": {words}" if words else ""),
            output={"exitCode": code},
        )
    return Performed(output={"exitCode": code})


async def _copy(process: Process, tail: bytearray) -> None:
    """Pass the program's stderr on to ours, and keep its end for the message of a failure."""
    if process.stderr is None:
        return
    while chunk := await process.stderr.read(64 * 1024):
        sys.stderr.buffer.write(chunk)
        sys.stderr.buffer.flush()
        tail += chunk
        del tail[:-_TAIL]


async def _end(process: Process) -> None:
    """End what is left of the process group: SIGTERM, a second, SIGKILL."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                await process.wait()
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
