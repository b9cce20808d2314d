"""The events: what people, time and the API server can do to a trial in any state, and `engine_events`.

Each changes the harness, or returns why it can't happen there. The operator is not asked in between.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from tests.unit.domain.builders import at, nap
from tests.unit.states import engine_events as engine
from tests.unit.states.harness import NAME, OTHER, PLAN, TTL, Harness

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
    happen: Callable[[Harness], Impossible]


def _edit(harness: Harness, **spec: object) -> Impossible:
    assert harness.trial is not None
    try:
        harness.api.edit("trials", NAME, **spec)
    except RejectedError:
        return "the CRD rejects it, because the start is latched"
    if "startTime" in spec:
        harness.trial["spec"].pop("registryRef", None)
    return None


def start_time_comes(harness: Harness) -> Impossible:
    if harness.trial is None or "startTime" not in harness.trial["spec"]:
        return "no start time is known"
    if harness.now >= at(0):
        return "it has passed"
    harness.advance(at(0))
    return None


def deadline_passes(harness: Harness) -> Impossible:
    if harness.trial is None or "startTime" not in harness.trial["spec"]:
        return "no start time is known"
    if harness.now > at(120):
        return "it has passed"
    harness.now = at(121)
    return None


def moved_ahead(harness: Harness) -> Impossible:
    return _edit(harness, startTime=rfc3339(at(7200)))


def moved_to_just_now(harness: Harness) -> Impossible:
    return _edit(harness, startTime=rfc3339(harness.now - timedelta(seconds=10)))


def moved_far_back(harness: Harness) -> Impossible:
    return _edit(harness, startTime=rfc3339(harness.now - timedelta(hours=2)))


def edited(harness: Harness) -> Impossible:
    return _edit(harness, parameters={"height": "30"})


def suspend(harness: Harness) -> Impossible:
    if harness.trial is not None and harness.trial["spec"].get("suspend"):
        return "it is suspended"
    return _edit(harness, suspend=True)


def resume(harness: Harness) -> Impossible:
    if harness.trial is None or not harness.trial["spec"].get("suspend"):
        return "it is not suspended"
    return _edit(harness, suspend=False)


def resume_late(harness: Harness) -> Impossible:
    if why := resume(harness):
        return why
    if harness.now < at(0):
        harness.now = at(10)
    return None


def mended(harness: Harness) -> Impossible:
    if harness.trial is not None and "planRef" in harness.trial["spec"]:
        plan = {"activities": [nap(name) for name in PLAN]}
        harness.api.put("trialplans", {"metadata": {"name": "flight"}, "spec": plan})
        return None
    saved = ((harness.engine or {}).get("status") or {}).get("activities", [])
    if any(activity["state"] == "Paused" for activity in saved):
        harness.save(two="Running")
        return None
    if harness.trial is not None and not isinstance(harness.trial["spec"]["activities"][-1], dict):
        return _edit(harness, activities=[nap(name) for name in PLAN])
    return "there is no obstacle"


def restore(harness: Harness) -> Impossible:
    harness.annotate("trials", restore="r1")
    return None


def restore_from(harness: Harness) -> Impossible:
    harness.annotate("trials", restore="r1", restore_from="r1/one")
    return None


def restore_plan(harness: Harness) -> Impossible:
    mended = [nap(name) for name in (*PLAN[:-1], "mended")]
    requests = {f"{GROUP}/restore": "r1", f"{GROUP}/restore-plan": "r1"}
    harness.api.edit("trials", NAME, annotations=requests, activities=mended)
    return None


def restore_on_engine(harness: Harness) -> Impossible:
    if harness.engine is None:
        return "there is no TrialEngine"
    harness.annotate("trialengines", restore="r1")
    return None


def delete(harness: Harness) -> Impossible:
    harness.annotate("trials", delete="d1")
    return None


def delete_on_engine(harness: Harness) -> Impossible:
    if harness.engine is None:
        return "there is no TrialEngine"
    harness.annotate("trialengines", delete="d1")
    return None


def trial_deleted(harness: Harness) -> Impossible:
    harness.api.delete("trials", NAME)
    return None


def trial_deleted_in_foreground(harness: Harness) -> Impossible:
    harness.api.set_finalizers("trials", NAME, "foregroundDeletion")
    harness.api.delete("trials", NAME)
    return None


def trial_deleted_and_held(harness: Harness) -> Impossible:
    harness.api.set_finalizers("trials", NAME, HOLD)
    harness.api.delete("trials", NAME)
    return None


def trial_deleted_orphaning(harness: Harness) -> Impossible:
    if harness.engine is None:
        return "there is no TrialEngine"
    harness.api.orphan("trialengines", NAME)
    harness.api.delete("trials", NAME)
    return None


def engine_deleted(harness: Harness) -> Impossible:
    if harness.engine is None:
        return "there is no TrialEngine"
    if "deletionTimestamp" in harness.engine["metadata"]:
        return "it is being deleted"
    harness.api.delete("trialengines", NAME)
    return None


def engine_gone(harness: Harness) -> Impossible:
    if harness.engine is None:
        return "there is no TrialEngine"
    harness.api.remove("trialengines", NAME)
    return None


def creates_refused(harness: Harness) -> Impossible:
    harness.api.refuses = RejectedError(403, "Forbidden", "exceeded quota")
    if harness.now < at(0):
        harness.advance(at(0))
    return None


def creates_refused_to_the_end(harness: Harness) -> Impossible:
    if harness.now >= at(0):
        return "the start time has passed"
    harness.api.refuses = RejectedError(403, "Forbidden", "exceeded quota")
    harness.advance(at(121))
    return None


def creates_refused_beyond_the_grant(harness: Harness) -> Impossible:
    if harness.trial is None or "startedTime" not in harness.trial["status"]:
        return "it has not started"
    if harness.engine is None:
        return "there is no TrialEngine"
    harness.api.refuses = RejectedError(403, "Forbidden", "exceeded quota")
    harness.advance(harness.now + timedelta(seconds=125))
    return None


def creates_not_answered(harness: Harness) -> Impossible:
    harness.api.refuses = UnavailableError(503, "ServiceUnavailable", "a webhook gives no answer")
    if harness.now < at(0):
        harness.advance(at(0))
    return None


def namespace_deleted(harness: Harness) -> Impossible:
    why = "unable to create new content in namespace lab because it is being terminated"
    harness.api.refuses = RejectedError(403, "Forbidden", why)
    for plural in ("trials", "trialengines", "pods"):
        for each in harness.api.all(plural):
            harness.api.delete(plural, each["metadata"]["name"])
    return None


def api_away(harness: Harness) -> Impossible:
    if harness.now < at(0):
        harness.advance(at(-1))
        harness.now = at(0)
    harness.api.away = True
    for _ in range(3):
        harness.step()
    harness.now += timedelta(seconds=10)
    harness.api.away = False
    return None


def holder_goes(harness: Harness) -> Impossible:
    if harness.api.find("trials", OTHER) is None:
        return "no other Trial holds the ID"
    harness.api.delete("trials", OTHER)
    return None


def holder_goes_too_late(harness: Harness) -> Impossible:
    if why := holder_goes(harness):
        return why
    harness.now = at(10)
    return None


def other_comes(harness: Harness) -> Impossible:
    if harness.api.find("trials", OTHER) is not None:
        return "there is one already"
    harness.create_trial(OTHER, startTime=rfc3339(at(7200)))
    return None


def ttl_passes(harness: Harness) -> Impossible:
    if harness.outcome is None:
        return "it has no outcome"
    harness.now += timedelta(seconds=TTL + 1)
    return None


def operator_restarts(harness: Harness) -> Impossible:
    harness.restart()
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
    Event("engine reports success", engine.success),
    Event("engine reports failure", engine.failure),
    Event("pod ends before the plan completes", engine.pod_ends),
    Event("container engine ends, others run", engine.engine_ends_beside_others),
    Event("pod ends by a disruption", engine.pod_disrupted),
    Event("pod no longer exists", engine.pod_gone),
    Event("first renewal of the Lease is missing", engine.no_first_beat),
    Event("no renewal of the Lease for heartbeatTimeoutSeconds", engine.silence),
    Event("activeDeadlineSeconds are over", engine.active_deadline),
    Event("finallyTimeoutSeconds are over", engine.finally_times_out),
    Event("giveUpAfterSeconds are over", engine.give_up_passes),
    Event("the holder of its ID is deleted before the start time", holder_goes),
    Event("the holder of its ID is deleted after the start time", holder_goes_too_late),
    Event("another Trial with its ID is created", other_comes),
    Event("ttlSecondsAfterFinished are over", ttl_passes),
    Event("the operator is killed and starts again", operator_restarts),
)
