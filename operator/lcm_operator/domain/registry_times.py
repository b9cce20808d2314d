"""Start times reported by a registry: which read counts, how a move is shown, when to ask again. Pure.

The later of two reads counts, whether by this process in its term or by the creator of the Trial, who
annotated it. The time in the Trial's status is kept until a later read differs, also while the registry is
away. A move is written to the status before it has effects: an engine that was armed for the old time is then
removed for a reason that every process can see.

`ask_first` is the one gate before irreversible steps: no trial is started or missed by a time that was read
too long ago, or in an earlier term, unless the registry was asked again and did not answer.
"""

from datetime import UTC, datetime, timedelta

from lcm_operator.api import reasons
from lcm_operator.api.times import in_utc
from lcm_operator.api.trial import RegistryMove, Trial
from lcm_operator.domain.actions import (
    Act,
    AskRegistry,
    Decision,
    RecordEvent,
    Urgency,
    WriteTrial,
    act,
    wait,
)
from lcm_operator.domain.snapshot import RegistryLook, Snapshot
from lcm_operator.domain.start_time import read_by_creator
from lcm_operator.domain.status import has_outcome, outcome, trial_status

_KEPT_MOVES = 5
_BEFORE_THE_LAST_MOMENT = timedelta(milliseconds=200)
_LONGEST_QUEUE = timedelta(seconds=25)
"""How long a trial that can no longer start waits for the request to be sent."""
_NOBODY_ASKED = RegistryLook()


def decide_move(snapshot: Snapshot, trial: Trial, now: datetime) -> Act | None:
    """Return the write that moves a trial to the time that the registry reports now; None without a move.

    A missed trial is moved only to a future time; then it is scheduled again.
    """
    reported, before = _later_report(snapshot, trial), trial.status.start_time
    if reported is None or before is None or reported == before or trial.spec.registry_ref is None:
        return None
    if trial.status.started_time is not None or trial.metadata.deletion_timestamp is not None:
        return None
    if outcome(trial) is not None and not (has_outcome(trial, reasons.MISSED) and reported > now):
        return None
    move = RegistryMove(from_=before, to=reported, time=now.astimezone(UTC))
    kept = (*trial.status.registry_moves, move)[-_KEPT_MOVES:]
    why = f"the registry moved the start time from {in_utc(before)} to {in_utc(reported)}"
    return act(
        WriteTrial(trial, trial_status(trial, now, start_time=reported, registry_moves=kept)),
        RecordEvent(trial, reasons.MOVED, why),
    )


def ask_for_the_first_time(snapshot: Snapshot, trial: Trial) -> Act | None:
    """Return the request for the start time of a trial that has none, once in a term."""
    if trial.spec.registry_ref is None or trial.metadata.uid in snapshot.looks:
        return None
    return act(_ask(trial))


def ask_for_arming(snapshot: Snapshot, trial: Trial, start_time: datetime, now: datetime) -> Decision | None:
    """Return the request to the registry before arming, or the wait for it; None after a recent answer.

    Once when arming begins, and again shortly before the start if the answer would be too old by then.
    """
    settings = snapshot.settings
    since = min(start_time - settings.arm_lead, now - settings.fresh_enough)
    if now >= start_time - settings.ask_again_lead:
        since = start_time - settings.fresh_at_start + settings.registry_patience
    return _ask_since(snapshot, trial, since, now, start_time, to_act=False)


def ask_first(
    snapshot: Snapshot, trial: Trial, now: datetime, limit: datetime | None = None
) -> Decision | None:
    """Return the request to the registry before a start or a miss, or the wait for it; None after an answer.

    In bounded time: if the registry does not answer, the last known time counts, at `limit` immediately. A
    request that still waits behind others is waited for until `limit`.
    """
    return _ask_since(snapshot, trial, now - snapshot.settings.fresh_at_start, now, limit, to_act=True)


def unconfirmed(snapshot: Snapshot, trial: Trial, now: datetime) -> tuple[RecordEvent, ...]:
    """Return the Event about a start time that the registry did not confirm; () if it did."""
    since = now - snapshot.settings.fresh_at_start
    if trial.spec.registry_ref is None or _is_confirmed(snapshot, trial, since):
        return ()
    look = _look(snapshot, trial)
    why = look.failed.value if look.failed is not None else "no answer in time"
    if look.queued is not None:
        why = f"it was not asked in time, as {look.queued.value} requests to other registries are in progress"
    name = trial.spec.registry_ref.name
    text = f"TrialRegistry {name} did not confirm the start time; the last known time is used: "
    return (RecordEvent(trial, reasons.REGISTRY_SILENT, text + why, warning=True),)


def _later_report(snapshot: Snapshot, trial: Trial) -> datetime | None:
    """Return the time reported to this process, unless the Trial was created from a later read."""
    reported, noted = snapshot.reported.get(trial.metadata.uid), read_by_creator(trial)
    if reported is None or (noted is not None and noted.time > reported.time):
        return None
    return reported.value


def _ask_since(
    snapshot: Snapshot,
    trial: Trial,
    since: datetime,
    now: datetime,
    limit: datetime | None,
    *,
    to_act: bool,
) -> Decision | None:
    """Return the request, or the wait for its answer; None if the answer is not needed or overdue.

    `to_act`: an irreversible step follows; then a request that is not sent yet is waited for.
    """
    look = _look(snapshot, trial)
    if trial.spec.registry_ref is None or _is_confirmed(snapshot, trial, since):
        return None
    if look.failed is not None and look.failed.time >= since:
        return None
    if limit is not None and now >= limit - _BEFORE_THE_LAST_MOMENT:
        return None
    if look.wanted is None or look.wanted < since:
        return act(_ask(trial), urgency=Urgency.FOLLOW)
    patience = snapshot.settings.registry_patience
    until = max(look.wanted, look.sent or look.wanted) + patience
    if look.queued is not None and to_act:
        until = now + patience if limit is not None else look.wanted + _LONGEST_QUEUE
    if limit is not None:
        until = min(until, limit - _BEFORE_THE_LAST_MOMENT)
    return wait("the registry is being asked", until, Urgency.FOLLOW) if now < until else None


def _is_confirmed(snapshot: Snapshot, trial: Trial, since: datetime) -> bool:
    answered, noted = _look(snapshot, trial).answered, read_by_creator(trial)
    return (answered is not None and answered >= since) or (noted is not None and noted.time >= since)


def _look(snapshot: Snapshot, trial: Trial) -> RegistryLook:
    return snapshot.looks.get(trial.metadata.uid, _NOBODY_ASKED)


def _ask(trial: Trial) -> AskRegistry:
    assert trial.spec.registry_ref is not None  # noqa: S101 - for mypy: every caller has checked it
    return AskRegistry(trial)
