"""/metrics: what Prometheus reads. Gauges are taken at the scrape from store, heap and queue.

Served by `health`. No label carries a trial's name or ID: there may be any number of them.
"""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from lcm_operator.controllers.census import Census
from lcm_operator.controllers.clock_watch import ClockWatch
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.time_slice import TimeSlice
from lcm_operator.kube.election import Elector

CONTENT_TYPE = CONTENT_TYPE_LATEST
PHASES = (
    "Pending",
    "Scheduled",
    "Armed",
    "Running",
    "Succeeded",
    "Failed",
    "Missed",
    "Suspended",
    "Cancelled",
)


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
    """Return all metrics and their type, without keeping the loop from what is due."""
    await gauges.prepare()
    return page(registry), CONTENT_TYPE


class Gauges(Collector):
    """Everything that is so at the moment of the scrape."""

    def __init__(self, reconciler: Reconciler, elector: Elector, clocks: ClockWatch) -> None:
        self._reconciler = reconciler
        self._clocks = clocks
        self._elector = elector
        self._census: Census | None = None

    async def prepare(self) -> None:
        """Count the Trials for the next scrape: in steps, as there may be very many."""
        census, slice_, now = Census(), TimeSlice(), self._reconciler.clock.now()
        store = self._reconciler.store
        for trial in store.trials():
            census.add(trial, store.start_time_of(trial), now)
            await slice_.rest()
        self._census = census

    def describe(self) -> Iterator[Metric]:
        """Return nothing: registering must not take a census."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Take every gauge now."""
        counted, self._census = self._census, None
        census = counted or Census()
        if counted is None:
            now = self._reconciler.clock.now()
            store = self._reconciler.store
            for trial in store.trials():
                census.add(trial, store.start_time_of(trial), now)
        trials = GaugeMetricFamily(
            "lcm_trials", "Trials by phase, as this replica sees them.", labels=["phase"]
        )
        for phase in PHASES:
            trials.add_metric([phase.lower()], census.phases[phase])
        yield trials
        yield _gauge(
            "lcm_trials_due", "Trials whose start time has come and which are not started.", census.due
        )
        yield _gauge("lcm_heap_size", "Alarms that wait for their time.", len(self._reconciler.alarm))
        yield _gauge(
            "lcm_queue_size", "Trial IDs that wait for a worker or have one.", len(self._reconciler.queue)
        )
        yield _gauge(
            "lcm_events_waiting",
            "Events that the API server has not taken yet.",
            self._reconciler.events_waiting,
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


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _version() -> str:
    try:
        return version("lcm-operator")
    except PackageNotFoundError:
        return "unknown"
