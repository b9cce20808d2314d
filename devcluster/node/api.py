"""What the node asks of the API server for its pods, never more than some requests at a time.

Used by a pod's lifetime, the binder and the registration. It retries nothing: `delays` is for who does.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from lcm_operator.kube.client import Client
from lcm_operator.kube.resources import NODES, PODS, SERVICE_ACCOUNTS, Resource

Json = dict[str, Any]
_AT_A_TIME = 16
_FIRST_DELAY, _LONGEST_DELAY = 0.2, 5.0


def delays() -> Iterator[float]:
    """Return how long to wait before each further try."""
    delay = _FIRST_DELAY
    while True:
        yield delay
        delay = min(2 * delay, _LONGEST_DELAY)


def as_it_is(pod: Json) -> Json:
    """Read nothing of a pod."""
    return pod


class NodeApi:
    """The requests of one node; they raise what `kube.client` raises."""

    def __init__(self, client: Client, node: str) -> None:
        self.node = node
        self.server = client.access.server
        self._client = client
        self._turns = asyncio.Semaphore(_AT_A_TIME)

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json:
        """Return one object."""
        async with self._turns:
            return await self._client.get(resource, namespace, name)

    async def bind(self, pod: Json) -> None:
        """Bind the pod to this node."""
        metadata = pod["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"], "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self.node},
        }
        async with self._turns:
            await self._client.create_under(PODS, metadata["namespace"], metadata["name"], "binding", body)

    async def write_status(self, pod: Json, status: Json) -> Json:
        """Merge this into the pod's status and return the pod; conditions of others stay."""
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
        async with self._turns:
            return await self._client.strategic_merge_patch(
                PODS, metadata["namespace"], metadata["name"], patch, subresource="status"
            )

    async def force_delete(self, pod: Json) -> None:
        """Remove the pod, now that nothing of it is left here."""
        metadata = pod["metadata"]
        async with self._turns:
            await self._client.delete(
                PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"], grace_period_seconds=0
            )

    async def token(self, pod: Json, projection: Json) -> Json:
        """Return a new token (TokenRequest.status) that dies with the pod."""
        metadata = pod["metadata"]
        spec = {
            "audiences": [projection["audience"]] if projection.get("audience") else [],
            "expirationSeconds": projection.get("expirationSeconds", 3600),
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        }
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        account = pod["spec"]["serviceAccountName"]
        async with self._turns:
            answer = await self._client.create_under(
                SERVICE_ACCOUNTS, metadata["namespace"], account, "token", body
            )
        status: Json = answer["status"]
        return status

    async def register(self, node: Json) -> None:
        """Create the Node."""
        async with self._turns:
            await self._client.create(NODES, None, node)

    async def patch_node(self, patch: Json, *, subresource: str = "") -> None:
        """Merge this into the Node."""
        async with self._turns:
            await self._client.strategic_merge_patch(NODES, None, self.node, patch, subresource=subresource)
