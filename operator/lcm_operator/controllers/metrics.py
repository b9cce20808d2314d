"""The metrics of the operator. Gauges are taken from cache and queue when Prometheus scrapes.

No label carries a trial's name or ID: their number is not bounded.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from lcm_operator.api import conditions, reasons
from lcm_operator.api.trial import Trial
from lcm_operator.controllers.clock_watch import ClockWatch
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.time_slice import TimeSlice
from lcm_operator.domain.status import outcome
from lcm_operator.kube.election import Elector

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


@dataclass
class Census:
    """Numbers of Trials. `phases`: by phase; `due`: those that should have been started by now."""

    phases: Counter[str] = field(default_factory=Counter)
    due: int = 0

    def add(self, trial: Trial, start_time: datetime | None, now: datetime) -> None:
        """Count a Trial."""
        self.phases[trial.status.phase or "Pending"] += 1
        self.due += _is_due(trial, start_time, now)


def _is_due(trial: Trial, start_time: datetime | None, now: datetime) -> bool:
    """Return whether the start time has passed and the trial was neither started, missed nor cancelled."""
    if trial.status.started_time is not None or trial.spec.suspend:
        return False
    if start_time is None or start_time > now:
        return False
    refused = conditions.is_false(trial.status.conditions, reasons.ACCEPTED)
    return not refused and outcome(trial) is None


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
    """The state at the moment of the scrape."""

    def __init__(self, reconciler: Reconciler, elector: Elector, clocks: ClockWatch) -> None:
        self._reconciler = reconciler
        self._clocks = clocks
        self._elector = elector
        self._census = Census()

    async def prepare(self) -> None:
        """Count the Trials for the next scrape, in steps: there may be very many."""
        census, slice_, now = Census(), TimeSlice(), self._reconciler.clock.now()
        cache = self._reconciler.cache
        for trial in cache.trials():
            census.add(trial, cache.start_time_of(trial), now)
            await slice_.rest()
        self._census = census

    def describe(self) -> Iterator[Metric]:
        """Return nothing: registering must take no gauge."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Take every gauge now, but for the numbers of Trials."""
        census = self._census
        trials = GaugeMetricFamily(
            "lcm_trials", "Trials by phase, as this replica sees them.", labels=["phase"]
        )
        for phase in PHASES:
            trials.add_metric([phase.lower()], census.phases[phase])
        yield trials
        yield _gauge(
            "lcm_trials_due", "Trials whose start time has come and which are not started.", census.due
        )
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


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _version() -> str:
    try:
        return version("lcm-operator")
    except PackageNotFoundError:
        return "unknown"
