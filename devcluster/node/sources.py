"""ConfigMaps and Secrets as a pod refers to them: their bytes by key, or why it has to wait.

Called by `environment` and `volumes`. It only reads.
"""

import base64
from collections.abc import Mapping
from typing import Any, Protocol

from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.resources import CONFIG_MAPS, SECRETS, Resource

Json = dict[str, Any]


class NotReadyError(Exception):
    """The pod refers to something that isn't there (yet); it waits, as it would in a cluster."""


class Reader(Protocol):
    """Reads one object."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Json:
        """Return it, or raise NotFoundError."""
        ...


class Sources:
    """The ConfigMaps and Secrets of one namespace, each read once while a pod is prepared."""

    def __init__(self, api: Reader, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._read: dict[tuple[str, str], Mapping[str, bytes] | None] = {}

    async def config_map(self, name: str, *, optional: bool) -> Mapping[str, bytes] | None:
        """Return its data; None if it is missing and optional. Raises NotReadyError."""
        return await self._data(CONFIG_MAPS, name, optional=optional)

    async def secret(self, name: str, *, optional: bool) -> Mapping[str, bytes] | None:
        """Return its data; None if it is missing and optional. Raises NotReadyError."""
        return await self._data(SECRETS, name, optional=optional)

    async def _data(self, resource: Resource, name: str, *, optional: bool) -> Mapping[str, bytes] | None:
        known = (resource.kind, name)
        if known not in self._read:
            try:
                self._read[known] = _decoded(await self._api.get(resource, self._namespace, name))
            except NotFoundError:
                self._read[known] = None
        data = self._read[known]
        if data is None and not optional:
            raise NotReadyError(f'{resource.kind} "{name}" not found')
        return data


def _decoded(source: Json) -> dict[str, bytes]:
    if source.get("kind") == "Secret":
        return {key: base64.b64decode(value) for key, value in source.get("data", {}).items()}
    texts = {key: value.encode() for key, value in source.get("data", {}).items()}
    return texts | {key: base64.b64decode(value) for key, value in source.get("binaryData", {}).items()}
