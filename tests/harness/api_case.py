"""What a case about an API server is given, real or in memory: see `api_server_cases`."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from msgspec import Struct

from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import (
    ApiError,
    NotFoundError,
)

Json = dict[str, Any]
CASES: list[Any] = []


class Subject(Struct, frozen=True):
    """An API server: a client, a namespace of the case's own, and a way to wait for the garbage collector.

    `settle` waits until a condition holds; the one in memory collects its garbage meanwhile.
    """

    client: Client
    namespace: str
    settle: Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]

    async def get(self, resource, name="example"):
        return await self.client.get(resource, self.namespace, name)

    async def create(self, resource, name="example", **parts):
        metadata = {"name": name} | parts.pop("metadata", {})
        body = {"apiVersion": resource.api, "kind": resource.kind, "metadata": metadata} | parts
        return await self.client.create(resource, self.namespace, body)

    async def merge(self, resource, patch, name="example", *, subresource=""):
        return await self.client.merge_patch(resource, self.namespace, name, patch, subresource=subresource)

    async def json(self, resource, *operations, name="example", subresource=""):
        return await self.client.json_patch(
            resource, self.namespace, name, operations, subresource=subresource
        )

    async def delete(self, resource, name="example", **options):
        return await self.client.delete(resource, self.namespace, name, **options)

    async def exists(self, resource, name="example"):
        try:
            await self.get(resource, name)
        except NotFoundError:
            return False
        return True

    async def names(self, resource, **selectors):
        items, _ = await self.client.list(resource, self.namespace, **selectors)
        return sorted(item["metadata"]["name"] for item in items)

    async def watched(self, resource, version, *, seconds=2, **selectors):
        """Return the types and names, versions and parts of what a watch shows until it ends."""
        watch = self.client.watch(
            resource, self.namespace, resource_version=version, timeout_seconds=seconds, **selectors
        )
        async with aclosing(watch) as events:
            return [event async for event in events]


def case(function):
    CASES.append(pytest.param(function, id=function.__name__.replace("_", " ")))
    return function


SPEC = {"startTime": "2031-07-01T08:00:00Z", "activities": [{"name": "one", "sleep": {"seconds": 1}}]}
POD = {"containers": [{"name": "main", "image": "example"}], "nodeName": "nowhere"}


def version_of(raw):
    return raw["metadata"]["resourceVersion"]


def guard(version):
    return {"op": "replace", "path": "/metadata/resourceVersion", "value": version}


def shown(events):
    return [(kind, raw["metadata"]["name"]) for kind, raw in events if kind != "BOOKMARK"]


async def raises(error, awaitable, *texts):
    with pytest.raises(ApiError) as caught:
        await awaitable
    assert type(caught.value) is error, caught.value
    assert all(text in str(caught.value) for text in texts), caught.value
    return caught.value
