"""The composition root: builds client, cache, reconciler and kopf, and runs them until asked to stop."""

import asyncio
import contextlib
import functools
import gc
import itertools
import socket
import uuid
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import kopf

from lcm_operator import logs
from lcm_operator.api import reasons
from lcm_operator.controllers import handlers, health, metrics
from lcm_operator.controllers.clock_watch import ClockWatch
from lcm_operator.controllers.due_queue import WORKERS
from lcm_operator.controllers.heartbeat import Heartbeat
from lcm_operator.controllers.kopf_session import response_class
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.own_events import OwnEvents
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.registries import Registries
from lcm_operator.controllers.relist import discovered, keep_relisting, relist_until_done
from lcm_operator.controllers.settings import LEASE_NAME, Settings
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.kube.access import from_settings
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.cluster_clock import ClusterClock
from lcm_operator.kube.election import Elector
from lcm_operator.kube.resources import TRIAL_ENGINES, TRIAL_PLANS, TRIALS
from lcm_operator.kube.session import open_session, pooled
from lcm_operator.process import Stopping

_OTHER_CONNECTIONS = 32
"""In addition to one for each worker: for registries, Events, re-lists and the monitors."""
_LEASE_CONNECTIONS = 4
_COLLECTOR_THRESHOLDS = 5_000, 3, 10_000
_FIRST_LIST_LOOK_SECONDS = 0.1
_WORK_ENDS_SECONDS = 4.0
_KOPF_ENDS_SECONDS = 3.0
log = logs.get(__name__)


async def run(settings: Settings, stopping: Stopping) -> int:
    """Run the operator until asked to stop; return its exit status. Raises the error that ended a part."""
    access = from_settings(settings)
    own = settings.lease_namespace or access.namespace
    clock = ClusterClock(NodeClock())
    ready, heartbeat, registry = asyncio.Event(), Heartbeat(clock), metrics.new_registry()
    # The election has connections of its own: no burst of starts keeps it waiting.
    async with (
        pooled(
            access,
            connections=WORKERS + _OTHER_CONNECTIONS,
            namespaces=settings.namespaces(own),
            clock=clock,
        ) as client,
        pooled(access, connections=_LEASE_CONNECTIONS, clock=clock) as lease_client,
    ):
        place = f"{settings.pod_name}_" if settings.pod_name else None
        identity = _identity(place)
        elector = Elector(lease_client, own, LEASE_NAME, identity, clock=clock, place=place)
        observer = Observer(registry)
        reconciler = Reconciler(
            client,
            SlotCache(settings.domain, clock),
            may_act=elector.is_leader,
            observer=observer,
            clock=clock,
        )
        own_events = OwnEvents(reconciler.recorder.tell, elector.lease, clock)
        elector.on_theft = functools.partial(own_events.warn, reasons.LEASE_STOLEN)
        clock_watch = ClockWatch(clock, own_events.warn, reconciler.time_has_jumped, identity)
        registries = Registries(client, reconciler, elector.is_leader, settings.proxies)
        gauges = metrics.Gauges(
            reconciler,
            elector,
            clock_watch,
            namespaces=client.namespaces,
            registries=registries.synced,
            know=observer.know,
        )
        registry.register(gauges)

        async def watching(stop_kopf: asyncio.Event) -> None:
            await _until_listed(ready, heartbeat, stop_kopf)
            await _watch(client, reconciler, registries, heartbeat, stopping, stop_kopf)

        async with health.serve(
            settings.health,
            health.Health(heartbeat, elector, reconciler, clock),
            clock_watch.disagreement,
            ready.is_set,
            lambda: metrics.scrape(registry, gauges),
        ):
            await _run_until(
                stopping,
                _work(client, elector, reconciler, heartbeat, clock_watch, ready),
                watching,
                reconciler.settle,
            )
    return 0


