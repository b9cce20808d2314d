"""One process of the operator, without an event loop: SlotCache, Apply and decide, driven step by step."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from tests.harness.api_server import Json as Raw
from tests.harness.client import Connection, Request
from tests.harness.cluster import Cluster, uid_of

from lcm_operator.controllers.apply import Apply, StepRejectedError
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.lease_monitor import LeaseMonitor
from lcm_operator.controllers.pod_monitor import PodMonitor
from lcm_operator.controllers.recorder import Recorder
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.actions import Wait
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Settings
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import ApiError, UnavailableError

KEY = Key("lab", "example")
_WATCHED = ("trials", "trialengines", "trialplans")
_ENDED = ("Succeeded", "Failed")


async def quiet(_: float) -> float:
    """Find a quiet moment at once."""
    return 0.0


@asynccontextmanager
async def no_limit(_: float) -> AsyncIterator[None]:
    """Wait for ever: there is no event loop that could end it."""
    yield


class KilledError(BaseException):
    """SIGKILL: nothing of the operator's code sees it."""


def connect(
    cluster: Cluster, point: Callable[[], None], renewed: Callable[[Raw], Raw] = lambda lease: lease
) -> Connection:
    """Return the operator's way to the API server; `point` is called before and after each write.

    `renewed`: how the engine of a Lease has left it.
    """

    def at_a_write(request: Request) -> None:
        if request.writes and not request.query.get("dryRun"):
            point()

    connection = Connection(cluster, at_a_write, at_a_write)
    connection.immediate = True
    connection.show = lambda raw: renewed(raw) if "leaseDurationSeconds" in raw.get("spec", {}) else raw
    return connection


class Replica:
    """One process: all that it knows is lost with it."""

    def __init__(
        self,
        api: Cluster,
        point: Callable[[], None],
        clock: Clock,
        renewed: Callable[[Raw], Raw] = lambda lease: lease,
        log: str = "",
    ) -> None:
        connection = connect(api, point, renewed)
        connection.logs = defaultdict(lambda: log)
        client = connection.client()
        self.api = api
        self.cache = SlotCache(Settings(), clock)
        self._delivered: dict[str, Raw] = {}
        self.apply = Apply(client, self.cache, Recorder(client, quiet, clock), clock, no_limit)
        self._leases = LeaseMonitor(client, self.cache, lambda _: None, clock)
        self._pods = PodMonitor(client, self.cache, lambda _: None, clock)
        self._seen_version = -1
        self._seen_ended_pods = len(api.ended_pods)
        self.was_frozen = False
        self.listen()

    def listen(self) -> None:
        """Take over what the watches deliver: all changes since the last time."""
        if self._seen_version == self.api.version:
            return
        self._seen_version = self.api.version
        self._forget()
        for plural, put in (
            ("trialplans", self.cache.put_plan),
            ("trials", self.cache.put_trial),
            ("trialengines", self.cache.put_engine),
        ):
            for raw in self.api.all(plural):
                if self._delivered.get(uid_of(raw)) is not raw:
                    self._delivered[uid_of(raw)] = raw
                    put(raw)
        ended = [raw for raw in self.api.all("pods") if raw.get("status", {}).get("phase") in _ENDED]
        for raw in (*self.api.ended_pods[self._seen_ended_pods :], *ended):
            self.cache.put_pod(raw)
        self._seen_ended_pods = len(self.api.ended_pods)

    def _forget(self) -> None:
        stands = {uid_of(raw) for plural in _WATCHED for raw in self.api.all(plural)}
        for known, drop in (
            (self.cache.known_trials, self.cache.drop_trial),
            (self.cache.known_engines, self.cache.drop_engine),
            (self.cache.plans.known, self.cache.drop_plan),
        ):
            for (namespace, name), entry in known.entries().items():
                if entry.uid not in stands:
                    drop(namespace, name, entry.uid)

    def step(self, now: datetime) -> bool:
        """Do the next thing; return whether there was one."""
        decision = decide(self.cache.snapshot(KEY), now)
        if isinstance(decision, Wait):
            return False
        try:
            for action in decision.actions:
                finish(self.apply(KEY, action))
        except (StepRejectedError, UnavailableError):
            return True
        except ApiError:
            finish(self.apply.read(KEY, decision.about()))
        if self.was_frozen:  # it has lost the Lease meanwhile; as a new leader it doubts everything
            self.was_frozen = False
            self.cache.begin_term()
        return True

    def wakes(self, now: datetime) -> datetime | None:
        """Return when the slot is examined again."""
        return decide(self.cache.snapshot(KEY), now).wake_at

    def monitor(self) -> bool:
        """Let the monitors of pods and Leases read once; return whether a pod is in doubt by that."""
        known = self.cache.slot(KEY).pod
        finish(self._pods.read())
        finish(self._leases.read())
        return known is not None and self.cache.slot(KEY).pod is None


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("something has waited")
