"""Feeds the view: lists page by page, then watches, for as long as the sidecar runs.

    list Trials ──> list TrialEngines ──> watch each from its list on ──(too old)──> list again

Trials are listed before TrialEngines: a TrialEngine that a latched Trial names was there before the latch, so
it can only be missing from the second list if it is gone. Whatever goes wrong is tried again; `silence` tells
/healthz for how long nothing was heard.
"""

import asyncio
import functools
import time
from collections.abc import Callable

from lcm_operator import logs
from lcm_operator.api.metadata import metadata_of
from lcm_operator.api.storage import Malformed
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import ApiError, Gone
from lcm_operator.kube.resources import TRIAL_ENGINES, TRIAL_REGISTRIES, TRIALS, Resource
from lcm_operator.rest.projections import Json
from lcm_operator.rest.view import View

_RETRY_SECONDS = 1.0
_WATCH_SECONDS = 280
log = logs.get(__name__)


class Watching:
    """The watches of one namespace."""

    def __init__(self, client: Client, view: View, namespace: str, registry: str) -> None:
        self._client = client
        self._view = view
        self._namespace = namespace
        self._registry = registry
        self._heard: dict[str, float] = {}
        self._unreadable: dict[str, str] = {}
        """Why objects can't be read, by UID: each is logged once."""
        self.filled = asyncio.Event()
        """Set once the view holds everything there was."""

    @property
    def silence(self) -> float:
        """For how many seconds the most silent watch has told nothing; the API server sends bookmarks."""
        return time.monotonic() - min(self._heard.values(), default=time.monotonic())

    async def run(self) -> None:
        """Keep the view what the API server has. Ends only when it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._objects(), name="trials and engines")
            tasks.create_task(self._watch_registry(), name="registry")

    async def _objects(self) -> None:
        view = self._view
        while True:
            try:
                trials = await self._list(TRIALS, view.put_trial, view.keep_trials)
                keep = functools.partial(view.keep_engines, latched=view.latched())
                engines = await self._list(TRIAL_ENGINES, view.put_engine, keep)
                self.filled.set()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._watch(TRIALS, trials, view.put_trial, view.drop_trial))
                    tasks.create_task(self._watch(TRIAL_ENGINES, engines, view.put_engine, view.drop_engine))
            except* Gone:
                log.info("watch expired; listing again")
            except* ApiError as errors:
                log.warning("list failed; retrying", error=errors.exceptions[0])
                await asyncio.sleep(_RETRY_SECONDS)

    async def _list(
        self, resource: Resource, put: Callable[[Json], None], keep: Callable[[list[str]], None]
    ) -> str:
        """Take in all objects and forget those that are not there; return the version to watch from."""
        uids: list[str] = []
        version = ""
        async for items, version in self._client.pages(resource, self._namespace):  # noqa: B007 - the last counts
            for raw in items:
                self._take(resource, put, raw)
                uids.append(raw["metadata"]["uid"])
        keep(uids)
        self._heard[resource.plural] = time.monotonic()
        return version

    async def _watch(
        self,
        resource: Resource,
        version: str,
        put: Callable[[Json], None],
        drop: Callable[[str, str], None],
    ) -> None:
        """Take in what happens after `version`. Raises Gone when it has become too old to go on from."""
        while True:
            try:
                async for kind, raw in self._client.watch(
                    resource, self._namespace, resource_version=version, timeout_seconds=_WATCH_SECONDS
                ):
                    self._heard[resource.plural] = time.monotonic()
                    version = raw["metadata"]["resourceVersion"]
                    if kind == "DELETED":
                        self._unreadable.pop(raw["metadata"]["uid"], None)
                        drop(raw["metadata"]["name"], raw["metadata"]["uid"])
                    elif kind != "BOOKMARK":
                        self._take(resource, put, raw)
            except Gone:
                raise
            except ApiError as error:
                log.warning("watch interrupted; reopening", kind=resource.kind, error=error)
                await asyncio.sleep(_RETRY_SECONDS)

    def _take(self, resource: Resource, put: Callable[[Json], None], raw: Json) -> None:
        """Take in one object; one that can't be read stays in the view as it was, and harms no other."""
        metadata = metadata_of(raw)
        try:
            put(raw)
        except Malformed as error:
            if self._unreadable.get(metadata.uid) != str(error):
                self._unreadable[metadata.uid] = str(error)
                log.warning("unreadable object", kind=resource.kind, name=metadata.name, error=error)
        else:
            self._unreadable.pop(metadata.uid, None)

    async def _watch_registry(self) -> None:
        """Follow the one TrialRegistry, for whether it imports by itself."""
        selector = f"metadata.name={self._registry}"
        while True:
            try:
                found, version = await self._client.list(
                    TRIAL_REGISTRIES, self._namespace, field_selector=selector
                )
                self._take_registry(found[0] if found else {})
                async for kind, raw in self._client.watch(
                    TRIAL_REGISTRIES,
                    self._namespace,
                    resource_version=version,
                    field_selector=selector,
                    timeout_seconds=_WATCH_SECONDS,
                ):
                    if kind != "BOOKMARK":
                        self._take_registry({} if kind == "DELETED" else raw)
            except ApiError as error:
                log.warning(
                    "watch interrupted; reopening", kind="TrialRegistry", name=self._registry, error=error
                )
                await asyncio.sleep(_RETRY_SECONDS)

    def _take_registry(self, raw: Json) -> None:
        spec = raw.get("spec")
        self._view.set_automatic(automatic=isinstance(spec, dict) and spec.get("import") == "All")
