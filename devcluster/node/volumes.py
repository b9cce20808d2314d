"""A pod's volumes as plain directories: written before its first start, tokens renewed as long as it runs.

Called by a pod's lifetime. ConfigMaps and Secrets are written once: a later change of them is not followed.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from devcluster.node import downward
from devcluster.node.api import NodeApi, delays
from devcluster.node.sources import NotReadyError, Sources
from lcm_operator import logs
from lcm_operator.kube.errors import ApiError, NotFoundError

Json = dict[str, Any]

RENEW_AFTER = 0.8  # of a token's life, as kubelet does
_DEFAULT_MODE = 0o644
log = logs.get(__name__)


@dataclass(frozen=True)
class _Entry:
    """One file of a volume."""

    path: str
    content: bytes
    mode: int


class Volumes:
    """The volumes of one pod below one directory."""

    def __init__(self, api: NodeApi, pod: Json, directory: Path, *, renew_after: float = RENEW_AFTER) -> None:
        self._api = api
        self._pod = pod
        self._directory = directory
        self._renew_after = renew_after

    async def write(self, sources: Sources) -> None:
        """Write all of them. Raises NotReadyError, and what the API raises."""
        for volume in self._volumes():
            folder = self._directory / volume["name"]
            folder.mkdir(parents=True, exist_ok=True)
            if "emptyDir" in volume:
                folder.chmod(0o777)
            for entry in await self._entries(volume, sources):
                _place(folder, entry)
        for token in self._tokens():
            await token.renew()

    async def keep_tokens_fresh(self) -> None:
        """Renew each token before it ends, until cancelled; the first time as soon as this is called late."""
        async with asyncio.TaskGroup() as tasks:
            for token in self._tokens():
                tasks.create_task(token.keep_fresh(self._renew_after))

    def folders(self, container: Json) -> dict[str, Path]:
        """Return where the container's mount paths really lie."""
        found: dict[str, Path] = {}
        for mount in container.get("volumeMounts", []):
            folder = self._directory / mount["name"] / mount.get("subPath", "")
            if not folder.exists():
                folder.mkdir(parents=True)
            found[mount["mountPath"]] = folder
        return found

    def _volumes(self) -> list[Json]:
        volumes: list[Json] = self._pod["spec"].get("volumes", [])
        return volumes

    def _tokens(self) -> "Iterator[_Token]":
        for volume in self._volumes():
            mode = volume.get("projected", {}).get("defaultMode", _DEFAULT_MODE)
            for source in volume.get("projected", {}).get("sources", []):
                if "serviceAccountToken" in source:
                    projection = source["serviceAccountToken"]
                    yield _Token(self._api, self._pod, projection, self._directory / volume["name"], mode)

    async def _entries(self, volume: Json, sources: Sources) -> list[_Entry]:
        if "projected" in volume:
            projected = volume["projected"]
            mode = projected.get("defaultMode", _DEFAULT_MODE)
            return [
                entry
                for source in projected.get("sources", [])
                for entry in await self._of_source(source, mode, sources)
            ]
        mode = next(
            (source.get("defaultMode") for source in volume.values() if isinstance(source, dict)), None
        )
        return await self._of_source(volume, mode or _DEFAULT_MODE, sources)

    async def _of_source(self, source: Json, mode: int, sources: Sources) -> list[_Entry]:
        """Return the files of a configMap, secret or downwardAPI, as a volume or as a part of one."""
        if "configMap" in source:
            reference = source["configMap"]
            optional = reference.get("optional", False)
            return _chosen(await sources.config_map(reference["name"], optional=optional), reference, mode)
        if "secret" in source:
            reference = source["secret"]
            name = reference.get("secretName") or reference["name"]
            optional = reference.get("optional", False)
            return _chosen(await sources.secret(name, optional=optional), reference, mode)
        return [
            _Entry(
                item["path"],
                downward.field(self._pod, item["fieldRef"]["fieldPath"]).encode(),
                item.get("mode", mode),
            )
            for item in source.get("downwardAPI", {}).get("items", [])
        ]


class _Token:
    """A projected ServiceAccount token: its file, and when it has to be renewed."""

    def __init__(self, api: NodeApi, pod: Json, projection: Json, folder: Path, mode: int) -> None:
        self._api = api
        self._pod = pod
        self._projection = projection
        self._folder = folder
        self._mode = mode

    async def renew(self) -> float:
        """Put a new token into the place of the old one; return how many seconds it lives."""
        try:
            status = await self._api.token(self._pod, self._projection)
        except NotFoundError as error:
            raise NotReadyError(error.message) from error
        _place(self._folder, _Entry(self._projection["path"], status["token"].encode(), self._mode))
        return datetime.fromisoformat(status["expirationTimestamp"]).timestamp() - time.time()

    async def keep_fresh(self, renew_after: float) -> None:
        """Renew at once (an earlier node may have left it about to end), then whenever it is due."""
        waits = delays()
        while True:
            try:
                life = await self.renew()
            except (ApiError, NotReadyError) as error:
                name = self._pod["metadata"]["name"]
                log.warning("token not renewed; retrying", pod=name, error=error)
                await asyncio.sleep(next(waits))
            else:
                waits = delays()
                await asyncio.sleep(life * renew_after)


def _chosen(data: Mapping[str, bytes] | None, reference: Json, mode: int) -> list[_Entry]:
    """Return the items that the reference names, all if it names none."""
    if data is None:
        return []
    if "items" not in reference:
        return [_Entry(key, content, mode) for key, content in data.items()]
    found: list[_Entry] = []
    for item in reference["items"]:
        if item["key"] in data:
            found.append(_Entry(item["path"], data[item["key"]], item.get("mode", mode)))
        elif not reference.get("optional", False):
            name = reference.get("name") or reference.get("secretName")
            raise NotReadyError(f'"{name}" has no key "{item["key"]}"')
    return found


def _place(folder: Path, entry: _Entry) -> None:
    """Write a file so that a reader finds the old content or the new, never a part."""
    file = folder / entry.path
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"..{file.name}")
    draft.write_bytes(entry.content)
    draft.chmod(entry.mode)
    draft.replace(file)
