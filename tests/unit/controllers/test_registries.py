"""When registries are asked, and what a pull writes: nothing beyond its term, and one error for itself."""

import asyncio
from collections.abc import Callable  # noqa: TC003 - annotated at run time
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf
import pytest
from pytest_mock import MockerFixture
from tests.harness.api_server import ApiServer
from tests.harness.api_server import Json as Raw
from tests.harness.client import Connection, Request

from lcm_operator.api.storage import rfc3339
from lcm_operator.controllers import handlers, metrics
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.registries import Registries
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import Settings
from lcm_operator.kube.cache import ObjectCache
from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.errors import RejectedError
from lcm_operator.registry.client import RegistryClient
from lcm_operator.registry.errors import BadStatusError, UnreachableError
from lcm_operator.registry.listing import Listing, Selection
from lcm_operator.registry.replies import Entry

FAR = datetime(2031, 7, 1, tzinfo=UTC)


class Field:
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


@pytest.fixture
def field(mocker: MockerFixture) -> Field:
    return Field(mocker, **{"import": "All", "onVanished": "Suspend"})


def lose(field: Field) -> None:
    field.leads = False


def lead_again(field: Field) -> None:
    field.cache.begin_term()


@pytest.mark.parametrize("change", [lose, lead_again])
def test_a_leader_whose_term_ended_during_a_pull_writes_nothing(field, change):
    field.times = {"new": FAR}
    field.imported("back", **{"lcm.5gdrones.eu/vanished": "2026-11-24T09:00:00Z"})
    field.imported("gone")
    field.times |= {"back": FAR}
    field.on_list = lambda: change(field)

    asyncio.run(field.tick())

    assert field.writes == []
    assert all(
        look.answered is None for look in field.cache.registries.looks(field.cache.trials_in("lab")).values()
    )


@pytest.mark.parametrize("change", [lose, lead_again])
def test_a_leader_whose_term_ends_between_two_writes_stops_there(field, change):
    field.times = {f"t{number}": FAR for number in range(100)}

    def before(_: str) -> None:
        if len(field.writes) == 10:
            change(field)

    field.before = before
    asyncio.run(field.tick())

    assert 11 <= len(field.writes) <= 11 + 8
    assert "status" not in field.writes


def test_a_refused_create_stops_no_other_and_is_shown(field):
    field.times = {"a": FAR, "b": FAR, "c": FAR}

    def refuse(what: str) -> None:
        if what == "create b":
            raise RejectedError(403, "Forbidden", "exceeded quota")

    field.before = refuse
    asyncio.run(field.tick())

    assert field.trials == {"a", "c"}
    assert field.shown() == {"Synced": ("True", "Synced"), "Imported": ("False", "ImportFailed")}
    assert (field.status["imported"], field.status["notImported"], field.status["failed"]) == (2, 1, 1)
    assert field.recorded_reasons == ["WritesFailed", "ImportFailed"]


def test_a_quota_that_is_used_up_is_not_tried_for_each(field):
    field.times = {f"t{number}": FAR for number in range(1000)}
    tried = []

    def refuse(what: str) -> None:
        if what.startswith("create"):
            tried.append(what)
            raise RejectedError(403, "Forbidden", "exceeded quota")

    field.before = refuse
    asyncio.run(field.tick())

    assert len(tried) == 50
    assert (field.status["notImported"], field.status["failed"]) == (1000, 50)


def refuse_bad(what: str) -> None:
    if what.startswith("create bad"):
        raise RejectedError(422, "Invalid", "denied by a policy")


def test_entries_that_are_refused_keep_no_later_ones_from_being_imported(field):
    field.times = {f"bad{number}": FAR for number in range(55)}
    field.times |= {f"good{number}": FAR + timedelta(days=1) for number in range(3)}
    field.before = refuse_bad

    asyncio.run(field.tick())

    assert field.trials == {"good0", "good1", "good2"}
    assert (field.status["imported"], field.status["notImported"], field.status["failed"]) == (3, 55, 55)


def test_the_next_pull_begins_behind_what_was_refused(field):
    field.configure(importLimit=10)
    field.times = {f"bad{number}": FAR for number in range(15)}
    field.times |= {f"good{number}": FAR + timedelta(days=1) for number in range(3)}
    field.before = refuse_bad

    async def scenario() -> None:
        for _ in range(2):
            for course in field.registries._courses.values():
                course.due = None
            await field.tick()

    asyncio.run(scenario())

    assert field.trials == {"good0", "good1", "good2"}


def test_a_pull_tries_only_so_many_that_are_refused(field):
    field.times = {f"bad{number}": FAR for number in range(1000)}
    field.before = refuse_bad

    asyncio.run(field.tick())

    assert (field.status["notImported"], field.status["failed"]) == (1000, 200)


def unreadable(name: str) -> Raw:
    spec = {"registryRef": {"name": "default"}, "startingDeadlineSeconds": "soon"}
    return {"metadata": {"name": name, "namespace": "lab", "uid": name, "generation": 1}, "spec": spec}


