"""A living supervisor (launcher.py) as the node and the reaper see it: send it a signal, wait for its end.

Works for supervisors of an earlier node too. It must not read what the end was: that is on file.
"""

import asyncio
import os
import select
import signal
from dataclasses import dataclass
from typing import Self

from devcluster.node.files import ContainerFiles, Running


@dataclass(frozen=True)
class Supervisor:
    """One process, held by a pidfd: the number can't come to mean another one. Use as `with`, or close."""

    pidfd: int

    @classmethod
    def of(cls, container: ContainerFiles) -> Self | None:
        """Return the supervisor of the container if it lives."""
        seen = container.observe()
        if not isinstance(seen, Running):
            return None
        try:
            found = cls(os.pidfd_open(seen.supervisor))
        except ProcessLookupError:
            return None
        if isinstance(container.observe(), Running):  # so it lived when the pidfd was opened
            return found
        found.close()
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        os.close(self.pidfd)

    def terminate(self) -> None:
        """Have the container's process group terminated by SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Have the container's process group killed."""
        self._send(signal.SIGUSR1)

    def kill_itself(self) -> None:
        """Kill the supervisor, and by that the container, without any record."""
        self._send(signal.SIGKILL)

    async def ended(self) -> None:
        """Wait until it has ended, and with it all that the container left behind."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_reader(self.pidfd, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(self.pidfd)

    def wait(self, seconds: float) -> bool:
        """Wait for its end for so long; whether it has ended."""
        ready, _, _ = select.select([self.pidfd], [], [], max(0.0, seconds))
        return bool(ready)

    def _send(self, number: signal.Signals) -> None:
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return  # it has ended meanwhile, which is what the signal was for
