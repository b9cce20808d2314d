"""All objects of a kind, now and as they change, however often the API server goes away.

Used by the node and its binder.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from devcluster.node.api import delays
from lcm_operator import logs
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import ApiError, Gone
from lcm_operator.kube.resources import Resource

Json = dict[str, Any]
_SHORT_SECONDS = 1.0
log = logs.get(__name__)


@dataclass(frozen=True)
class Listed:
    """Everything there is; what was seen before and is not in it is gone."""

    objects: list[Json]


@dataclass(frozen=True)
class Seen:
    """An object was added or changed."""

    object: Json


@dataclass(frozen=True)
class Removed:
    """An object is gone, or no longer among those asked for."""

    object: Json


Change = Listed | Seen | Removed


async def follow(client: Client, resource: Resource, field_selector: str) -> AsyncIterator[Change]:
    """Yield a list, then its changes; a list again whenever the thread was lost. Never ends."""
    waits = delays()
    while True:
        try:
            objects, version = await client.list(resource, field_selector=field_selector)
            waits = delays()
            yield Listed(objects)
            while True:
                began = time.monotonic()
                watch = client.watch(resource, resource_version=version, field_selector=field_selector)
                async for kind, changed in watch:
                    version = changed["metadata"]["resourceVersion"]
                    if kind == "DELETED":
                        yield Removed(changed)
                    elif kind != "BOOKMARK":
                        yield Seen(changed)
                if time.monotonic() - began < _SHORT_SECONDS:  # a server that is going down
                    await asyncio.sleep(next(waits))
        except Gone:
            log.info("watch expired; listing again", kind=resource.kind)
        except ApiError as error:
            log.warning("watch interrupted; reopening", kind=resource.kind, error=error)
            await asyncio.sleep(next(waits))
