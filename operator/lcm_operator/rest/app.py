"""The sidecar's composition root: builds the parts and runs them until the process is to stop."""

import asyncio

from aiohttp import web

from lcm_operator import logs
from lcm_operator.addresses import bind
from lcm_operator.kube.access import from_settings
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock, NodeClock
from lcm_operator.kube.cluster_clock import ClusterClock
from lcm_operator.kube.session import pooled
from lcm_operator.rest import probes, routes
from lcm_operator.rest.auth.authenticator import Authenticator
from lcm_operator.rest.auth.keys import ApiKeys, BadKeysError
from lcm_operator.rest.auth.pod_tokens import PodTokens
from lcm_operator.rest.auth.tokens import CallbackTokens
from lcm_operator.rest.cache.feed import Feed
from lcm_operator.rest.cache.view import View
from lcm_operator.rest.http import openapi
from lcm_operator.rest.http.certificate import BadCertificateError, ServerCertificate
from lcm_operator.rest.http.dispatch import Dispatcher
from lcm_operator.rest.http.origin import OriginCheck
from lcm_operator.rest.http.routing import RouteTable
from lcm_operator.rest.http.server import Server, Site
from lcm_operator.rest.services.engines import Engines
from lcm_operator.rest.services.registry import Registry
from lcm_operator.rest.services.scheduling import Scheduler
from lcm_operator.rest.services.signals import Signals
from lcm_operator.rest.services.status_page import StatusPage
from lcm_operator.rest.settings import ADDRESS, CERTIFICATE_FILE, KEYS_FILE, Settings
from lcm_operator.rest.state import Heartbeats, SidecarState
from lcm_operator.rest.wording import LEVELS
from lcm_operator.settings import SettingsError

SILENT_SECONDS = 180.0
"""The API server sends a bookmark about every minute."""
_SHUTDOWN_SECONDS = 10.0
log = logs.get(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the sidecar until `stop`. Raises SettingsError, or the error that ended one of its parts."""
    keys, access = _keys(settings), from_settings(settings)
    clock = ClusterClock(NodeClock())
    async with pooled(access, clock=clock) as client:
        namespace = settings.namespace or access.namespace
        await Sidecar(settings, client, namespace, keys, clock).run(stop)


class Sidecar:
    """All parts of one sidecar, for one namespace."""

    def __init__(
        self, settings: Settings, client: Client, namespace: str, keys: ApiKeys | None, clock: Clock
    ) -> None:
        self._settings = settings
        self._now = clock.now
        self._namespace = namespace
        self._metrics = probes.Metrics()
        self._view = View()
        self._feed = Feed(
            client,
            self._view,
            namespace,
            registry=settings.registry,
            plan=settings.default_plan,
            clock=clock,
        )
        self._state = SidecarState(client, namespace)
        self._tokens = CallbackTokens(client, namespace, self._state, self._now)
        authenticated = keys is not None
        self._dispatcher = Dispatcher(
            self._table(client, authenticated=authenticated),
            Authenticator(keys, self._tokens, PodTokens(client, namespace)).authenticate,
            OriginCheck(settings.address, settings.allowed_hosts, authenticated=authenticated),
            self._ready,
            self._metrics.observe,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then complete requests in progress in bounded time.

        Raises SettingsError if it cannot listen, or the error that ended a watch: without its watches the
        sidecar must not serve.
        """
        server, address = Server(self._dispatcher), self._settings.address
        certificate = _certificate(self._settings)
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        async with self._metrics.served(self._settings.metrics):
            for listener in bind(ADDRESS, address):
                await Site(runner, listener, certificate).start()
            log.info(
                "serving",
                namespace=self._namespace,
                level=self._settings.version,
                address=address,
                scheme="https" if certificate else "http",
            )
            async with asyncio.TaskGroup() as tasks:
                feeding = [tasks.create_task(work) for work in (self._feed.run(), self._state.follow())]
                try:
                    await stop.wait()
                    log.info("stopping")
                finally:
                    await runner.cleanup()
                for task in feeding:
                    task.cancel()

    def _table(self, client: Client, *, authenticated: bool) -> RouteTable:
        settings, namespace, view = self._settings, self._namespace, self._view
        level = LEVELS[settings.version]
        registry = Registry(client, view, namespace, settings.registry, settings.proxies)
        services = routes.Services(
            level=level,
            page=StatusPage(view, level, settings.timezone),
            scheduler=Scheduler(
                client, view, registry, level, namespace=namespace, plan=settings.default_plan, now=self._now
            ),
            registry=registry,
            engines=Engines(client, view, namespace),
            signals=Signals(client, view, namespace, self._now),
            heartbeats=Heartbeats(self._state),
            tokens=self._tokens,
        )
        described = (*routes.rows(services), *probes.rows(self._ready, self._faults))
        shown = openapi.routes(described, version=settings.version, authenticated=authenticated)
        return RouteTable((*described, *shown))

    def _ready(self) -> bool:
        return self._feed.filled.is_set() and self._state.filled.is_set()

    def _faults(self) -> list[str]:
        silence = self._feed.silence
        return [f"watch: no event for {silence:.0f} s"] if silence > SILENT_SECONDS else []


def _keys(settings: Settings) -> ApiKeys | None:
    if settings.keys_file is None:
        log.warning("no API keys are configured: anyone who can reach this process can schedule trials")
        return None
    try:
        return ApiKeys(settings.keys_file)
    except (OSError, BadKeysError) as error:
        raise SettingsError(f"{KEYS_FILE}: {error}") from error


def _certificate(settings: Settings) -> ServerCertificate | None:
    if settings.certificate_file is None or settings.key_file is None:
        return None
    try:
        return ServerCertificate(settings.certificate_file, settings.key_file)
    except BadCertificateError as error:
        raise SettingsError(f"{CERTIFICATE_FILE}: {error}") from error
