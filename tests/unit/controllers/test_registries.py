"""When registries are asked, and what a pull writes: nothing beyond its term, and one error for itself."""

import asyncio
from datetime import UTC, datetime, timedelta

import kopf
import pytest
from pytest_mock import MockerFixture
from tests.harness.api_server import Json as Raw
from tests.unit.controllers.pulled_registry import FAR, PulledRegistry

from lcm_operator.api.storage import rfc3339
from lcm_operator.controllers import handlers
from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.errors import RejectedError
from lcm_operator.registry.errors import BadStatusError, UnreachableError


@pytest.fixture
def field(mocker: MockerFixture) -> PulledRegistry:
    return PulledRegistry(mocker, **{"import": "All", "onVanished": "Suspend"})


def lose(field: PulledRegistry) -> None:
    field.leads = False


def lead_again(field: PulledRegistry) -> None:
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


def fail() -> None:
    raise UnreachableError("http://registry", "no")


def test_a_registry_that_fails_is_asked_again_after_a_growing_pause(field):
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


def generations(field: PulledRegistry) -> set[int]:
    return {each["observedGeneration"] for each in [field.status, *field.status["conditions"]]}


def pull_again(field: PulledRegistry) -> None:
    async def scenario() -> None:
        for course in field.registries._courses.values():
            course.due = None
        await field.tick()

    asyncio.run(scenario())


def test_conditions_follow_an_edit_while_a_registry_fails_or_is_suspended(field):
    asyncio.run(field.tick())
    assert set(field.shown()) == {"Synced", "Imported"}

    field.on_list = fail
    field.configure(importLimit=7)
    pull_again(field)
    assert generations(field) == {2}

    field.configure(suspend=True)
    pull_again(field)
    field.configure(importLimit=8)
    pull_again(field)
    assert generations(field) == {4}
    assert set(field.shown()) == {"Synced", "Imported"}


def test_registry_that_goes_on_failing_is_stalled_until_it_answers(field):
    field.on_list = fail
    asyncio.run(field.tick())
    assert field.shown()["Reconciling"] == ("True", "RegistryUnreachable")

    conditions = field.status["conditions"]
    since = rfc3339(datetime.now(UTC) - timedelta(seconds=11))
    field.set_status(conditions=[each | {"lastTransitionTime": since} for each in conditions])
    pull_again(field)
    assert field.shown()["Stalled"] == ("True", "RegistryUnreachable")
    assert "Reconciling" not in field.shown()
    assert field.recorded_reasons == ["RegistryUnreachable"]

    field.on_list = lambda: None
    pull_again(field)
    assert set(field.shown()) == {"Synced", "Imported"}


def test_a_registry_that_is_asked_rarely_is_asked_again_soon_after_it_failed(field):
    field.on_list = fail
    before = NodeClock().elapsed()
    asyncio.run(field.tick())

    assert field.registries._courses["registry"].due - before < 30


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
    field.registries.know(field.registry)
    assert timer.when(meta={"uid": "registry"})
    field.registries.forget("lab", "default", "registry")
    assert not timer.when(meta={"uid": "registry"})


def test_a_registry_is_synced_while_its_list_is_current(field):
    def synced():
        field.registries.know(field.registry)
        return [current for _, current, _ in field.registries.synced()]

    assert synced() == [False]
    asyncio.run(field.tick())
    assert synced() == [True]
    field.set_status(lastSyncTime=rfc3339(datetime.now(UTC) - timedelta(hours=3, minutes=3)))
    assert synced() == [False]
    field.configure(suspend=True)
    assert synced() == []
    field.registries.know(field.registry | {"spec": {"url": 5}})  # this version can't parse it
    assert [current for _, current, _ in field.registries.synced()] == [False]


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
