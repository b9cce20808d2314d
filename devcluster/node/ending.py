"""Whether a pod has to end, and how: SIGTERM, its grace period, SIGKILL.

Made by the pod's lifetime, which passes on what the API server says about the pod. It must not decide what
the pod's outcome is.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from devcluster.node.files import ContainerFiles
from devcluster.node.supervisor import Supervisor

Json = dict[str, Any]
_DEFAULT_GRACE = 30


class Ending:
    """The end of one pod as it is wanted from outside."""

    def __init__(self, pod: Json) -> None:
        self._pod = pod
        self._gone = False
        self._changed = asyncio.Event()
        self.requested = asyncio.Event()
        self.removal = asyncio.Event()
        self._killing = False

    def update(self, pod: Json) -> None:
        """Take the pod's newest form; a deletion, or a shorter grace period, counts from now on."""
        self._pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self._tell()
            self.removal.set()

    def gone(self) -> None:
        """Take it that the object was removed by force: nothing of the pod may go on."""
        self._gone = True
        self._tell()
        self.removal.set()

    @property
    def is_gone(self) -> bool:
        """Whether there is no object to report to any more."""
        return self._gone

    @property
    def is_deletion(self) -> bool:
        """Whether somebody wants the object removed."""
        return self.removal.is_set()

    async def expected(self, deadline: float | None) -> bool:
        """Wait until the pod has to end; return whether its deadline passed first."""
        remaining = None if deadline is None else max(0.0, deadline - time.time())
        try:
            async with asyncio.timeout(remaining):
                await self.requested.wait()
        except TimeoutError:
            self._tell()
            return True
        return False

    async def carry_out(self, containers: Iterable[ContainerFiles]) -> None:
        """Terminate the containers; kill those that remain after the grace period, which may get shorter."""
        containers = list(containers)
        began = time.monotonic()
        for container in containers:
            self.apply(container)
        while (remaining := began + self._grace() - time.monotonic()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(remaining):
                    await self._changed.wait()
            except TimeoutError:
                break
        self._killing = True
        for container in containers:
            self.apply(container)

    def apply(self, container: ContainerFiles) -> None:
        """Send a container the signal of this step, also one that began after the others received it."""
        supervisor = Supervisor.of(container) if self.requested.is_set() else None
        if supervisor is None:
            return
        with supervisor:
            if self._killing:
                supervisor.kill()
            else:
                supervisor.terminate()

    def _tell(self) -> None:
        self.requested.set()
        self._changed.set()

    def _grace(self) -> float:
        if self._gone:
            return 0
        metadata, spec = self._pod["metadata"], self._pod["spec"]
        if "deletionTimestamp" in metadata:
            return float(metadata.get("deletionGracePeriodSeconds", 0))
        return float(spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE))
