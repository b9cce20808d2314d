"""The cached fields of Trials and TrialEngines: few, so that ten thousand trials need little memory. Pure.

Only these fields are parsed; the rest of an object is ignored.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from lcm_operator.api import names, reasons
from lcm_operator.api.storage import Moment, Record, parse
from lcm_operator.api.times import parse_read_time, parse_start_time


class RestoreAnswer(Record, frozen=True, kw_only=True):
    """The answer to a request to restore by annotation."""

    id: str
    result: str


class TrialRecord(msgspec.Struct, frozen=True, gc=False):
    """A Trial. `engine_uid` is empty before the latch, `outcome` unless it ended without success."""

    name: str
    uid: str
    version: int
    trial_id: str
    start: datetime | None
    from_registry: bool
    suspended: bool
    refused: bool
    deleting: bool
    started: datetime | None
    engine_uid: str
    outcome: str
    restored: RestoreAnswer | None


class EngineRecord(msgspec.Struct, frozen=True, gc=False):
    """A TrialEngine. `granted`: a pod may act or has acted; `succeeded` is None without an outcome."""

    name: str
    uid: str
    version: int
    trial_id: str
    trial_uid: str
    start: datetime
    granted: bool
    succeeded: bool | None
    restored: RestoreAnswer | None


def trial_of(raw: Mapping[str, Any]) -> TrialRecord:
    """Return the record of a Trial. Raises MalformedError and nothing else."""
    trial = parse(raw, _Trial)
    metadata, spec, status = trial.metadata, trial.spec, trial.status
    reported = parse_start_time(metadata.annotations.registry_start_time)
    accepted = _find(status.conditions, reasons.ACCEPTED)
    succeeded = _find(status.conditions, reasons.SUCCEEDED)
    return TrialRecord(
        name=metadata.name,
        uid=metadata.uid,
        version=int(metadata.resource_version),
        trial_id=metadata.name if spec.trial_id is None else spec.trial_id,
        start=_time(spec.start_time or status.start_time) or reported,
        from_registry=spec.registry_ref is not None,
        suspended=spec.suspend,
        refused=accepted is not None and accepted.status == "False",
        deleting=metadata.deletion_timestamp is not None,
        started=_time(status.started_time),
        engine_uid=status.engine_ref.uid if status.engine_ref is not None else "",
        outcome=succeeded.reason if succeeded is not None and succeeded.status == "False" else "",
        restored=status.last_handled_restore,
    )


def engine_of(raw: Mapping[str, Any]) -> EngineRecord:
    """Return the record of a TrialEngine. Raises MalformedError and nothing else."""
    engine = parse(raw, _Engine)
    metadata, spec, status = engine.metadata, engine.spec, engine.status
    succeeded = _find(status.conditions, reasons.SUCCEEDED)
    return EngineRecord(
        name=metadata.name,
        uid=metadata.uid,
        version=int(metadata.resource_version),
        trial_id=spec.trial_id,
        trial_uid=spec.trial_uid,
        start=spec.start_time,
        granted=status.pod_ref is not None or status.attempt > 1,
        succeeded=_OUTCOMES.get(succeeded.status) if succeeded is not None else None,
        restored=status.last_handled_restore,
    )


class _Annotations(Record, frozen=True, kw_only=True):
    registry_start_time: str = msgspec.field(name=names.ANNOTATION_REGISTRY_START_TIME, default="")


class _Metadata(Record, frozen=True, kw_only=True):
    name: str
    uid: str
    resource_version: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]
    deletion_timestamp: Any = None
    annotations: _Annotations = msgspec.field(default_factory=_Annotations)


class _Condition(Record, frozen=True, kw_only=True):
    type: str
    status: str
    reason: str


class _EngineRef(Record, frozen=True, kw_only=True):
    uid: str = ""


class _TrialSpec(Record, frozen=True, kw_only=True):
    trial_id: str | None = msgspec.field(name="trialID", default=None)
    start_time: str | None = None
    registry_ref: Any = None
    suspend: bool = False


class _TrialStatus(Record, frozen=True, kw_only=True):
    """A status can be edited by hand: a time in it may be any text."""

    start_time: str | None = None
    started_time: str | None = None
    engine_ref: _EngineRef | None = None
    last_handled_restore: RestoreAnswer | None = None
    conditions: tuple[_Condition, ...] = ()


class _Trial(Record, frozen=True, kw_only=True):
    metadata: _Metadata
    spec: _TrialSpec = msgspec.field(default_factory=_TrialSpec)
    status: _TrialStatus = msgspec.field(default_factory=_TrialStatus)


class _EngineSpec(Record, frozen=True, kw_only=True):
    trial_id: str = msgspec.field(name="trialID")
    trial_uid: str = msgspec.field(name="trialUID")
    start_time: Moment


class _EngineStatus(Record, frozen=True, kw_only=True):
    attempt: int = 0
    pod_ref: Any = None
    last_handled_restore: RestoreAnswer | None = None
    conditions: tuple[_Condition, ...] = ()


class _Engine(Record, frozen=True, kw_only=True):
    metadata: _Metadata
    spec: _EngineSpec
    status: _EngineStatus = msgspec.field(default_factory=_EngineStatus)


_OUTCOMES = {"True": True, "False": False}


def _find(conditions: Iterable[_Condition], kind: str) -> _Condition | None:
    return next((condition for condition in conditions if condition.type == kind), None)


def _time(text: str | None) -> datetime | None:
    return parse_read_time(text) if text else None
