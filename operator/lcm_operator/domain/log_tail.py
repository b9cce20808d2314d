"""The end of the log of each attempt that has ended, kept on the TrialEngine: its pod may be deleted. Pure.

    the pod has ended ──LookUpEngine──┐
    the pod is to be deleted ──DeletePod──> snapshot.log ──> attempts[].log, with the next write

Best effort: a log that can't be read is never waited for.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from lcm_operator.api.engine import Attempt, TrialEngine, TrialEngineStatus
from lcm_operator.api.printable import printable
from lcm_operator.domain.actions import Act, Decision, LookUpEngine, Wait, WriteEngine, act
from lcm_operator.domain.snapshot import Pod, Snapshot, value_of

_LONGEST = 4096
"""UTF-8 bytes."""
_KEPT = 3
"""Attempts, the last ones, whose log is kept: 4 KiB each."""
_READ_WITHIN = timedelta(minutes=10)
"""Of attempts that ended earlier no log is read: a new leader would read those of all finished engines."""


def last_part(text: str) -> str:
    """Return the end of a log, if possible from the beginning of a line, without control characters."""
    plain = printable(text.rstrip())
    end = plain.encode()[-_LONGEST:].decode(errors="ignore")
    if len(end) == len(plain):
        return end
    return end.partition("\n")[2] or end


def keep_log(snapshot: Snapshot, engine: TrialEngine, now: datetime) -> Act | None:
    """Return the step that keeps the log of an attempt whose outcome was written before its pod ended."""
    pod, last = value_of(snapshot.pod), engine.status.attempts[-1:]
    if not isinstance(pod, Pod) or not pod.ended or not last or last[0].log is not None:
        return None
    if last[0].completion_time is None or now - last[0].completion_time > _READ_WITHIN:
        return None
    if not snapshot.engine_read_after_end:
        return act(LookUpEngine())
    status = _with_log(snapshot, engine, engine.status)
    return act(WriteEngine(engine, status)) if status != engine.status else None


def with_logs(snapshot: Snapshot, decision: Decision) -> Decision:
    """Return the decision with the log that was read in each write of an attempt that has ended."""
    if isinstance(decision, Wait) or snapshot.log is None:
        return decision
    actions = (
        replace(each, status=_with_log(snapshot, each.engine, each.status))
        if isinstance(each, WriteEngine)
        else each
        for each in decision.actions
    )
    return replace(decision, actions=tuple(actions))


def _with_log(snapshot: Snapshot, engine: TrialEngine, status: TrialEngineStatus) -> TrialEngineStatus:
    """Return `status` with the log of the attempt that `engine` has granted, if it has ended by `status`."""
    granted, known = engine.status.pod_ref, value_of(snapshot.log)
    if granted is None or known is None or known.pod_uid != granted.uid or not known.text:
        return status
    kept = tuple(_kept(status.attempts, engine.status.attempt, known.text))
    return msgspec.structs.replace(status, attempts=kept) if kept != status.attempts else status


def _kept(attempts: tuple[Attempt, ...], number: int, text: str) -> Iterator[Attempt]:
    newest = max((each.number for each in attempts), default=0)
    for each in attempts:
        log = each.log
        if each.number == number and each.completion_time is not None and log is None:
            log = text
        yield msgspec.structs.replace(each, log=log if each.number > newest - _KEPT else None)
