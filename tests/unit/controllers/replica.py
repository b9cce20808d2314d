"""One process of the operator, without an event loop: Store, Apply and decide, driven step by step."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

from tests.unit.controllers.api_server import ApiServer, Raw, uid_of

from lcm_operator.controllers.apply import Apply, StepRefused
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.lease_monitor import LeaseMonitor
from lcm_operator.controllers.pod_monitor import PodMonitor
from lcm_operator.controllers.recorder import Recorder
from lcm_operator.controllers.store import Store
from lcm_operator.domain.actions import Wait
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Settings
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import ApiError, Unavailable
from lcm_operator.kube.listing import Page
from lcm_operator.kube.resources import Resource

KEY = Key("lab", "example")
_ENDED = ("Succeeded", "Failed")
_WATCHED = ("trials", "trialengines", "trialplans")
_ENDED = ("Succeeded", "Failed")


class KilledError(BaseException):
    """SIGKILL: nothing of the operator's code sees it."""


class Client:
    """The operator's way to the API server; `point` is called before and after each write."""

    def __init__(
        self, api: ApiServer, point: Callable[[], None], renewed: Callable[[Raw], Raw] = lambda lease: lease
    ) -> None:
        self._api = api
        self._point = point
        self._renewed = renewed

    async def get(self, resource: Resource, _namespace: str, name: str) -> Raw:
        if resource.plural in ("serviceaccounts", "rolebindings"):
            return {}
        return self._api.get(resource.plural, name)

    async def create(self, resource: Resource, _namespace: str, body: Raw, *, dry_run: bool = False) -> Raw:
        if dry_run:
            return self._api.create(resource.plural, body, dry_run=True)
        return self._write(lambda: self._api.create(resource.plural, body))

    async def json_patch(
        self, resource: Resource, _namespace: str, name: str, operations: list[Raw], *, subresource: str = ""
    ) -> Raw:
        if not subresource:
            return self._write(lambda: self._api.replace_spec(resource.plural, name, operations))
        return self._write(lambda: self._api.patch_status(resource.plural, name, operations))

    async def merge_patch(self, resource: Resource, _namespace: str, name: str, patch: Raw) -> Raw:
        assert patch.keys() == {"metadata"}
        return self._write(lambda: self._api.patch_finalizers(resource.plural, name, patch["metadata"]))

    async def delete(
        self,
        resource: Resource,
        _namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str | None = None,
    ) -> Raw:
        deleted: Raw = self._write(lambda: self._api.delete(resource.plural, name, uid, resource_version))
        return deleted

    async def listed(self, resource: Resource, **_: Any) -> AsyncGenerator[Page, None]:
        """Yield the pods that have not ended."""
        assert resource.plural == "pods"
        left = [raw for raw in self._api.all("pods") if raw.get("status", {}).get("phase") not in _ENDED]
        yield Page(left, str(self._api.version), "")

    async def list(
        self, resource: Resource, _namespace: str | None = None, *, label_selector: str
    ) -> tuple[Sequence[Raw], str]:
        """Return objects by their label; Leases as their engines have renewed them."""
        label, _, value = label_selector.partition("=")
        labels = ((raw, raw["metadata"].get("labels", {})) for raw in self._api.all(resource.plural))
        found = [raw for raw, own in labels if label in own and value in ("", own[label])]
        leases = resource.plural == "leases"
        return [self._renewed(raw) if leases else raw for raw in found], str(self._api.version)

    def _write(self, write: Callable[[], Any]) -> Any:
        self._point()
        done = write()
        self._point()
        return done


class Replica:
    """One process: all that it knows is lost with it."""

    def __init__(
        self,
        api: ApiServer,
        point: Callable[[], None],
        clock: Clock,
        renewed: Callable[[Raw], Raw] = lambda lease: lease,
    ) -> None:
        client: Any = Client(api, point, renewed)
        self.api = api
        self.store = Store(Settings(), clock)
        self._told: dict[str, Raw] = {}
        self.apply = Apply(client, self.store, Recorder(client, hold=lambda: False, clock=clock), clock)
        self._leases = LeaseMonitor(client, self.store, lambda _: None, clock)
        self._pods = PodMonitor(client, self.store, lambda _: None, clock)
        self._heard = -1
        self._heard_of_pods = len(api.ended_pods)
        self.was_frozen = False
        self.listen()

    def listen(self) -> None:
        """Hear what the watches tell: all that has changed since the last time."""
        if self._heard == self.api.version:
            return
        self._heard = self.api.version
        self._forget()
        for plural, put in (
            ("trialplans", self.store.put_plan),
            ("trials", self.store.put_trial),
            ("trialengines", self.store.put_engine),
        ):
            for raw in self.api.all(plural):
                if self._told.get(uid_of(raw)) is not raw:
                    self._told[uid_of(raw)] = raw
                    put(raw)
        ended = [raw for raw in self.api.all("pods") if raw.get("status", {}).get("phase") in _ENDED]
        for raw in (*self.api.ended_pods[self._heard_of_pods :], *ended):
            self.store.put_pod(raw)
        self._heard_of_pods = len(self.api.ended_pods)

    def _forget(self) -> None:
        stands = {uid_of(raw) for plural in _WATCHED for raw in self.api.all(plural)}
        for known, drop in (
            (self.store.known_trials, self.store.drop_trial),
            (self.store.known_engines, self.store.drop_engine),
            (self.store.plans.known, self.store.drop_plan),
        ):
            for (namespace, name), entry in known.entries().items():
                if entry.uid not in stands:
                    drop(namespace, name, entry.uid)

    def step(self, now: datetime) -> bool:
        """Do the next thing; return whether there was one."""
        decision = decide(self.store.snapshot(KEY), now)
        if isinstance(decision, Wait):
            return False
        try:
            for action in decision.actions:
                finish(self.apply(KEY, action))
        except (StepRefused, Unavailable):
            return True
        except ApiError:
            finish(self.apply.read(KEY, decision.about()))
        if self.was_frozen:  # it has lost the Lease meanwhile; as a new leader it doubts everything
            self.was_frozen = False
            self.store.begin_term()
        return True

    def wakes(self, now: datetime) -> datetime | None:
        """Return when the alarm rings."""
        return decide(self.store.snapshot(KEY), now).wake_at

    def monitor(self) -> bool:
        """Let the monitors of pods and Leases read once; return whether a pod is in doubt by that."""
        known = self.store.slot(KEY).pod
        finish(self._pods.read())
        finish(self._leases.read())
        return known is not None and self.store.slot(KEY).pod is None


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("something has waited")
