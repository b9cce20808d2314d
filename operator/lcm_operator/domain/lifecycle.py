"""From the latch on: grant, outcome, restore. Pure; called by `domain.decide`.

    latched ──pod──> granted ──checkpoint says so──> Succeeded | Failed
       ^                                                  │
       └── attempt n+1 <── old pod has ended <── restore ─┘   (also from granted)

Attempts never overlap: the write that begins attempt n+1 is made only after the pod of attempt n has ended.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.engine import PodRef, TrialEngine
from lcm_operator.api.trial import Trial
from lcm_operator.domain.actions import (
    Action,
    CreatePod,
    Decision,
    DeletePod,
    GrantEngine,
    LookUpEngine,
    LookUpPod,
    RecordEvent,
    Urgency,
    WriteEngine,
    WriteTrial,
    act,
    wait,
)
from lcm_operator.domain.outcome import judge, progress
from lcm_operator.domain.pods import engine_pod
from lcm_operator.domain.requests import Restore, answer, echo_due, open_restores
from lcm_operator.domain.restoring import finished, granted_attempts, restored
from lcm_operator.domain.snapshot import Absent, Pod, Snapshot
from lcm_operator.domain.trial_status import Set, is_final, trial_status


def decide_running(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    """Decide about a latched trial."""
    engine, reference = snapshot.engine, trial.status.engine_ref
    if engine is None or reference is None or engine.metadata.uid != reference.uid:
        return _lost(snapshot, trial, now)
    if engine.metadata.deletion_timestamp is not None:
        return wait("the TrialEngine is being removed")
    if engine.status.pod_ref is None:
        return _grant(snapshot, trial, engine, now)
    if restores := open_restores(trial, engine):
        return _restore(snapshot, trial, engine, restores, now)
    outcome = judge(snapshot, engine)
    settled = not conditions.is_true(engine.status.conditions, reasons.SUCCEEDED) and (
        not conditions.is_false(engine.status.conditions, reasons.SUCCEEDED)
    )
    if outcome is not None and settled:
        return act(WriteEngine(engine, finished(engine, outcome, now)))
    if mirrored := _mirror(trial, engine, now):
        return act(*mirrored)
    if outcome is None:
        return _look(snapshot, engine) or wait("the engine is working")
    return wait("the engine has ended; a restore or delete may come")


def _look(snapshot: Snapshot, engine: TrialEngine) -> Decision | None:
    """Return what has to be read before more can be said: the pod once, the TrialEngine after its end."""
    pod = snapshot.pod
    if pod is None:
        return act(LookUpPod(engine.metadata.namespace, _pod_name(engine)))
    over = isinstance(pod, Absent) or pod.ended
    if over and not snapshot.engine_read_after_end:
        return act(LookUpEngine(engine.metadata.namespace, engine.metadata.name))
    return None


def _lost(snapshot: Snapshot, trial: Trial, now: datetime) -> Decision:
    if is_final(trial):
        return wait("the trial has its outcome")
    if snapshot.engine is None and not snapshot.engine_gone:
        return act(LookUpEngine(trial.metadata.namespace, snapshot.name))
    why = f"TrialEngine {snapshot.name} is gone, and with it the checkpoint"
    status = trial_status(trial, now, Set(reasons.SUCCEEDED, "False", reasons.ENGINE_LOST, why))
    return act(WriteTrial(trial, status), RecordEvent(trial, reasons.ENGINE_LOST, why, warning=True))


def _grant(snapshot: Snapshot, trial: Trial, engine: TrialEngine, now: datetime) -> Decision:
    attempt = max(engine.status.attempt, 1)
    pod = snapshot.pod
    if not isinstance(pod, Pod) or pod.name != names.pod_name(engine.metadata.name, attempt):
        refusal = snapshot.refusal
        if refusal is not None and now < refusal.at + snapshot.settings.retry_start:
            again = refusal.at + snapshot.settings.retry_start
            return wait(f"the pod is tried again: {refusal.problem.message}", again, Urgency.FOLLOW)
        manifest = engine_pod(engine, attempt, snapshot.settings.engine_image)
        return act(CreatePod(engine, manifest), urgency=Urgency.FOLLOW)
    moment = now.astimezone(UTC)
    status = msgspec.structs.replace(
        engine.status,
        attempt=attempt,
        pod_ref=PodRef(name=pod.name, uid=pod.uid, not_before=moment),
        attempts=granted_attempts(engine.status, attempt, moment),
        attempts_total=max(engine.status.attempts_total, 1),
        phase="Running",
        conditions=conditions.with_condition(
            conditions.with_condition(
                engine.status.conditions,
                reasons.STARTED,
                "True",
                reasons.ENGINE_STARTED,
                now=moment,
                generation=engine.metadata.generation,
            ),
            reasons.SUCCEEDED,
            "Unknown",
            reasons.RUNNING,
            now=moment,
            generation=engine.metadata.generation,
            message=f"attempt {attempt} is running",
        ),
    )
    early = open_restores(trial, engine)
    met = f"met by attempt {attempt}, which had not begun yet"
    return act(GrantEngine(engine, answer(status, early, "Merged", met, moment)), urgency=Urgency.FOLLOW)


def _restore(
    snapshot: Snapshot, trial: Trial, engine: TrialEngine, restores: tuple[Restore, ...], now: datetime
) -> Decision:
    moment = now.astimezone(UTC)
    known = {activity.name for activity in engine.spec.activities}
    unmet = tuple(r for r in restores if r.from_activity is not None and r.from_activity not in known)
    if unmet:
        why = f"restore-from: the plan has no activity {unmet[0].from_activity!r}"
        refused = answer(engine.status, unmet, "Refused", why, moment)
        return act(WriteEngine(engine, refused), RecordEvent(trial, reasons.REFUSED, why, warning=True))
    pod = snapshot.pod
    if pod is None:
        return act(LookUpPod(engine.metadata.namespace, _pod_name(engine)))
    if isinstance(pod, Pod) and not pod.ended:
        if not pod.deleting:
            return act(DeletePod(engine.metadata.namespace, pod.name, pod.uid))
        again = now + snapshot.settings.poll_ending_pod
        return wait("the old pod is ending", again)
    if not snapshot.engine_read_after_end:
        return act(LookUpEngine(engine.metadata.namespace, engine.metadata.name))
    chosen = next((r.from_activity for r in restores if r.from_activity is not None), None)
    reason = "RestoreFrom" if chosen else "Restore"
    status = restored(engine, reason, moment, chosen)
    begins = f"attempt {status.attempt} begins at {status.attempts[-1].from_activity or 'the end'}"
    return act(
        WriteEngine(engine, answer(status, restores, "Done", begins, moment)),
        RecordEvent(trial, reasons.RESTORED, begins),
    )


def _mirror(trial: Trial, engine: TrialEngine, now: datetime) -> tuple[Action, ...]:
    """Return the write that makes the Trial show what its TrialEngine says, and the Event; () if it does."""
    outcome = conditions.find(engine.status.conditions, reasons.SUCCEEDED)
    succeeded = (
        Set(reasons.SUCCEEDED, outcome.status, outcome.reason, outcome.message)
        if outcome is not None
        else Set(reasons.SUCCEEDED, "Unknown", reasons.RUNNING)
    )
    status = trial_status(
        trial,
        now,
        succeeded,
        progress=progress(engine),
        first_activity_lag_milliseconds=_first_activity_lag(engine),
        last_handled_restore=echo_due(trial, engine) or trial.status.last_handled_restore,
    )
    if status == trial.status:
        return ()
    actions: list[Action] = [WriteTrial(trial, status)]
    shown = conditions.find(trial.status.conditions, reasons.SUCCEEDED)
    if succeeded.status != "Unknown" and (shown is None or shown.status != succeeded.status):
        failed = succeeded.status == "False"
        actions.append(RecordEvent(trial, succeeded.reason, succeeded.message, warning=failed))
    return tuple(actions)


def _first_activity_lag(engine: TrialEngine) -> int | None:
    first = engine.spec.activities[0].name if engine.spec.activities else ""
    begun = engine.status.activity(first).start_time
    if begun is None:
        return None
    lag = max(timedelta(0), begun - engine.spec.start_time)
    return int(lag / timedelta(milliseconds=1))


def _pod_name(engine: TrialEngine) -> str:
    return names.pod_name(engine.metadata.name, max(engine.status.attempt, 1))
