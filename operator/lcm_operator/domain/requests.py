"""Requests by annotation: which are open, and how they are answered. Pure.

A request on the Trial acts on the TrialEngine: `trialRequests` there is written in the same write as what it
causes, the Trial's own echo follows. So a crash repeats the echo, never the act.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

from lcm_operator.api import names
from lcm_operator.api.conditions import LONGEST_MESSAGE
from lcm_operator.api.engine import Handled, TrialEngine, TrialEngineStatus, TrialRequest
from lcm_operator.api.metadata import Metadata
from lcm_operator.api.names import LONGEST_ID
from lcm_operator.api.trial import Trial

Result = Literal["Done", "Refused", "Ignored", "Merged"]
Kind = Literal["Restore", "Delete"]
REMOVAL_BEGUN = "the engine was asked to stop; its TrialEngine is deleted once `finally` is over"
_KEPT_REQUESTS = 20


@dataclass(frozen=True)
class Request:
    """An open request.

    `with_plan`: it takes the plan as it stands now. `fault`: why it can't be met whatever happens. `note`:
    what else its answer says.
    """

    kind: Kind
    id: str
    on_trial: bool
    from_activity: str | None = None
    with_plan: bool = False
    fault: str = ""
    note: str = ""

    @property
    def label(self) -> str:
        """What messages about other requests call it."""
        return f"{self.kind.lower()} {self.id:.80} on the {'Trial' if self.on_trial else 'TrialEngine'}"


def open_restores(trial: Trial | None, engine: TrialEngine) -> tuple[Request, ...]:
    """Return the restore requests on Trial and TrialEngine that have not been answered, the Trial's first."""
    asked = trial_restore(trial, engine) if trial is not None else None
    return tuple(request for request in (asked, _on_engine("Restore", engine)) if request is not None)


def open_deletes(trial: Trial | None, engine: TrialEngine) -> tuple[Request, ...]:
    """Return the delete requests on Trial and TrialEngine that have not been answered."""
    asked = trial_delete(trial, engine) if trial is not None else None
    return tuple(request for request in (asked, _on_engine("Delete", engine)) if request is not None)


def trial_restore(trial: Trial, engine: TrialEngine | None) -> Request | None:
    """Return the restore request on a Trial that neither it nor its TrialEngine has answered."""
    return _on_trial("Restore", trial, engine)


def trial_delete(trial: Trial, engine: TrialEngine | None) -> Request | None:
    """Return the delete request on a Trial that neither it nor its TrialEngine has answered."""
    return _on_trial("Delete", trial, engine)


def ignored_restore(trial: Trial, now: datetime) -> Handled | None:
    """Return the answer to a restore that stands on a Trial with an empty status; None without one."""
    request = _request("Restore", trial.metadata, on_trial=True)
    if request is None or trial.status.observed_generation > 0 or trial.status.last_handled_restore:
        return None
    return handled(request, "Ignored", "the request is older than this object's status", now)


def echo(kind: Kind, trial: Trial, engine: TrialEngine) -> Handled | None:
    """Return what the Trial's status is to say of its latest request, by what the TrialEngine took over."""
    shown = trial.status.last_handled_restore if kind == "Restore" else trial.status.last_handled_delete
    request = _request(kind, trial.metadata, on_trial=True)
    if request is None or (shown is not None and shown.id == request.id):
        return shown
    taken = taken_over(engine, kind, request.id)
    if taken is None:
        return shown
    message = _given_before(taken) if _is_repeated(engine, taken) else taken.message
    return Handled(id=taken.id, time=taken.time, result=taken.result, message=message)


def repeated(kind: Kind, trial: Trial, engine: TrialEngine) -> str:
    """Return the echo's message if the latest request has an ID that was answered before; '' once shown."""
    shown = trial.status.last_handled_restore if kind == "Restore" else trial.status.last_handled_delete
    reply = echo(kind, trial, engine)
    if reply is None or reply == shown:
        return ""
    taken = taken_over(engine, kind, reply.id)
    return reply.message if taken is not None and _is_repeated(engine, taken) else ""


def pending_requests(status: TrialEngineStatus) -> tuple[Request, ...]:
    """Return the restore requests that wait for a new plan: taken over, and to be answered still."""
    if status.pending_plan is None:
        return ()
    asked = status.pending_plan.requests
    return tuple(Request("Restore", each.id, on_trial=each.on_trial, with_plan=True) for each in asked)


def handled(request: Request, result: Result, message: str, now: datetime) -> Handled:
    """Return the answer to a request, with its note; one with a fault is refused."""
    if request.fault:
        result, message = "Refused", request.fault
    elif request.note:
        message = f"{message[: LONGEST_MESSAGE - len(request.note) - 2]}; {request.note}"
    return Handled(id=request.id, time=now.astimezone(UTC), result=result, message=message[:LONGEST_MESSAGE])