def test_an_unreadable_trial_of_a_listed_id_stops_neither_import_nor_status(field):
    field.times = {"a": FAR, "b": FAR, "c": FAR}
    field.api.put("trials", unreadable("b"))

    asyncio.run(field.tick())

    assert field.trials == {"a", "b", "c"}
    assert field.shown() == {"Synced": ("True", "Synced"), "Imported": ("False", "ImportFailed")}


def test_an_import_that_can_not_be_read_any_more_is_not_taken_for_removed(field):
    field.times = {"a": FAR, "b": FAR}
    asyncio.run(field.tick())
    field.unsee("a")
    field.api.put("trials", unreadable("a"))
    before = field.status["lastSyncTime"]
    field.registries._courses.clear()

    asyncio.run(field.tick())

    assert "ignored" not in field.status
    assert field.status["lastSyncTime"] > before


def synced(age: timedelta, status: str = "True") -> Raw:
    condition = {"type": "Synced", "status": status, "reason": "Synced", "message": ""}
    condition["lastTransitionTime"] = rfc3339(FAR)
    return {"lastSyncTime": rfc3339(datetime.now(UTC) - age), "conditions": [condition]}


@pytest.mark.parametrize(
    ("status", "answered"),
    [
        pytest.param({}, False, id="one that nobody has asked yet"),
        pytest.param(synced(timedelta(minutes=1)), True, id="one that an earlier leader had an answer from"),
        pytest.param(synced(timedelta(minutes=1), "False"), False, id="one that failed"),
        pytest.param(synced(timedelta(days=1)), False, id="one that answered long ago"),
    ],
)
def test_a_new_leader_knows_which_registries_have_answered(field, status, answered):
    asked = []

    async def ask(_place, request, *, proven, **_):
        asked.append(proven)
        return request()

    field.registries._access.lists.ask = ask
    field.api.put("trialregistries", field.registry | {"status": status})

    asyncio.run(field.tick())

    assert asked == [answered]


def test_a_registry_that_a_trial_waits_for_is_asked_before_others(field):
    field.trial("a")
    (key,) = field.cache.all_keys()
    asked = []

    async def ask(_place, request, *, wanted, sent, **_):
        asked.append(wanted)
        sent()
        return request()

    field.registries._access.lists.ask = ask
    field.cache.registries.want(field.cache.trial("lab", "a"), key, datetime.now(UTC))
    asyncio.run(field.tick())

    assert asked == [True]


def test_what_counts_is_when_the_request_went_out(field):
    field.trial("a")
    field.times = {"a": FAR}
    (key,) = field.cache.all_keys()
    looks = []

    async def ask(_place, request, *, queued, sent, **_):
        queued(7)
        looks.extend(field.cache.registries.looks(field.cache.trials_in("lab")).values())
        await asyncio.sleep(0.05)
        sent()
        return request()

    field.registries._access.lists.ask = ask
    field.cache.registries.want(field.cache.trial("lab", "a"), key, datetime.now(UTC))
    asyncio.run(field.tick())

    looks.extend(field.cache.registries.looks(field.cache.trials_in("lab")).values())
    waiting, answered = looks
    assert waiting.queued.value == 7
    assert answered.queued is None
    assert answered.answered == answered.sent
    assert answered.sent - waiting.queued.time >= timedelta(seconds=0.05)


def test_imports_are_remembered_batch_by_batch_and_their_removal_is_noticed(field):
    field.times = {f"t{number}": FAR for number in range(120)}
    asyncio.run(field.tick())
    assert field.writes.count("status") == 4
    assert len(field.status["imports"]) == 120

    gone(field, "t5")
    field.registries._courses.clear()
    asyncio.run(field.tick())

    assert list(field.status["ignored"]) == ["t5"]
    assert field.api.find("trials", "t5") is None


def gone(field: Field, name: str, **status: Any) -> Raw:
    """Delete a Trial and return what the watch tells of it."""
    raw = field.api.get("trials", name) | {"status": status}
    field.unsee(name)
    field.api.remove("trials", name)
    return raw


def ended(reason: str) -> Raw:
    since = "2026-11-24T09:00:00Z"
    succeeded = {"type": "Succeeded", "status": "False", "reason": reason, "message": ""}
    return {"conditions": [succeeded | {"lastTransitionTime": since}]}


@pytest.mark.parametrize("status", [{}, ended("Cancelled")])
def test_a_removal_is_noted_while_the_registry_is_away(field, status):
    field.times = {"a": FAR}
    asyncio.run(field.tick())

    asyncio.run(field.registries.trial_removed(gone(field, "a", **status)))

    assert list(field.status["ignored"]) == ["a"]


def test_missed_trial_that_is_kept_for_its_time_is_not_taken_for_deleted(field):
    field.times = {"a": FAR}
    asyncio.run(field.tick())
    field.set_status(imports=[])  # as it is taken out before

    asyncio.run(field.registries.trial_removed(gone(field, "a", **ended("Missed"))))

    assert "ignored" not in field.status


