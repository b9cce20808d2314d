"""Writes one pod's status: the newest one only, again and again until the API server has taken it.

The pod's lifetime reports and continues: an API server that is away must not hold up processes.
"""

import asyncio
from typing import Any

from devcluster.node.api import NodeApi, delays
from lcm_operator import logs
from lcm_operator.kube.errors import ApiError, ConflictError, NotFoundError

Json = dict[str, Any]
log = logs.get(__name__)


class Reporter:
    """The status of one pod on its way to the API server."""

    def __init__(self, api: NodeApi, pod: Json) -> None:
        self._api = api
        self._pod = pod
        self._wanted: Json | None = None
        self._reported = asyncio.Event()
        self._written = asyncio.Event()

    def report(self, status: Json) -> None:
        """Have this status written, instead of one that still waits."""
        self._wanted = status
        self._written.clear()
        self._reported.set()

    async def written(self) -> None:
        """Wait until the API server has the newest status, or the pod is gone."""
        await self._written.wait()

    async def run(self) -> None:
        """Write the reported status until cancelled."""
        while True:
            await self._reported.wait()
            self._reported.clear()
            for delay in delays():
                status = self._wanted
                if await self._tried(status):
                    break
                await asyncio.sleep(delay)
            if self._wanted is status:
                self._written.set()

    async def _tried(self, status: Json | None) -> bool:
        """Whether nothing is left to do about this status."""
        if status is None:
            return True
        name = self._pod["metadata"]["name"]
        try:
            await self._api.write_status(self._pod, status)
        except (NotFoundError, ConflictError):
            log.info("pod no longer exists; its status is not written", pod=name, phase=status["phase"])
        except ApiError as error:
            log.warning("pod status not written; retrying", pod=name, phase=status["phase"], error=error)
            return False
        return True
