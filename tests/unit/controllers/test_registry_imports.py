"""What a pull imports, what it remembers of imports, and what it does not import again."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pytest_mock import MockerFixture
from tests.harness.api_server import Json as Raw
from tests.unit.controllers.pulled_registry import FAR, PulledRegistry

from lcm_operator.kube.cache import ObjectCache
from lcm_operator.kube.errors import RejectedError


@pytest.fixture
def field(mocker: MockerFixture) -> PulledRegistry:
    return PulledRegistry(mocker, **{"import": "All", "onVanished": "Suspend"})


def test_a_refused_create_stops_no_other_and_is_shown(field):
    field.times = {"a": FAR, "b": FAR, "c": FAR}

    def refuse(what: str) -> None:
        if what == "create b":
            raise RejectedError(403, "Forbidden", "exceeded quota")

    field.before = refuse
    asyncio.run(field.tick())

    assert field.trials == {"a", "c"}
    assert field.shown() == {
        "Synced": ("True", "Synced"),
        "Imported": ("False", "ImportFailed"),
        "Stalled": ("True", "ImportFailed"),
    }
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
    assert field.shown() == {
        "Synced": ("True", "Synced"),
        "Imported": ("False", "ImportFailed"),
        "Stalled": ("True", "ImportFailed"),
    }


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


def gone(field: PulledRegistry, name: str, **status: Any) -> Raw:
    """Delete a Trial and return the object that the watch delivers."""
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
