"""Start times that a registry reports: which read counts, how a move is shown, when to ask again. Pure.

The later of two reads counts, whoever made it: this process in its term, or whoever made the Trial and noted
it there. What was written to the Trial's status stands until a later read differs from it. So nothing is
forgotten while the registry is away. A move goes into the status before anything is done about it: an engine
that was armed for the old time is then removed for a reason that every process can see.

`ask_first` is the one gate before anything that can't be taken back: nothing is started or missed by a time
that was read too long ago, or in an earlier term, unless the registry was asked again and stayed silent.
"""

from datetime import UTC, datetime, timedelta

from lcm_operator.api import reasons
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
"""How long a trial that is not to start any more waits for the request to go out."""
_NOBODY_ASKED = RegistryLook()


def decide_move(snapshot: Snapshot, trial: Trial, now: datetime) -> Act | None:
    """Return the write that moves a trial to the time that the registry reports now; None if there is none.

    One that was missed is moved only ahead: then it is scheduled again.
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
    why = f"the registry moved the start time from {_shown(before)} to {_shown(reported)}"
    return act(
        WriteTrial(trial, trial_status(trial, now, start_time=reported, registry_moves=kept)),
        RecordEvent(trial, reasons.MOVED, why),
    )


def ask_for_the_first_time(snapshot: Snapshot, trial: Trial) -> Act | None:
    """Return the question to the registry of a trial without a start time, once in a term."""
    if trial.spec.registry_ref is None or trial.metadata.uid in snapshot.looks:
        return None
    return act(_ask(trial))


def ask_for_arming(snapshot: Snapshot, trial: Trial, start_time: datetime, now: datetime) -> Decision | None:
    """Return what comes before a trial is armed: a look at the registry; None if it was asked lately.

    Once when arming begins, and again shortly before the start if it would be too long ago by then.
    """
    settings = snapshot.settings
    since = min(start_time - settings.arm_lead, now - settings.fresh_enough)
    if now >= start_time - settings.ask_again_lead:
        since = start_time - settings.fresh_at_start + settings.registry_patience
    return _ask_since(snapshot, trial, since, now, start_time, to_act=False)


def ask_first(
    snapshot: Snapshot, trial: Trial, now: datetime, limit: datetime | None = None
) -> Decision | None:
    """Return what comes before a trial is started or missed: a look at the registry; None if it was asked.

    In bounded time: where a registry stays silent, what was known before counts; at `limit` at once. A
    registry is not silent that was not asked yet, because others are: until `limit` that is waited for.
    """
    return _ask_since(snapshot, trial, now - snapshot.settings.fresh_at_start, now, limit, to_act=True)


def unconfirmed(snapshot: Snapshot, trial: Trial, now: datetime) -> tuple[RecordEvent, ...]:
    """Return the Event about a trial that goes by a time which its registry did not confirm; () if it did."""
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
    """Return what the registry reported to this process, unless the Trial was made by a later read."""
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
    """Return the question, or the wait for its answer; `to_act`: something that can't be taken back follows.

    Before that a request that has not gone out yet is waited for: its registry is not silent.
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
    assert trial.spec.registry_ref is not None  # noqa: S101 - for mypy: every caller has looked
    return AskRegistry(trial)


def _shown(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
