"""The node as a whole: one lifetime for each pod bound to it, the binder, the registration.

Called by `__main__` (and by tests that want it in their own process). Cancelled, it leaves the pods running.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.node.api import NodeApi, as_it_is
from devcluster.node.binding import Binder
from devcluster.node.files import PodFiles, all_pods
from devcluster.node.launching import Launcher
from devcluster.node.lifetime import Lifetime, Place
from devcluster.node.registration import labels, stay_registered
from devcluster.node.serving import Endpoint, serve
from devcluster.node.supervisor import Supervisor
from devcluster.node.volumes import RENEW_AFTER
from lcm_operator import logs
from lcm_operator.kube.access import Access
from lcm_operator.kube.client import Client
from lcm_operator.kube.follow import Changed, Deleted, Listed, ListWatch
from lcm_operator.kube.resources import PODS
from lcm_operator.kube.session import pooled

Json = dict[str, Any]
log = logs.get(__name__)


@dataclass(frozen=True)
class Settings:
    """The settings of a node."""

    name: str
    root: Path
    log_directory: Path
    renew_after: float = RENEW_AFTER
    endpoint: Endpoint | None = None
    """Where the logs of its pods are served, if they are."""


async def run(access: Access, settings: Settings) -> None:
    """Be the node, until cancelled."""
    settings.root.mkdir(parents=True, exist_ok=True)
    settings.root.chmod(0o700)  # tokens and Secrets lie below
    settings.log_directory.mkdir(parents=True, exist_ok=True)
    async with pooled(access) as client, Launcher() as launcher, asyncio.TaskGroup() as tasks:
        api = NodeApi(client, settings.name)
        place = Place(
            api=api,
            launcher=launcher,
            root=settings.root,
            log_directory=settings.log_directory,
            labels=labels(settings.name),
            renew_after=settings.renew_after,
        )
        pods = _Pods(place)
        port = settings.endpoint.port if settings.endpoint is not None else None
        tasks.create_task(stay_registered(api, port))
        tasks.create_task(Binder(client, api).run())
        async with serve(settings.endpoint, pods.read_log):
            await pods.follow(client)


class _Pods:
    """The lifetimes of the pods bound to this node, by UID."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lives: dict[str, tuple[Lifetime, asyncio.Task[None]]] = {}
        self._clearing: dict[str, asyncio.Task[None]] = {}

    def read_log(self, namespace: str, name: str, container: str) -> bytes | None:
        """Return what a container of a pod has written; None if nothing was begun here under that name."""
        found = (life for life, _ in self._lives.values() if life.place == (namespace, name))
        return next((text for life in found if (text := life.read_log(container)) is not None), None)

    async def follow(self, client: Client) -> None:
        try:
            bound = f"spec.nodeName={self._place.api.node}"
            async for event in ListWatch(client, PODS, read=as_it_is, field_selector=bound).events():
                match event:
                    case Changed():
                        self._seen(event.object)
                    case Deleted():
                        self._removed(event.head.uid)
                    case Listed():
                        self._listed(event.uids)
        finally:
            for _, task in self._lives.values():
                task.cancel()

    def _listed(self, there: frozenset[str]) -> None:
        for uid in self._lives.keys() - there:
            self._removed(uid)
        for uid, files in all_pods(self._place.root).items():
            if uid not in there and uid not in self._lives and uid not in self._clearing:
                self._clearing[uid] = asyncio.create_task(_clear(files))

    def _seen(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._lives:
            self._lives[uid][0].update(pod)
            return
        lifetime = Lifetime(self._place, pod)
        task = asyncio.create_task(lifetime.run())
        task.add_done_callback(_log_failure)
        self._lives[uid] = lifetime, task

    def _removed(self, uid: str) -> None:
        """Let the lifetime end what still runs; it is forgotten when that is done."""
        if uid in self._lives:
            lifetime, task = self._lives[uid]
            lifetime.gone()
            task.add_done_callback(lambda _: self._lives.pop(uid, None))


async def _clear(files: PodFiles) -> None:
    """Kill and remove a pod that was deleted by force while no node was there to see it."""
    for container in files.containers():
        supervisor = Supervisor.of(container)
        if supervisor is not None:
            with supervisor:
                supervisor.kill()
                await supervisor.ended()
    files.remove()


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.failure("pod is no longer managed; restart the node", error)