def answer(
    status: TrialEngineStatus, requests: tuple[Request, ...], result: Result, message: str, now: datetime
) -> TrialEngineStatus:
    """Return `status` with the requests answered: to be written together with what they cause."""
    for request in requests:
        reply = handled(request, result, message, now)
        if request.on_trial:
            taken = TrialRequest(
                type=request.kind, id=reply.id, time=reply.time, result=reply.result, message=reply.message
            )
            kept = (*status.trial_requests, taken)[-_KEPT_REQUESTS:]
            status = msgspec.structs.replace(status, trial_requests=kept)
        elif request.kind == "Restore":
            status = msgspec.structs.replace(status, last_handled_restore=reply)
        else:
            status = msgspec.structs.replace(status, last_handled_delete=reply)
    return status


def _on_trial(kind: Kind, trial: Trial, engine: TrialEngine | None) -> Request | None:
    shown = trial.status.last_handled_restore if kind == "Restore" else trial.status.last_handled_delete
    request = _request(kind, trial.metadata, on_trial=True)
    if request is None or (shown is not None and shown.id == request.id):
        return None
    if engine is not None and taken_over(engine, kind, request.id) is not None:
        return None
    return None if engine is not None and _is_pending(engine, request) else request


def _on_engine(kind: Kind, engine: TrialEngine) -> Request | None:
    status = engine.status
    shown = status.last_handled_restore if kind == "Restore" else status.last_handled_delete
    request = _request(kind, engine.metadata, on_trial=False)
    if request is None or (shown is not None and shown.id == request.id):
        return None
    return None if _is_pending(engine, request) else request


def _request(kind: Kind, metadata: Metadata, *, on_trial: bool) -> Request | None:
    annotation = names.ANNOTATION_RESTORE if kind == "Restore" else names.ANNOTATION_DELETE
    value = metadata.annotations.get(annotation)
    if not value:
        return None
    fault = ""
    if len(value) > LONGEST_ID:
        fault = f"{annotation}: a request ID has at most {LONGEST_ID} characters; this one has {len(value)}"
    if kind == "Delete":
        return Request(kind, value[:LONGEST_ID], on_trial=on_trial, fault=fault)
    chosen, wrong, note = _from_activity(metadata, value)
    planned = metadata.annotations.get(names.ANNOTATION_RESTORE_PLAN)
    if planned and planned != value:
        other = f"{names.ANNOTATION_RESTORE_PLAN} is of request {planned[:80]!r} and was ignored"
        note = f"{note}; {other}" if note else other
    return Request(
        kind,
        value[:LONGEST_ID],
        on_trial=on_trial,
        from_activity=chosen,
        with_plan=planned == value,
        fault=fault or wrong,
        note=note,
    )


def _from_activity(metadata: Metadata, request: str) -> tuple[str | None, str, str]:
    """Return where restore-from lets a restore begin; a fault of the annotation; a note about it."""
    wanted = metadata.annotations.get(names.ANNOTATION_RESTORE_FROM)
    if wanted is None:
        return None, "", ""
    of, slash, activity = wanted.rpartition("/")
    if not slash or not activity:
        return None, f"{names.ANNOTATION_RESTORE_FROM}: must be <request ID>/<activity>", ""
    if of != request:
        return None, "", f"{names.ANNOTATION_RESTORE_FROM} is of request {of[:80]!r} and was ignored"
    return activity, "", ""


def _is_repeated(engine: TrialEngine, taken: TrialRequest) -> bool:
    """Return whether the Trial has asked for something else since a request was answered.

    It is not carried out again: the Trial that shows it may be an old version, known to a replica whose watch
    is late, and then nobody has asked again.
    """
    latest = [each.id for each in engine.status.trial_requests if each.type == taken.type]
    return latest[-1:] != [taken.id]


def _given_before(taken: TrialRequest) -> str:
    time = f"{taken.time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    note = f"request {taken.id:.80} was answered at {time} and is not repeated; use a new ID"
    return f"{note}: {taken.message}"[:LONGEST_MESSAGE]


def _is_pending(engine: TrialEngine, request: Request) -> bool:
    pending = ((each.id, each.on_trial) for each in pending_requests(engine.status))
    return request.kind == "Restore" and (request.id, request.on_trial) in pending


def taken_over(engine: TrialEngine, kind: Kind, request: str) -> TrialRequest | None:
    """Return the answer that a TrialEngine has given to a request on its Trial; None if it has not."""
    return next(
        (taken for taken in engine.status.trial_requests if taken.type == kind and taken.id == request),
        None,
    )
