"""Every type of a custom resource survives serialisation and parsing."""

import types
import typing
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import pytest

from lcm_operator.api import conditions, engine, metadata, plan, trial
from lcm_operator.api.storage import Record, parse, serialise

MODULES = (conditions, engine, metadata, plan, trial)
MOMENT = datetime(2026, 11, 24, 10, 0, 0, 123456, tzinfo=UTC)


def kinds() -> list[type[Record]]:
    found = {
        kind
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Record) and kind is not Record
    }
    return sorted(found, key=lambda kind: kind.__name__)


def filled(kind: type[Record]) -> Record:
    """Return a record in which no field has its default."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return kind(**{field.name: a_value(hints[field.name]) for field in msgspec.structs.fields(kind)})


def a_value(hint: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return a_value(inner[0])
    if origin in (typing.Union, types.UnionType):
        return a_value(next(each for each in inner if each is not type(None)))
    if origin is Literal:
        return inner[-1]
    if origin is tuple:
        return (a_value(inner[0]),)
    if origin is dict:
        return {"key": {"deep": [1, None, "x"]} if inner[1] is Any else a_value(inner[1])}
    if isinstance(hint, type) and issubclass(hint, Record):
        return filled(hint)
    return {
        str: "text",
        int: 12345,
        float: 2.5,
        bool: True,
        datetime: MOMENT,
        Any: {"free": [1, None, {"a": None}]},
    }[hint]


def snake_case(raw: Any, free: tuple[str, ...] = ("json", "output", "template")) -> Iterator[str]:
    """Yield the keys on the wire that are not camelCase, but for those in free-form fields."""
    if isinstance(raw, dict):
        for key, value in raw.items():
            if "_" in key:
                yield key
            if key not in free:
                yield from snake_case(value)
    elif isinstance(raw, list):
        for value in raw:
            yield from snake_case(value)


every_kind = pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)


def test_all_kinds_are_found():
    assert {"Trial", "TrialEngine", "TrialPlan", "Http", "PodRef", "Condition"} <= {
        kind.__name__ for kind in kinds()
    }


@every_kind
def test_every_field_survives(kind):
    full = filled(kind)
    assert parse(msgspec.json.decode(msgspec.json.encode(serialise(full))), kind) == full


@every_kind
def test_what_is_not_set_survives(kind):
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}
    full = filled(kind)
    bare = kind(**{name: getattr(full, name) for name in required})
    assert parse(serialise(bare), kind) == bare
    assert len([value for value in serialise(bare).values() if value != {}]) == len(required)


@every_kind
def test_what_a_newer_version_has_added_is_passed_over(kind):
    full = filled(kind)
    newer = serialise(full) | {"addedLater": {"deep": [1]}}
    assert parse(newer, kind) == full


@every_kind
def test_the_wire_is_camel_case(kind):
    assert list(snake_case(serialise(filled(kind)))) == []


@every_kind
def test_a_record_can_not_be_changed(kind):
    full = filled(kind)
    field = msgspec.structs.fields(kind)[0].name
    with pytest.raises(AttributeError):
        setattr(full, field, getattr(full, field))


def test_abbreviations_are_written_as_the_crds_have_them():
    status = serialise(filled(trial.TrialStatus))
    assert "trialID" in status
    spec = serialise(filled(engine.TrialEngineSpec))
    assert {"trialID", "trialUID", "finally", "onFailure", "finishAt"} <= spec.keys()
    assert "json" in serialise(filled(plan.Http))
    assert "from" in serialise(filled(trial.RegistryMove))


@pytest.mark.parametrize(
    "body", [pytest.param(None, id="null"), pytest.param({}, id="empty"), pytest.param(0, id="zero")]
)
def test_a_json_body_is_distinguished_from_none_though_it_is(body):
    given = parse({"url": "http://x", "json": body}, plan.Http)
    assert given.json_body == body
    written = serialise(given)
    assert written["json"] == body
    assert parse(written, plan.Http) == given
    assert parse({"url": "http://x"}, plan.Http).json_body is msgspec.UNSET


def test_an_activity_that_was_never_saved_is_pending_with_run_1():
    status = engine.TrialEngineStatus()
    assert status.activity("one") == engine.ActivityStatus(name="one", state="Pending", run=1)


def test_the_trial_id_is_the_object_s_name_unless_one_is_given():
    raw = {"metadata": {"name": "example"}, "spec": {}}
    assert parse(raw, trial.Trial).trial_id == "example"
    assert parse(raw | {"spec": {"trialID": "Trial 1"}}, trial.Trial).trial_id == "Trial 1"


def test_the_controller_of_an_object_is_one_of_its_owners():
    owners = [
        {"kind": "A", "name": "a", "uid": "1"},
        {"kind": "B", "name": "b", "uid": "2", "controller": True},
    ]
    raw = {"name": "example", "ownerReferences": owners}
    assert parse(raw, metadata.Metadata).controller_uid == "2"
    assert parse(raw | {"ownerReferences": owners[:1]}, metadata.Metadata).controller_uid is None
