"""The events: what people, time, the API server, the node and the engine can do to a trial in any state.

Each changes the stage, or returns why it can't happen there. The operator is not asked in between.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from tests.unit.domain.builders import at, nap
from tests.unit.states.stage import ACTIVE_DEADLINE, FINALLY, NAME, OTHER, PLAN, TTL, Stage

from lcm_operator.api.names import GROUP
from lcm_operator.api.storage import rfc3339
from lcm_operator.kube.errors import RejectedError, UnavailableError

Impossible = str | None
HOLD = "example.com/hold"
"""Somebody else's finalizer."""


@dataclass(frozen=True)
class Event:
    """A line of each table."""

    name: str
    happen: Callable[[Stage], Impossible]


def _edit(stage: Stage, **spec: object) -> Impossible:
    assert stage.trial is not None
    try:
        stage.api.edit("trials", NAME, **spec)
    except RejectedError:
        return "the CRD rejects it, because the start is latched"
    if "startTime" in spec:
        stage.trial["spec"].pop("registryRef", None)
    return None


def start_time_comes(stage: Stage) -> Impossible:
    if stage.trial is None or "startTime" not in stage.trial["spec"]:
        return "no start time is known"
    if stage.now >= at(0):
        return "it has passed"
    stage.advance(at(0))
    return None


def deadline_passes(stage: Stage) -> Impossible:
    if stage.trial is None or "startTime" not in stage.trial["spec"]:
        return "no start time is known"
    if stage.now > at(120):
        return "it has passed"
    stage.now = at(121)
    return None


def moved_ahead(stage: Stage) -> Impossible:
    return _edit(stage, startTime=rfc3339(at(7200)))


def moved_to_just_now(stage: Stage) -> Impossible:
    return _edit(stage, startTime=rfc3339(stage.now - timedelta(seconds=10)))


def moved_far_back(stage: Stage) -> Impossible:
    return _edit(stage, startTime=rfc3339(stage.now - timedelta(hours=2)))


def edited(stage: Stage) -> Impossible:
    return _edit(stage, parameters={"height": "30"})


def suspend(stage: Stage) -> Impossible:
    if stage.trial is not None and stage.trial["spec"].get("suspend"):
        return "it is suspended"
    return _edit(stage, suspend=True)


def resume(stage: Stage) -> Impossible:
    if stage.trial is None or not stage.trial["spec"].get("suspend"):
        return "it is not suspended"
    return _edit(stage, suspend=False)


def resume_late(stage: Stage) -> Impossible:
    if why := resume(stage):
        return why
    if stage.now < at(0):
        stage.now = at(10)
    return None


def mended(stage: Stage) -> Impossible:
    if stage.trial is not None and "planRef" in stage.trial["spec"]:
        version = str(stage.api.version + 1)
        metadata = {"namespace": "lab", "name": "flight", "uid": "plan-1", "resourceVersion": version}
        stage.plans.append({"metadata": metadata, "spec": {"activities": [nap(name) for name in PLAN]}})
        return None
    saved = ((stage.engine or {}).get("status") or {}).get("activities", [])
    if any(activity["state"] == "Paused" for activity in saved):
        stage.save(two="Running")
        return None
    if stage.trial is not None and not isinstance(stage.trial["spec"]["activities"][-1], dict):
        return _edit(stage, activities=[nap(name) for name in PLAN])
    return "there is no obstacle"


def restore(stage: Stage) -> Impossible:
    stage.annotate("trials", restore="r1")
    return None


def restore_from(stage: Stage) -> Impossible:
    stage.annotate("trials", restore="r1", restore_from="r1/one")
    return None


def restore_plan(stage: Stage) -> Impossible:
    mended = [nap(name) for name in (*PLAN[:-1], "mended")]
    requests = {f"{GROUP}/restore": "r1", f"{GROUP}/restore-plan": "r1"}
    stage.api.edit("trials", NAME, annotations=requests, activities=mended)
    return None


def restore_on_engine(stage: Stage) -> Impossible:
    if stage.engine is None:
        return "there is no TrialEngine"
    stage.annotate("trialengines", restore="r1")
    return None


def delete(stage: Stage) -> Impossible:
    stage.annotate("trials", delete="d1")
    return None


