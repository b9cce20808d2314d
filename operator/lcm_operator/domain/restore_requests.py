"""What the open restore requests of a trial come to, together, and how each is answered. Pure.

Trial and TrialEngine may be asked at the same time, and for different things. One request is carried out; the
others are met by it, or refused. A request is answered by what has happened, never by what was meant to.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from lcm_operator.api import reasons
from lcm_operator.api.engine import TrialEngine, TrialEngineStatus
from lcm_operator.api.similar import did_you_mean
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import Act, RecordEvent, WriteEngine, act
from lcm_operator.domain.requests import Request, answer, open_restores
from lcm_operator.domain.stop import was_granted
from lcm_operator.plan.branches import preceding

Refusal = tuple[Request, str]


@dataclass(frozen=True)
class Restores:
    """The open requests for restores that can be met, and those that can't, with the reason."""

    requests: tuple[Request, ...] = ()
    refused: tuple[Refusal, ...] = ()

    @property
    def leader(self) -> Request | None:
        """The request that is carried out: the first that asks for more than the latest checkpoint."""
        first = self.requests[0] if self.requests else None
        return next((request for request in self.requests if _is_demanding(request)), first)

    @property
    def from_activity(self) -> str | None:
        """Where the next attempt is to begin; None: at the latest checkpoint."""
        return self.leader.from_activity if self.leader is not None else None

    @property
    def with_plan(self) -> bool:
        """Whether the next attempt is to take the plan as it stands now."""
        return self.leader is not None and self.leader.with_plan

    @property
    def alike(self) -> tuple[Request, ...]:
        """The requests that ask for what is carried out."""
        return tuple(each for each in self.requests if self.leader and _wish(each) == _wish(self.leader))

    @property
    def is_demanding(self) -> bool:
        """Whether more is asked for than to go on from the latest checkpoint."""
        return self.leader is not None and _is_demanding(self.leader)


def judged(trial: Trial, engine: TrialEngine, *, on_current_plan: bool = False) -> Restores:
    """Return the open requests, judged by the checkpoint as it is known.

    Where a request begins that takes the plan as it stands now is not judged here, unless the engine has that
    plan (`on_current_plan`): then it asks for nothing more than others.
    """
    asked = open_restores(trial, engine)
    if on_current_plan:
        asked = tuple(_on_current_plan(request, engine) for request in asked)
    found = [(request, _fault(request, engine)) for request in asked]
    return Restores(
        requests=tuple(request for request, why in found if not why),
        refused=tuple((request, why) for request, why in found if why),
    )


def refuse(trial: Trial, engine: TrialEngine, refusals: tuple[Refusal, ...], now: datetime) -> Act:
    """Return the write that refuses requests, and the Events that say why."""
    status, events = refused(trial, engine.status, refusals, now)
    return act(WriteEngine(engine, status), *events)


def done(
    trial: Trial, status: TrialEngineStatus, restores: Restores, message: str, now: datetime
) -> tuple[TrialEngineStatus, tuple[RecordEvent, ...]]:
    """Return `status` with the answers to all: to be written together with what `message` says was done.

    Who asked for the same, or for no more than a restore, got it. Who asked for something else is refused.
    """
    if restores.leader is None:
        return status, ()
    status = answer(status, restores.alike, "Done", message, now)
    plain = tuple(
        each for each in restores.requests if not _is_demanding(each) and each not in restores.alike
    )
    status = answer(status, plain, "Merged", f"{message}, as requested by {restores.leader.label}", now)
    return refused(trial, status, contradicting(restores, message), now)


def contradicting(restores: Restores, message: str) -> tuple[Refusal, ...]:
    """Return the requests for something else than what is carried out, and what they are told."""
    leader = restores.leader
    if leader is None:
        return ()
    why = f"{message}, as requested by {leader.label} at the same time; request it again"
    return tuple(
        (each, why) for each in restores.requests if _is_demanding(each) and _wish(each) != _wish(leader)
    )


def refused(
    trial: Trial, status: TrialEngineStatus, refusals: tuple[Refusal, ...], now: datetime
) -> tuple[TrialEngineStatus, tuple[RecordEvent, ...]]:
    """Return `status` with the refusals, and their Events."""
    for request, why in refusals:
        status = answer(status, (request,), "Refused", why, now)
    return status, tuple(RecordEvent(trial, reasons.REFUSED, why, warning=True) for _, why in refusals)


def _on_current_plan(request: Request, engine: TrialEngine) -> Request:
    if not request.with_plan:
        return request
    note = f"the engine has the latest plan, of generation {engine.spec.plan_generation}"
    return replace(request, with_plan=False, note=f"{request.note}; {note}" if request.note else note)


def _wish(request: Request) -> tuple[object, ...]:
    return request.from_activity, request.with_plan


def _is_demanding(request: Request) -> bool:
    return request.from_activity is not None or request.with_plan


def _fault(request: Request, engine: TrialEngine) -> str:
    """Return why a request can't be met as things are; nothing if it can."""
    if request.fault or request.from_activity is None or request.with_plan:
        return request.fault
    return restore_from_fault(request.from_activity, engine)


def restore_from_fault(chosen: str, engine: TrialEngine) -> str:
    """Return why no attempt can begin before an activity: nobody may be led past what has not passed."""
    spec = engine.spec
    if chosen not in {activity.name for activity in spec.activities}:
        lists = {"onFailure": spec.on_failure, "finally": spec.finally_}
        for field, activities in lists.items():
            if chosen in {activity.name for activity in activities}:
                return f"restore-from: {chosen!r} belongs to {field}; expected one of activities"
        hint = did_you_mean(chosen, [activity.name for activity in spec.activities])
        return f"restore-from: the plan has no activity {chosen!r}{hint}"
    for activity in preceding(spec.activities, chosen):
        if engine.status.activity(activity.name).is_passed(activity):
            continue
        if not was_granted(engine):
            return f"restore-from: nothing has run yet, the first attempt begins at {activity.name!r}"
        state = engine.status.activity(activity.name).state
        return f"restore-from: {activity.name!r} comes before {chosen!r} and has not passed ({state})"
    return ""
