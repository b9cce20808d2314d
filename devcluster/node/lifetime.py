"""The life of one pod on this node, from the moment it is bound until its object is removed.

    new -> refused? -> volumes -> init containers, one by one -> containers -> all ended -> final status
                                        |                          |
                        has to end (deletion, deadline): SIGTERM, grace period, SIGKILL

    final status acknowledged -> files removed -> deletion wanted -> object removed

Each step asks the files first how far the pod is: an earlier node may have been killed anywhere. What was
begun is never begun again; the claim in `launcher` sees to it. Made by `node`, one task each. It must not
watch anything itself: `node` passes it the pod's newest form.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from devcluster.node.api import NodeApi, delays
from devcluster.node.ending import Ending
from devcluster.node.files import ContainerFiles, Lost, NotBegun, pod_files
from devcluster.node.launching import Launcher, Start
from devcluster.node.preparation import CannotRunError, prepare
from devcluster.node.refusals import REASON, containers, refusals
from devcluster.node.reporting import Reporter
from devcluster.node.sources import NotReadyError, Sources
from devcluster.node.states import PROCESS_LOST, State, Terminated, Waiting, state_of, tail
from devcluster.node.status import Standing, Verdict, pod_status
from devcluster.node.supervisor import Supervisor
from devcluster.node.volumes import RENEW_AFTER, Volumes
from lcm_operator import logs
from lcm_operator.kube.errors import ApiError, ConflictError, NotFoundError

Json = dict[str, Any]
T = TypeVar("T")
log = logs.get(__name__)

_LONGEST_LOG = 8 * 1024 * 1024

_LOST = "its processes were gone when the node came back, without a record of how they ended"


@dataclass(frozen=True)
class Place:
    """Where pods live: what all lifetimes of a node share."""

    api: NodeApi
    launcher: Launcher
    root: Path
    log_directory: Path
    labels: dict[str, str]
    renew_after: float = RENEW_AFTER


class Lifetime:
    """One pod."""

    def __init__(self, place: Place, pod: Json) -> None:
        self._place = place
        self._pod = pod
        self._files = pod_files(place.root, pod["metadata"]["uid"])
        self._volumes = Volumes(place.api, pod, self._files.volumes, renew_after=place.renew_after)
        self._reporter = Reporter(place.api, pod)
        self._ending = Ending(pod)
        self._ending.update(pod)
        self._waits_for = ""
        self._log_begins: dict[str, int] = {}
        """Where the output of each container begins in its file, once its other files are removed."""
        self._started_at = time.time()

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name of the pod."""
        return self._pod["metadata"]["namespace"], self._pod["metadata"]["name"]

    def read_log(self, container: str) -> bytes | None:
        """Return what a container has written, None if there is no such container or it was never begun."""
        for _, item in containers(self._pod["spec"]):
            if item["name"] == container and self._log(item).exists():
                begins = self._log_begins.get(container, self._log_begin(item))
                return tail(self._log(item), begins, _LONGEST_LOG).encode()
        return None

    def _log_begin(self, container: Json) -> int:
        """Return where the output begins in its file, which pods of the same name share; 0 if unknown."""
        try:
            return self._container(container).log_offset()
        except FileNotFoundError:
            return 0

    def update(self, pod: Json) -> None:
        """Take the pod's newest form."""
        self._pod = pod
        self._ending.update(pod)

    def gone(self) -> None:
        """Take it that the object no longer exists."""
        self._ending.gone()

    async def run(self) -> None:
        """Live through it all; safe to cancel, and to begin again by another node, at any moment."""
        if self._pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            async with _beside(self._reporter.run()):
                await self._live()
        await self._kill_leftovers()
        for _, item in containers(self._pod["spec"]):
            self._log_begins[item["name"]] = self._log_begin(item)
        self._files.remove()
        await self._ending.removal.wait()
        await self._remove_object()

    async def _live(self) -> None:
        verdict = self._verdict_of_arrival()
        noted = self._files.record()
        if noted is None:
            noted = self._identity() | {"startedAt": self._started_at}
            self._files.note(noted)
        self._started_at = noted["startedAt"]
        if verdict is None:
            async with _beside(self._end_when_told()):
                verdict = await self._run_all()
        if self._begun() or verdict or not self._ending.is_deletion:
            self._report(over=True, verdict=self._verdict_at_end(verdict))
            if not self._ending.is_gone:
                await self._reporter.written()

    def _verdict_of_arrival(self) -> Verdict | None:
        """Return why the pod may not even begin."""
        if self._begun():
            return None
        if _has_run(self._pod):
            return Verdict(PROCESS_LOST, _LOST)
        refused = refusals(self._pod, self._place.labels)
        return Verdict(REASON, "; ".join(refused)) if refused else None

    def _verdict_at_end(self, verdict: Verdict | None) -> Verdict | None:
        if verdict is None and (self._files.record() or {}).get("deadlineExceeded"):
            return Verdict(
                "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
            )
        if verdict is None and any(isinstance(files.observe(), Lost) for files in self._files.containers()):
            return Verdict(PROCESS_LOST, _LOST)
        return verdict

    async def _run_all(self) -> Verdict | None:
        """Run the containers to their end; return what kept them from running."""
        spec = self._pod["spec"]
        if not self._begun() and await self._patiently(self._write_volumes) is None:
            return None
        async with _beside(self._volumes.keep_tokens_fresh()):
            try:
                for container in spec.get("initContainers", []):
                    await self._start([container])
                    await self._wait(container)
                    if not self._succeeded(container):
                        return None
                await self._start(spec["containers"])
            except CannotRunError as error:
                return Verdict(REASON, str(error))
            for container in spec["containers"]:
                await self._wait(container)
        return None

    async def _start(self, some: list[Json]) -> None:
        """Start those of the containers that were never begun, all or none. Raises CannotRunError."""
        new = [item for item in some if isinstance(self._container(item).observe(), NotBegun)]
        starts = [await self._patiently(partial(self._prepare, item)) for item in new]
        for container, start in zip(new, starts, strict=True):
            if start is None or self._ending.requested.is_set():
                return
            await self._place.launcher.start(start)
            self._ending.apply(self._container(container))
        if new:
            log.info("pod started", pod=self._name)
        self._report()

    async def _wait(self, container: Json) -> None:
        supervisor = Supervisor.of(self._container(container))
        if supervisor is not None:
            with supervisor:
                await supervisor.ended()
            self._report()

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T | None:
        """Return the result of the attempt, repeated until it succeeds; None if the pod has to end before."""
        for delay in delays():
            if self._ending.requested.is_set():
                return None
            try:
                result = await attempt()
            except (NotReadyError, ApiError) as error:
                if self._waits_for != str(error):
                    self._waits_for = str(error)
                    log.info("pod waits", pod=self._name, cause=error)
                    self._report()
            else:
                self._waits_for = ""
                return result
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._ending.requested.wait()
        return None

    async def _write_volumes(self) -> bool:
        await self._volumes.write(Sources(self._place.api, self._pod["metadata"]["namespace"]))
        return True

    async def _prepare(self, container: Json) -> Start:
        return await prepare(
            self._pod,
            container,
            api=self._place.api,
            volumes=self._volumes,
            files=self._container(container),
            log=self._log(container),
        )

    async def _end_when_told(self) -> None:
        seconds = self._pod["spec"].get("activeDeadlineSeconds")
        noted = self._files.record() or {}
        deadline = self._started_at + seconds if seconds else None
        if await self._ending.expected(deadline):
            self._files.note(noted | {"deadlineExceeded": True})
        await self._ending.carry_out(self._files.containers())

    async def _kill_leftovers(self) -> None:
        """End what runs although the pod is over (its status was written by somebody else)."""
        for files in self._files.containers():
            supervisor = Supervisor.of(files)
            if supervisor is not None:
                with supervisor:
                    supervisor.kill()
                    await supervisor.ended()

    async def _remove_object(self) -> None:
        for delay in delays():
            if self._ending.is_gone:
                return
            try:
                await self._place.api.force_delete(self._pod)
            except (NotFoundError, ConflictError):
                return
            except ApiError as error:
                log.warning("pod not removed; retrying", pod=self._name, error=error)
                await asyncio.sleep(delay)
            else:
                return

    def _report(self, *, over: bool = False, verdict: Verdict | None = None) -> None:
        if self._ending.is_gone:
            return
        now = time.time()
        states = {item["name"]: self._state(item, now) for _, item in containers(self._pod["spec"])}
        self._reporter.report(
            pod_status(self._pod, Standing(self._started_at, states, over=over, verdict=verdict), now)
        )
        if over:
            why = {"reason": verdict.reason, "message": verdict.message} if verdict else {}
            log.info("pod ended", pod=self._name, **why)

    def _state(self, container: Json, now: float) -> State:
        files = self._container(container)
        state = state_of(files.observe(), files, container, self._log(container), now)
        if isinstance(state, Waiting) and self._waits_for:
            return Waiting("CreateContainerConfigError", self._waits_for)
        return state

    def _succeeded(self, container: Json) -> bool:
        state = self._state(container, time.time())
        return isinstance(state, Terminated) and state.exit_code == 0

    def _begun(self) -> bool:
        return any(not isinstance(files.observe(), NotBegun) for files in self._files.containers())

    def _container(self, container: Json) -> ContainerFiles:
        return self._files.container(container["name"])

    def _log(self, container: Json) -> Path:
        metadata = self._pod["metadata"]
        name = f"{metadata['namespace']}_{metadata['name']}_{container['name']}.log"
        return self._place.log_directory / name

    def _identity(self) -> Json:
        metadata = self._pod["metadata"]
        return {key: metadata[key] for key in ("namespace", "name", "uid")}

    @property
    def _name(self) -> str:
        return f"{self._pod['metadata']['namespace']}/{self._pod['metadata']['name']}"


def _has_run(pod: Json) -> bool:
    """Whether a status says that a container of the pod was begun."""
    status = pod.get("status", {})
    reported = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    return any("waiting" not in item.get("state", {"waiting": {}}) for item in reported)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do this as long as the block lasts; if it breaks off, so does the block."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        try:
            yield
        finally:
            task.cancel()
