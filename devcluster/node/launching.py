"""The node's end of the launcher: asks for a container's process and waits until it was begun.

Called by a pod's lifetime. A launcher that died is replaced; a request that was under way is repeated, which
is safe because a container's claim is made once.
"""

import asyncio
import itertools
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lcm_operator import logs

_LAUNCHER = Path(__file__).with_name("launcher.py")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
log = logs.get(__name__)


@dataclass(frozen=True)
class Start:
    """What to run for a container, and where its records go."""

    directory: Path
    log: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    working_directory: Path


class Launcher:
    """The launcher of this node. Use as `async with`."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._replies: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[bool]] = {}
        self._numbers = itertools.count()
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._running()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is None or self._process.stdin is None or self._replies is None:
            return
        self._process.stdin.close()
        await self._process.wait()
        await self._replies

    async def start(self, start: Start) -> None:
        """Start the process; afterwards the container's files show its state."""
        while not await self._ask(start):
            log.warning("launcher died; starting a new one", directory=start.directory)

    async def _ask(self, start: Start) -> bool:
        process = await self._running()
        if process.stdin is None:
            raise RuntimeError("the launcher has no pipe on standard input or output")
        number = next(self._numbers)
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        request = {
            "id": number,
            "directory": str(start.directory),
            "log": str(start.log),
            "command": list(start.command),
            "environment": dict(start.environment),
            "workingDirectory": str(start.working_directory),
        }
        process.stdin.write(json.dumps(request).encode() + b"\n")
        return await answered

    async def _running(self) -> Process:
        async with self._starting:
            if self._process is None or self._replies is None or self._replies.done():
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-I", "-S", str(_LAUNCHER)),
                    stdin=PIPE,
                    stdout=PIPE,
                    env=_ENVIRONMENT,
                    cwd="/",
                    start_new_session=True,
                )
                self._replies = asyncio.create_task(self._read_replies(self._process))
            return self._process

    async def _read_replies(self, process: Process) -> None:
        if process.stdout is None:
            raise RuntimeError("the launcher has no pipe on standard input or output")
        while line := await process.stdout.readline():
            reply = json.loads(line)
            answered = self._waiting.pop(reply["id"], None)
            if answered is not None and not answered.done():
                answered.set_result(True)
        for unanswered in self._waiting.values():
            if not unanswered.done():
                unanswered.set_result(False)
        self._waiting.clear()