def test_one_that_was_deleted_unseen_is_not_imported_when_it_is_moved(field):
    """Nobody saw the removal, and the start time that was remembered has passed."""
    field.times = {"a": FAR}
    asyncio.run(field.tick())
    gone(field, "a")
    (known,) = field.status["imports"]
    field.set_status(imports=[f"{known.partition('/')[0]}/1000"])
    field.registries._courses.clear()

    asyncio.run(field.tick())

    assert list(field.status["ignored"]) == ["a"]
    assert field.api.find("trials", "a") is None


def test_an_import_that_the_watch_has_not_shown_yet_is_not_taken_for_removed(field):
    field.times = {"a": FAR}
    asyncio.run(field.tick())
    field.unsee("a")
    field.cache.known_trials = ObjectCache()
    field.registries._courses.clear()

    asyncio.run(field.tick())

    assert "ignored" not in field.status
    assert field.cache.trial("lab", "a") is not None


def test_every_trial_that_has_vanished_is_suspended_in_its_turn(field):
    for number in range(120):
        field.imported(f"t{number}")

    async def scenario() -> None:
        for _ in range(3):
            for course in field.registries._courses.values():
                course.due = None
            await field.tick()

    asyncio.run(scenario())

    assert sum(raw["spec"].get("suspend", False) for raw in field.api.all("trials")) == 120


def test_a_registry_that_fails_is_asked_again_after_a_growing_pause(field):
    def fail() -> None:
        raise UnreachableError("http://registry", "no")

    field.on_list = fail
    pauses = []

    async def scenario() -> None:
        for _ in range(4):
            for course in field.registries._courses.values():
                course.due = None
            before = NodeClock().elapsed()
            await field.tick()
            pauses.append(field.registries._courses["registry"].due - before)

    field.configure(intervalSeconds=2)
    asyncio.run(scenario())

    assert [round(pause / 2) for pause in pauses] in (
        [[1, 2, 4, 8]] + [[1, 2, a, b] for a in (3, 4, 5) for b in range(6, 11)]
    )
    assert field.shown()["Synced"] == ("False", "RegistryUnreachable")


def test_a_registry_is_not_asked_again_before_it_wants_it(field):
    def busy() -> None:
        raise BadStatusError(503, b"later", 25.0)

    field.on_list = busy
    field.configure(intervalSeconds=2)
    before = NodeClock().elapsed()
    asyncio.run(field.tick())

    assert field.registries._courses["registry"].due - before >= 25


def test_a_registry_that_nobody_may_read_is_not_asked_every_second(field):
    def refuse(what: str) -> None:
        if what == "status":
            raise RejectedError(403, "Forbidden", "no")

    field.before = refuse

    async def scenario() -> None:
        for _ in range(5):
            await field.tick()

    asyncio.run(scenario())

    assert field.asked.count("/") == 1


def test_registry_is_asked_at_once_for_a_trial_which_is_then_decided(field):
    field.trial("a")
    (key,) = field.cache.all_keys()

    async def scenario() -> None:
        await field.tick()
        field.registries._courses["registry"].begun -= 10
        field.times = {"a": FAR}
        field.cache.registries.want(field.cache.trial("lab", "a"), key, datetime.now(UTC))
        await field.registries._courses["registry"].pulling

    asyncio.run(scenario())

    assert field.asked.count("/") == 2
    (look,) = field.cache.registries.looks(field.cache.trials_in("lab")).values()
    assert look.answered is not None
    assert look.wanted is not None
    assert datetime.now(UTC) - look.answered < timedelta(seconds=10)
    assert key in field.reconciler.queue._queued


def test_a_standby_asks_nobody(field):
    field.leads = False
    asyncio.run(field.tick())
    assert field.asked == []


def test_kopfs_timer_puts_no_finalizer_on_a_registry(field):
    registry = kopf.OperatorRegistry()
    handlers.register(registry, field.reconciler, field.registries)

    (timer,) = [each for each in registry._spawning._handlers if each.id == "ask_registry"]

    assert timer.requires_finalizer is False
    assert timer.when is not None
    assert not timer.when(meta={"uid": "registry"})
    field.registries.know("lab", "default", "registry")
    assert timer.when(meta={"uid": "registry"})
    field.registries.forget("lab", "default", "registry")
    assert not timer.when(meta={"uid": "registry"})


def test_sync_whose_id_comes_again_after_another_is_met_again(field):
    async def scenario() -> list[tuple[str, int]]:
        met = []
        for request in ("a", "b", "a"):
            annotations = {"lcm.5gdrones.eu/sync": request}
            field.api.merge_patch("trialregistries", "default", {"metadata": {"annotations": annotations}})
            await field.tick()
            met.append((field.status["lastHandledSync"]["id"], len(field.asked)))
        return met

    assert asyncio.run(scenario()) == [("a", 1), ("b", 2), ("a", 3)]
