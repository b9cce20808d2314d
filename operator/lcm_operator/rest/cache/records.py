"""What the view keeps of each object: a few fields, so that ten thousand trials take little memory. Pure.

Made from raw objects, as the watch tells them or the API server answers them; called by `view`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lcm_operator.api import names, reasons
from lcm_operator.api.storage import Malformed
from lcm_operator.api.times import parse_start_time

Json = dict[str, Any]
_MISFITS = (AttributeError, LookupError, TypeError, ValueError)
_LONGEST_FAULT = 500


@dataclass(frozen=True, slots=True)
class Handled:
    """The answer to a request by annotation."""

    id: str
    result: str


@dataclass(frozen=True, slots=True)
class ViewedTrial:
    """A Trial. `engine_uid` is empty until it is latched, `outcome` until it ended without success."""

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
    restored: Handled | None


@dataclass(frozen=True, slots=True)
class ViewedEngine:
    """A TrialEngine. `granted`: it has acted, or may; `succeeded` is None as long as it has no outcome."""

    name: str
    uid: str
    version: int
    trial_id: str
    trial_uid: str
    start: datetime
    granted: bool
    succeeded: bool | None
    restored: Handled | None


def trial_of(raw: Json) -> ViewedTrial:
    """Return what is kept of a Trial. Raises Malformed, whatever is in it."""
    try:
        return _trial(raw)
    except _MISFITS as error:
        raise Malformed(f"the Trial can't be read: {error!r}"[:_LONGEST_FAULT]) from error


def engine_of(raw: Json) -> ViewedEngine:
    """Return what is kept of a TrialEngine. Raises Malformed, whatever is in it."""
    try:
        return _engine(raw)
    except _MISFITS as error:
        raise Malformed(f"the TrialEngine can't be read: {error!r}"[:_LONGEST_FAULT]) from error


def _trial(raw: Json) -> ViewedTrial:
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    told = (metadata.get("annotations") or {}).get(names.ANNOTATION_REGISTRY_START_TIME, "")
    start = spec.get("startTime") or status.get("startTime")
    succeeded, why = _condition(status, reasons.SUCCEEDED)
    return ViewedTrial(
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        trial_id=spec.get("trialID", metadata["name"]),
        start=_moment(start) or parse_start_time(told),
        from_registry="registryRef" in spec,
        suspended=bool(spec.get("suspend")),
        refused=_condition(status, reasons.ACCEPTED)[0] == "False",
        deleting="deletionTimestamp" in metadata,
        started=_moment(status.get("startedTime")),
        engine_uid=(status.get("engineRef") or {}).get("uid", ""),
        outcome=why if succeeded == "False" else "",
        restored=_handled(status, "lastHandledRestore"),
    )


def _engine(raw: Json) -> ViewedEngine:
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    succeeded = _condition(status, reasons.SUCCEEDED)[0]
    return ViewedEngine(
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        trial_id=spec["trialID"],
        trial_uid=spec["trialUID"],
        start=datetime.fromisoformat(spec["startTime"]),
        granted="podRef" in status or status.get("attempt", 0) > 1,
        succeeded=None if succeeded not in ("True", "False") else succeeded == "True",
        restored=_handled(status, "lastHandledRestore"),
    )


def _condition(status: Json, kind: str) -> tuple[str, str]:
    for found in status.get("conditions") or ():
        if found["type"] == kind:
            return found["status"], found["reason"]
    return "", ""


def _handled(status: Json, field: str) -> Handled | None:
    found = status.get(field)
    return Handled(found["id"], found["result"]) if found else None


def _moment(text: str | None) -> datetime | None:
    """Return a time as the API server keeps it; a status that was written by hand may hold what is none."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