def delete_on_engine(stage: Stage) -> Impossible:
    if stage.engine is None:
        return "there is no TrialEngine"
    stage.annotate("trialengines", delete="d1")
    return None


def trial_deleted(stage: Stage) -> Impossible:
    stage.api.delete("trials", NAME)
    return None


def trial_deleted_in_foreground(stage: Stage) -> Impossible:
    stage.api.set_finalizers("trials", NAME, "foregroundDeletion")
    stage.api.delete("trials", NAME)
    return None


def trial_deleted_and_held(stage: Stage) -> Impossible:
    stage.api.set_finalizers("trials", NAME, HOLD)
    stage.api.delete("trials", NAME)
    return None


def trial_deleted_orphaning(stage: Stage) -> Impossible:
    if stage.engine is None:
        return "there is no TrialEngine"
    stage.api.orphan("trialengines", NAME)
    stage.api.delete("trials", NAME)
    return None


def engine_deleted(stage: Stage) -> Impossible:
    if stage.engine is None:
        return "there is no TrialEngine"
    if "deletionTimestamp" in stage.engine["metadata"]:
        return "it is being deleted"
    stage.api.delete("trialengines", NAME)
    return None


def engine_gone(stage: Stage) -> Impossible:
    if stage.engine is None:
        return "there is no TrialEngine"
    stage.api.remove("trialengines", NAME)
    return None


def creates_refused(stage: Stage) -> Impossible:
    stage.api.refuses = RejectedError(403, "Forbidden", "exceeded quota")
    if stage.now < at(0):
        stage.advance(at(0))
    return None


def creates_refused_to_the_end(stage: Stage) -> Impossible:
    if stage.now >= at(0):
        return "the start time has passed"
    stage.api.refuses = RejectedError(403, "Forbidden", "exceeded quota")
    stage.advance(at(121))
    return None


def creates_refused_beyond_the_grant(stage: Stage) -> Impossible:
    if stage.trial is None or "startedTime" not in stage.trial["status"]:
        return "it has not started"
    if stage.engine is None:
        return "there is no TrialEngine"
    stage.api.refuses = RejectedError(403, "Forbidden", "exceeded quota")
    stage.advance(stage.now + timedelta(seconds=125))
    return None


def creates_not_answered(stage: Stage) -> Impossible:
    stage.api.refuses = UnavailableError(503, "ServiceUnavailable", "a webhook gives no answer")
    if stage.now < at(0):
        stage.advance(at(0))
    return None


def namespace_deleted(stage: Stage) -> Impossible:
    why = "unable to create new content in namespace lab because it is being terminated"
    stage.api.refuses = RejectedError(403, "Forbidden", why)
    for plural in ("trials", "trialengines", "pods"):
        for each in stage.api.all(plural):
            stage.api.delete(plural, each["metadata"]["name"])
    return None


def api_away(stage: Stage) -> Impossible:
    if stage.now < at(0):
        stage.advance(at(-1))
        stage.now = at(0)
    stage.api.away = True
    for _ in range(3):
        stage.step()
    stage.now += timedelta(seconds=10)
    stage.api.away = False
    return None


def _can_act(stage: Stage) -> Impossible:
    return None if stage.granted and not stage.node_lost else "no engine may act"


def success(stage: Stage) -> Impossible:
    if why := _can_act(stage):
        return why
    if stage.reporting:
        return "it has failed"
    stage.save(**dict.fromkeys((*PLAN, FINALLY), "Succeeded"))
    stage.end_pod("Succeeded")
    return None


def failure(stage: Stage) -> Impossible:
    if why := _can_act(stage):
        return why
    if stage.slow:
        stage.save(free="Failed")
        stage.end_pod("Succeeded")
    else:
        stage.save(two="Failed")
        stage.end_pod("Failed")
    return None


def _has_pod(stage: Stage) -> Impossible:
    if stage.pod is None:
        return "there is no pod"
    return (
        "its pod has ended" if stage.pod.get("status", {}).get("phase") in ("Succeeded", "Failed") else None
    )


def pod_ends(stage: Stage) -> Impossible:
    if why := _has_pod(stage):
        return why
    stage.end_pod("Failed")
    return None


def pod_disrupted(stage: Stage) -> Impossible:
    if why := _has_pod(stage):
        return why
    stage.end_pod("Failed", conditions=[{"type": "DisruptionTarget", "status": "True"}])
    return None


