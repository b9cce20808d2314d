"""Killed before or after any write of an import, the operator that comes next brings it to the same end."""

import asyncio
import itertools
from copy import deepcopy
from typing import Any

import pytest
from pytest_mock import MockerFixture
from tests.unit.controllers.test_registries import FAR, Field, Raw

ALL = ("a", "b", "c")


class KilledError(BaseException):
    """The process is gone: nothing of it goes on."""


class Life:
    """One operator after the other at the same registry and the same objects.

    Imports three trials; one vanishes and comes back; a person deletes another one, which stays deleted.
    """

    def __init__(self, mocker: MockerFixture, kill: int, *, after: bool) -> None:
        self._mocker = mocker
        self._kill, self._after = kill, after
        self.points = 0
        self.killed = False
        self._objects: dict[tuple[str, str], Raw] = {}
        self._versions = itertools.count(100)
        self.times = dict.fromkeys(ALL, FAR)
        self.field = self._field()

    def _field(self) -> Field:
        """Start an operator: it lists what there is."""
        self._mocker.stopall()  # the operator before it is gone
        field = Field(self._mocker, **{"import": "All", "onVanished": "Suspend"})
        field.api.objects.update(self._objects)
        self._objects, field.api._numbers = field.api.objects, self._versions
        for (plural, _), raw in self._objects.items():
            if plural == "trials":
                field.store.put_trial(deepcopy(raw))
        dead = False
        put, write = field.api._put, field.api._write

        def writes(what: str) -> None:
            nonlocal dead
            if dead:
                raise KilledError
            self.points += 1
            if self.points == self._kill and not self._after:
                self.killed = dead = True
                raise KilledError
            write(what)

        def puts(plural: str, raw: Raw) -> Raw:
            nonlocal dead
            stored = put(plural, raw)
            if self.points == self._kill and self._after and not self.killed:
                self.killed = dead = True
                raise KilledError
            return stored

        self._mocker.patch.object(field.api, "_write", side_effect=writes)
        self._mocker.patch.object(field.api, "_put", side_effect=puts)
        field.times = self.times
        return field

    def run(self) -> dict[str, Any]:
        """Lead the life, and return what it has come to."""
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
        raw = self._objects.pop(("trials", name))
        self.field.store.drop_trial("lab", name, raw["metadata"]["uid"])
        try:
            asyncio.run(self.field.registries.trial_removed(raw))
        except KilledError:
            self.field = self._field()

    def outcome(self) -> dict[str, Any]:
        trials = {name: raw for (plural, name), raw in self._objects.items() if plural == "trials"}
        status = self._objects["trialregistries", "default"]["status"]
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
    life = Life(mocker, 0, after=False)
    assert life.run() == END
    assert life.points >= 8


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_write_of_an_import_it_comes_to_the_same_end(mocker, after):
    undisturbed = Life(mocker, 0, after=after)
    undisturbed.run()
    for point in range(1, undisturbed.points + 1):
        life = Life(mocker, point, after=after)
        assert life.run() == END, point
        assert life.killed, point