async def _run_until(
    stopping: Stopping,
    working: Coroutine[Any, Any, None],
    watching: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
    settle: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    """Run both until the process is asked to stop, or until one of them ends; raise the error that ended it.

    First the starts under way are completed, then the work ends, and with it the leadership. kopf ends last:
    it cancels every task that is younger than itself. Each step has a limit: nothing that hangs may keep the
    Lease or the process.
    """
    stop_kopf = asyncio.Event()
    work, watch = asyncio.create_task(working), asyncio.create_task(watching(stop_kopf))
    stop = asyncio.create_task(stopping.requested.wait())
    await asyncio.wait({work, watch, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if stopping.requested.is_set():
        await settle()
    stopping.hurry()
    work.cancel()
    await asyncio.wait({work}, timeout=_WORK_ENDS_SECONDS)
    stop_kopf.set()
    await asyncio.wait({watch}, timeout=_KOPF_ENDS_SECONDS)
    for task, name in ((work, "work"), (watch, "kopf")):
        if not task.done():
            log.warning("part of the operator did not stop in time", part=name)
        elif not task.cancelled() and (fault := task.exception()):
            raise fault
    if not stopping.requested.is_set():
        raise RuntimeError("a part of the operator ended without being asked to")


async def _work(
    client: Client,
    elector: Elector,
    reconciler: Reconciler,
    heartbeat: Heartbeat,
    clock_watch: ClockWatch,
    ready: asyncio.Event,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(clock_watch.run(), name="clocks")
        tasks.create_task(heartbeat.run(), name="heartbeat")
        tasks.create_task(reconciler.recorder.run(), name="recorder")
        with _uncollected():
            await relist_until_done(client, reconciler)
        ready.set()
        log.info("ready", trials=len(reconciler.cache.known_trials))
        tasks.create_task(elector.run(reconciler.follow, reconciler.lead), name="elector")
        tasks.create_task(keep_relisting(client, reconciler, heartbeat.is_deaf), name="relist")


async def _until_listed(ready: asyncio.Event, heartbeat: Heartbeat, stop: asyncio.Event) -> None:
    """Wait for our own first list: kopf's lists are compared with it. Until then its silence is no fault."""
    while not (ready.is_set() or stop.is_set()):
        heartbeat.heard()
        await asyncio.sleep(_FIRST_LIST_LOOK_SECONDS)


async def _watch(
    client: Client,
    reconciler: Reconciler,
    registries: Registries,
    heartbeat: Heartbeat,
    stopping: Stopping,
    stop_kopf: asyncio.Event,
) -> None:
    """Have kopf watch until `stop_kopf`. Raises the error that ended a part of it at once."""
    await discovered(client, stop_kopf)
    if stop_kopf.is_set():
        return
    cache = reconciler.cache
    responses = response_class(
        {
            TRIALS.plural: cache.known_trials,
            TRIAL_ENGINES.plural: cache.known_engines,
            TRIAL_PLANS.plural: cache.plans.known,
        }
    )
    access = client.access
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    handlers.configure(settings)
    settings.networking.error_backoffs = _Patience()
    # Otherwise kopf watches namespaces and CRDs of the whole cluster.
    settings.scanning.disabled = bool(client.namespaces)
    handlers.register(registry, reconciler, registries)
    heartbeat.register(registry, settings)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(
            server=access.server,
            aiohttp_session=open_session(access, connections=0, response_class=responses),
            default_namespace=access.namespace,
        )

    # By default kopf takes the name of the user, and the user of a pod has none.
    identity: Any = _identity(None)
    ours = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=settings,
        clusterwide=not client.namespaces,
        namespaces=client.namespaces,
        standalone=True,
        identity=identity,
        stop_flag=stop_kopf,
    )
    stopping.attach()  # kopf has replaced our signal handlers
    # Once a part of it has failed, kopf may wait for the others forever.
    running = asyncio.create_task(kopf.run_tasks(tasks, ignored=ours), name="kopf")
    await asyncio.wait({*tasks, running}, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done() and not task.cancelled() and (fault := task.exception()):
            raise fault
    await running


class _Patience:
    """Endless pauses between kopf's attempts: kopf ends with the first request that it gives up."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.1, 0.2, 0.5, 1.0), itertools.repeat(2.0))


def _identity(place: str | None) -> str:
    """Return a name that no other process has, including the next one in the same pod."""
    return f"{place or f'{socket.gethostname()}_'}{uuid.uuid4().hex[:8]}"


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Exclude objects that are loaded here from garbage collection: a full pass takes 0.4 s at 50,000 trials.

    Later passes are more frequent and smaller: one over 100,000 young objects takes 0.1 s.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*_COLLECTOR_THRESHOLDS)
        gc.enable()