def pod_gone(stage: Stage) -> Impossible:
    if stage.pod is None:
        return "there is no pod"
    stage.api.remove("pods", stage.pod["metadata"]["name"])
    return None


def no_first_beat(stage: Stage) -> Impossible:
    if why := _can_act(stage):
        return why
    stage.beats(begun=False)
    stage.now += timedelta(seconds=121)
    return None


def silence(stage: Stage) -> Impossible:
    if why := _can_act(stage):
        return why
    stage.beats(begun=True, silent=61)
    stage.now += timedelta(seconds=61)
    return None


def active_deadline(stage: Stage) -> Impossible:
    if why := _can_act(stage):
        return why
    if stage.slow:
        return "it was stopped"
    stage.now += timedelta(seconds=ACTIVE_DEADLINE)
    return None


def finally_times_out(stage: Stage) -> Impossible:
    if not stage.slow:
        return "`finally` is not running"
    stage.now += timedelta(seconds=311)
    return None


def holder_goes(stage: Stage) -> Impossible:
    if stage.api.find("trials", OTHER) is None:
        return "no other Trial holds the ID"
    stage.api.delete("trials", OTHER)
    return None


def holder_goes_too_late(stage: Stage) -> Impossible:
    if why := holder_goes(stage):
        return why
    stage.now = at(10)
    return None


def other_comes(stage: Stage) -> Impossible:
    if stage.api.find("trials", OTHER) is not None:
        return "there is one already"
    stage.create_trial(OTHER, startTime=rfc3339(at(7200)))
    return None


def ttl_passes(stage: Stage) -> Impossible:
    if stage.outcome is None:
        return "it has no outcome"
    stage.now += timedelta(seconds=TTL + 1)
    return None


def operator_restarts(stage: Stage) -> Impossible:
    stage.restart()
    return None


EVENTS = (
    Event("the start time comes", start_time_comes),
    Event("the starting deadline passes without an operator", deadline_passes),
    Event("startTime moved two hours ahead", moved_ahead),
    Event("startTime moved to 10 s ago", moved_to_just_now),
    Event("startTime moved to two hours ago", moved_far_back),
    Event("another field of the spec changed (parameters)", edited),
    Event("suspend", suspend),
    Event("resume", resume),
    Event("resume, 10 s after the start time", resume_late),
    Event("the obstacle is removed", mended),
    Event("restore", restore),
    Event("restore-from the first activity", restore_from),
    Event("restore with a changed plan", restore_plan),
    Event("restore on the TrialEngine", restore_on_engine),
    Event("delete", delete),
    Event("delete on the TrialEngine", delete_on_engine),
    Event("Trial deleted (background)", trial_deleted),
    Event("Trial deleted (foreground)", trial_deleted_in_foreground),
    Event("Trial deleted, held by a foreign finalizer", trial_deleted_and_held),
    Event("Trial deleted (orphan)", trial_deleted_orphaning),
    Event("TrialEngine deleted by a person", engine_deleted),
    Event("TrialEngine removed by force, without its finalizers", engine_gone),
    Event("namespace deleted", namespace_deleted),
    Event("creates are rejected (403) from now on, also at the start time", creates_refused),
    Event("creates are rejected until the deadline has passed", creates_refused_to_the_end),
    Event("creates are rejected for longer than a grant may take", creates_refused_beyond_the_grant),
    Event("creates are not answered (503) from now on, also at the start time", creates_not_answered),
    Event("API server unavailable for 10 s, across the start time", api_away),
    Event("engine reports success", success),
    Event("engine reports failure", failure),
    Event("pod ends before the plan completes", pod_ends),
    Event("pod ends by a disruption", pod_disrupted),
    Event("pod no longer exists", pod_gone),
    Event("first renewal of the Lease is missing", no_first_beat),
    Event("no renewal of the Lease for heartbeatTimeoutSeconds", silence),
    Event("activeDeadlineSeconds are over", active_deadline),
    Event("finallyTimeoutSeconds are over", finally_times_out),
    Event("the holder of its ID is deleted before the start time", holder_goes),
    Event("the holder of its ID is deleted after the start time", holder_goes_too_late),
    Event("another Trial with its ID is created", other_comes),
    Event("ttlSecondsAfterFinished are over", ttl_passes),
    Event("the operator is killed and starts again", operator_restarts),
)
