"""The metrics of the operator. Gauges are taken from cache and queue when Prometheus scrapes.

No label carries a trial's name or ID: their number is not bounded.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from lcm_operator.controllers.census import Census
from lcm_operator.controllers.clock_watch import ClockWatch
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.registry_times import Place
from lcm_operator.controllers.time_slice import TimeSlice
from lcm_operator.domain.snapshot import value_of
from lcm_operator.domain.status import PHASES
from lcm_operator.kube.election import Elector


def new_registry() -> CollectorRegistry:
    """Return a registry that knows the process itself."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def page(registry: CollectorRegistry) -> bytes:
    """Return all metrics in the text format."""
    return generate_latest(registry)


async def scrape(registry: CollectorRegistry, gauges: "Gauges") -> tuple[bytes, str]:
    """Return all metrics and their type, without delaying starts that are due."""
    await gauges.prepare()
    return page(registry), CONTENT_TYPE_LATEST


class Gauges(Collector):
    """The state at the moment of the scrape.

    `namespaces`: those that have numbers without a trial as well. `registries`: place, whether its times are
    current, and last sync of each registry. `know` is called with all namespaces that have numbers.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        elector: Elector,
        clocks: ClockWatch,
        *,
        namespaces: Iterable[str] = (),
        registries: Callable[[], Iterable[tuple[Place, bool, datetime | None]]] = tuple,
        know: Callable[[Iterable[str]], None] = lambda _: None,
    ) -> None:
        self._namespaces = tuple(namespaces)
        self._reconciler = reconciler
        self._clocks = clocks
        self._elector = elector
        self._registries = registries
        self._know = know
        self._found: dict[str, Census] = {}

    async def prepare(self) -> None:
        """Count trials and engines for the next scrape, in steps: there may be very many."""
        found = defaultdict(Census, {namespace: Census() for namespace in self._namespaces})
        cache, slice_, now = self._reconciler.cache, TimeSlice(), self._reconciler.clock.now()
        for key, slot in cache.slots():
            census = found[key.namespace]
            if slot.engine is not None:
                census.add_engine(slot.engine, value_of(slot.renewals), now)
            for trial in list(slot.trials.values()):
                census.add(trial, cache.start_time_of(trial), now)
                await slice_.rest()
            await slice_.rest()
        self._know(found)
        self._found = found

    def _of_registries(self) -> Iterator[Metric]:
        synced = GaugeMetricFamily(
            "lcm_registry_synced",
            "1 if a TrialRegistry reported its trials within three intervals and 2 minutes, else 0.",
            labels=["namespace", "registry"],
        )
        last = GaugeMetricFamily(
            "lcm_registry_last_sync_timestamp_seconds",
            "When a TrialRegistry last reported its trials, as Unix time.",
            labels=["namespace", "registry"],
        )
        for place, current, last_sync in self._registries():
            synced.add_metric(place, current)
            if last_sync is not None:
                last.add_metric(place, last_sync.timestamp())
        yield from (synced, last)

    def describe(self) -> Iterator[Metric]:
        """Return nothing: registering must take no gauge."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Take every gauge now, but for the numbers of trials and engines."""
        yield from families(self._found, monitors=self._elector.is_leader())
        yield from self._of_registries()
        yield _gauge("lcm_heap_size", "Trial IDs that wait for a time.", self._reconciler.queue.delayed)
        yield _gauge(
            "lcm_queue_size", "Trial IDs that wait for a worker or have one.", len(self._reconciler.queue)
        )
        yield _gauge(
            "lcm_events_waiting",
            "Events that the API server has not taken yet.",
            len(self._reconciler.recorder),
        )
        yield _gauge(
            "lcm_lease_reads_failing_seconds",
            "For how long the leader can't read the engines' Leases, so that no silence is counted; else 0.",
            self._reconciler.leases.failing_seconds(),
        )
        yield _gauge(
            "lcm_leader", "1 if this replica is the one that acts, else 0.", self._elector.is_leader()
        )
        yield _gauge(
            "lcm_clock_offset_seconds",
            "By how much the clock of this node is ahead of the API server's.",
            self._clocks.offset_seconds(),
        )
        yield CounterMetricFamily(
            "lcm_clock_steps", "How often the clock of this node was set.", value=self._clocks.steps
        )
        yield CounterMetricFamily(
            "lcm_lease_thefts",
            "How often somebody else wrote the Lease while this replica held it.",
            value=self._elector.thefts,
        )
        yield InfoMetricFamily("lcm_build", "What runs here.", value={"version": _version()})


def families(found: Mapping[str, Census], *, monitors: bool) -> Iterator[Metric]:
    """Yield the numbers by namespace; those of Leases only from the replica that monitors them."""

    def gauge(name: str, text: str, value: Callable[[Census], float | datetime | None]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, text, labels=["namespace"])
        for namespace, census in found.items():
            number = value(census)
            if number is not None:
                shown = number.timestamp() if isinstance(number, datetime) else number
                family.add_metric([namespace], shown)
        return family

    def by(
        kind: str, name: str, text: str, values: Callable[[Census], Mapping[str, float]]
    ) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, text, labels=["namespace", kind])
        for namespace, census in found.items():
            for value, number in values(census).items():
                family.add_metric([namespace, value], number)
        return family

    yield by(
        "phase",
        "lcm_trials",
        "Trials by phase, as this replica sees them.",
        lambda census: {phase.lower(): census.phases[phase] for phase in PHASES},
    )
    yield gauge(
        "lcm_trials_due",
        "Trials whose start time has come and which are not started.",
        lambda census: census.due,
    )
    yield by(
        "reason",
        "lcm_trials_not_ready",
        "Trials that could not start now, or whose pod does not run, by reason; none without a series.",
        lambda census: census.not_ready,
    )
    yield gauge(
        "lcm_trials_not_ready_next_start_timestamp_seconds",
        "The earliest start time of a trial that is not ready, as Unix time; no series without one.",
        lambda census: census.next_not_ready,
    )
    yield gauge(
        "lcm_trial_start_lag_recent_max_seconds",
        "The longest start lag of trials that started in the last 15 minutes or are due.",
        lambda census: census.start_lag.total_seconds(),
    )
    yield gauge(
        "lcm_trials_last_missed_timestamp_seconds",
        "When one of the present trials was last missed, as Unix time; no series without one.",
        lambda census: census.missed,
    )
    yield by(
        "reason",
        "lcm_trials_last_failed_timestamp_seconds",
        "When one of the present trials last failed, as Unix time, by reason; no series without one.",
        lambda census: {reason: when.timestamp() for reason, when in census.failed.items()},
    )
    yield gauge(
        "lcm_trials_last_unreleased_timestamp_seconds",
        "When releases (finally) of one of the present trials last failed, timed out or were not run.",
        lambda census: census.unreleased,
    )
    yield gauge(
        "lcm_engine_checkpoint_age_seconds",
        "The longest time since a running engine has saved its checkpoint, or was granted.",
        lambda census: census.checkpoint_age.total_seconds(),
    )
    if monitors:
        yield gauge(
            "lcm_engine_heartbeat_age_seconds",
            "The longest time since a running engine was seen to renew its Lease; by the leader only.",
            lambda census: census.silence.total_seconds(),
        )
        yield gauge(
            "lcm_engine_heartbeat_age_ratio",
            "The longest of these times as a share of the engine's heartbeatTimeoutSeconds.",
            lambda census: census.silent_share,
        )


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _version() -> str:
    try:
        return version("lcm-operator")
    except PackageNotFoundError:
        return "unknown"
