"""The scheduler's part: binds unplaced pods to this node, the only one.

Run by `node`. It must not judge whether a pod can run: the node says that on the pod itself.
"""

import asyncio
from typing import Any

from devcluster.node.api import NodeApi, as_it_is, delays
from lcm_operator import logs
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import ApiError, ConflictError, NotFoundError
from lcm_operator.kube.follow import Changed, Deleted, ListWatch
from lcm_operator.kube.resources import PODS

Json = dict[str, Any]
_UNBOUND = "spec.nodeName=,spec.schedulerName=default-scheduler"
log = logs.get(__name__)


class Binder:
    """The pods that are being bound, by UID."""

    def __init__(self, client: Client, api: NodeApi) -> None:
        self._client = client
        self._api = api
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Bind pods until cancelled."""
        try:
            stream = ListWatch(self._client, PODS, read=as_it_is, field_selector=_UNBOUND)
            async for event in stream.events():
                match event:
                    case Changed():
                        self._bind(event.object)
                    case Deleted():
                        self._forget(event.head.uid)
        finally:
            for task in self._tasks.values():
                task.cancel()

    def _bind(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        held = pod["spec"].get("schedulingGates") or "deletionTimestamp" in pod["metadata"]
        if not held and uid not in self._tasks:
            self._tasks[uid] = asyncio.create_task(self._insist(pod))

    def _forget(self, uid: str) -> None:
        task = self._tasks.pop(uid, None)
        if task is not None:
            task.cancel()

    async def _insist(self, pod: Json) -> None:
        for delay in delays():
            try:
                await self._api.bind(pod)
            except (NotFoundError, ConflictError):
                return  # deleted, or bound meanwhile
            except ApiError as error:
                log.warning("pod not bound; retrying", pod=pod["metadata"]["name"], error=error)
                await asyncio.sleep(delay)
            else:
                return
