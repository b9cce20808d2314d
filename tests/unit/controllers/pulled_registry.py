"""A leader with one TrialRegistry, whose registry is played by the test."""

from collections.abc import Callable  # noqa: TC003 - annotated at run time
from datetime import UTC, datetime
from typing import Any

from pytest_mock import MockerFixture
from tests.harness.api_server import ApiServer
from tests.harness.api_server import Json as Raw
from tests.harness.client import Connection, Request

from lcm_operator.controllers import metrics
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.registries import Registries
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import Settings
from lcm_operator.kube.clock import NodeClock
from lcm_operator.registry.client import RegistryClient
from lcm_operator.registry.errors import BadStatusError
from lcm_operator.registry.listing import Listing, Selection
from lcm_operator.registry.replies import Entry

FAR = datetime(2031, 7, 1, tzinfo=UTC)


class PulledRegistry:
    """A leader, a TrialRegistry, and what the registry answers."""

    def __init__(self, mocker: MockerFixture, api: ApiServer | None = None, **spec: Any) -> None:
        self.api, self.leads = api or ApiServer(), True
        self.writes: list[str] = []
        self.before: Callable[[str], None] = lambda _: None
        """Is called with each write."""
        self.times: dict[str, datetime] = {}
        self.asked: list[str] = []
        self.on_list: Callable[[], None] = lambda: None
        self.cache = SlotCache(Settings(), NodeClock())
        self.cache.begin_term()
        self.connection = Connection(self.api, self._note)
        client = self.connection.client()
        observer = Observer(metrics.new_registry())
        self.reconciler = Reconciler(
            client, self.cache, may_act=lambda: self.leads, observer=observer, clock=NodeClock()
        )
        self.registries = Registries(client, self.reconciler, lambda: self.leads)
        self._tell = mocker.patch.object(self.reconciler.recorder, "tell")
        mocker.patch.object(self.registries._access.status, "_tell", self._tell)
        metadata = {"name": "default", "namespace": "lab", "uid": "registry", "generation": 1}
        wanted = {"url": "http://registry", "intervalSeconds": 3600} | spec
        if api is None:
            self.api.put("trialregistries", {"metadata": metadata, "spec": wanted})
        mocker.patch.object(RegistryClient, "list_trials", autospec=True, side_effect=self._list)
        mocker.patch.object(RegistryClient, "trial", autospec=True, side_effect=self._one)

    @property
    def recorded_reasons(self) -> list[str]:
        """The reasons of the events about the registry."""
        return [call.args[2] for call in self._tell.call_args_list]

    def _note(self, request: Request) -> None:
        if request.writes:
            what = f"patch {request.name}"
            if request.verb == "create":
                what = f"create {request.body['metadata']['name']}"
            self.before(request.subresource or what)
            self.writes.append(request.subresource or what)

    def configure(self, **spec: Any) -> None:
        """Change the TrialRegistry."""
        self.api.merge_patch("trialregistries", "default", {"spec": spec})

    def set_status(self, **status: Any) -> None:
        """Write into the status of the TrialRegistry."""
        self.api.merge_patch("trialregistries", "default", {"status": status}, subresource="status")

    def unsee(self, name: str) -> None:
        """Let the cache forget a Trial."""
        self.cache.drop_trial("lab", name, self.api.get("trials", name)["metadata"]["uid"])

    @property
    def registry(self) -> Raw:
        return self.api.get("trialregistries", "default")

    @property
    def trials(self) -> set[str]:
        """The names of all Trials."""
        return {raw["metadata"]["name"] for raw in self.api.all("trials")}

    def _list(self, _: RegistryClient, selection: Selection) -> Listing:
        self.asked.append("/")
        self.on_list()
        now = datetime.now(UTC)
        kept = [Entry(key, at) for key, at in self.times.items() if key in selection.ids or at > now]
        return Listing(tuple(kept), len(self.times))

    def _one(self, _: RegistryClient, trial_id: str) -> Entry:
        self.asked.append(trial_id)
        raise BadStatusError(404, b"")

    def trial(self, name: str, **annotations: str) -> None:
        metadata = {"name": name, "namespace": "lab", "uid": name, "generation": 1}
        spec = {"registryRef": {"name": "default"}}
        raw = {"metadata": metadata | {"annotations": annotations}, "spec": spec}
        self.cache.put_trial(self.api.put("trials", raw))

    def imported(self, name: str, **annotations: str) -> None:
        self.trial(name, **{"lcm.5gdrones.eu/imported-by": "default"} | annotations)

    async def tick(self) -> None:
        """Tick, and wait until all that this has begun has come to its end."""
        self.registries.tick(self.registry)
        course = self.registries._courses.get("registry")
        for task in ("pulling", "looking"):
            if course is not None and (running := getattr(course, task)) is not None:
                await running

    @property
    def status(self) -> Raw:
        found: Raw = self.registry.get("status", {})
        return found

    def shown(self) -> dict[str, tuple[str, str]]:
        return {each["type"]: (each["status"], each["reason"]) for each in self.status["conditions"]}
