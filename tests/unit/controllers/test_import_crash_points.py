"""Killed before or after any write of an import, the operator that comes next brings it to the same end."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pytest_mock import MockerFixture
from tests.harness.client import Request
from tests.unit.controllers.test_registries import FAR, PulledRegistry

if TYPE_CHECKING:
    from tests.harness.api_server import ApiServer

ALL = ("a", "b", "c")


class KilledError(BaseException):
    """The process has ended: nothing of it continues."""


class Scenario:
    """One operator after the other at the same registry and the same objects.

    Imports three trials; one vanishes and comes back; a person deletes another one, which stays deleted.
    """

    def __init__(self, mocker: MockerFixture, kill: int, *, after: bool) -> None:
        self._mocker = mocker
        self._kill, self._after = kill, after
        self.points = 0
        self.killed = False
        self._api: ApiServer | None = None
        self.times = dict.fromkeys(ALL, FAR)
        self.field = self._field()

    def _field(self) -> PulledRegistry:
        """Start an operator: it lists what there is."""
        self._mocker.stopall()  # the operator before it is gone
        field = PulledRegistry(self._mocker, self._api, **{"import": "All", "onVanished": "Suspend"})
        self._api = field.api
        for raw in field.api.all("trials"):
            field.cache.put_trial(raw)
        dead = False

        def before(request: Request) -> None:
            nonlocal dead
            if not request.writes:
                return
            if dead:
                raise KilledError
            self.points += 1
            if self.points == self._kill and not self._after:
                self.killed = dead = True
                raise KilledError

        def after(request: Request) -> None:
            nonlocal dead
            if request.writes and self.points == self._kill and self._after and not self.killed:
                self.killed = dead = True
                raise KilledError

        field.connection.before, field.connection.after = before, after
        field.times = self.times
        return field

    def run(self) -> dict[str, Any]:
        """Run the scenario, and return what it has come to."""
        self._pulled()
        self.times = {key: at for key, at in self.times.items() if key != "c"}
        self._pulled()
        self.times = dict.fromkeys(ALL, FAR)
        self._pulled()
        self._deleted("b")
        self._pulled()
        self._pulled()
        return self.outcome()

    def _pulled(self) -> None:
        """Pull, by the next operator if this one is killed."""
        self.field.times = self.times
        self.field.registries._courses.clear()
        try:
            asyncio.run(self.field.tick())
        except KilledError:
            self.field = self._field()
            asyncio.run(self.field.tick())

    def _deleted(self, name: str) -> None:
        """Delete a Trial as a person does; an operator that is killed has missed that."""
        raw = self.field.api.get("trials", name)
        self.field.unsee(name)
        self.field.api.remove("trials", name)
        try:
            asyncio.run(self.field.registries.trial_removed(raw))
        except KilledError:
            self.field = self._field()

    def outcome(self) -> dict[str, Any]:
        trials = {raw["metadata"]["name"]: raw for raw in self.field.api.all("trials")}
        status = self.field.registry["status"]
        return {
            "suspended": {name: raw["spec"].get("suspend", False) for name, raw in trials.items()},
            "vanished": [
                name
                for name, raw in trials.items()
                if raw["metadata"].get("annotations", {}).get("lcm.5gdrones.eu/vanished")
            ],
            "imports": len(status.get("imports", [])),
            "ignored": sorted(status.get("ignored", [])),
        }


END = {"suspended": {"a": False, "c": False}, "vanished": [], "imports": 3, "ignored": ["b"]}


def test_an_undisturbed_import_is_what_it_should_be(mocker):
    scenario = Scenario(mocker, 0, after=False)
    assert scenario.run() == END
    assert scenario.points >= 8


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_write_of_an_import_it_comes_to_the_same_end(mocker, after):
    undisturbed = Scenario(mocker, 0, after=after)
    undisturbed.run()
    for point in range(1, undisturbed.points + 1):
        scenario = Scenario(mocker, point, after=after)
        assert scenario.run() == END, point
        assert scenario.killed, point
