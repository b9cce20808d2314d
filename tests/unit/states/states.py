"""The states that a trial can be in, each reached by letting the operator work: no status is made up."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.unit.domain.builders import at, nap
from tests.unit.states.stage import NAME, OTHER, REPORT, Stage

from lcm_operator.api.storage import rfc3339
from lcm_operator.domain import actions as act


@dataclass(frozen=True)
class State:
    """A row of the table; `known_by`: how it is told from the others."""

    name: str
    known_by: str
    reach: Callable[[], Stage]


def awaiting_registry() -> Stage:
    return Stage(startTime=None, registryRef={"name": "default"}).settle()


def scheduled() -> Stage:
    return Stage().settle()


def not_armed() -> Stage:
    return Stage(activities=None, **{"finally": None}, planRef={"name": "flight"}).advance(at(-30))


def armed(**spec: object) -> Stage:
    return Stage(**spec).advance(at(-30))


def suspended() -> Stage:
    stage = armed()
    stage.api.edit("trials", NAME, suspend=True)
    return stage.settle()


def duplicate() -> Stage:
    stage = Stage(OTHER, startTime=rfc3339(at(7200))).settle()
    stage.create_trial(NAME)
    return stage.settle()


def due(**spec: object) -> Stage:
    stage = armed(**spec)
    stage.now = at(0.2)
    return stage.until(act.CreatePod)


def latched() -> Stage:
    return due().until(act.LatchTrial)


def running(**spec: object) -> Stage:
    stage = due(**spec).until(act.LatchTrial).settle()
    stage.beats(begun=True)
    stage.now = at(5)
    stage.save(one="Succeeded", two="Running")
    return stage.settle()


def failed() -> Stage:
    stage = running()
    stage.save(two="Failed")
    stage.end_pod("Failed")
    return stage.settle()


def reporting() -> Stage:
    stage = running(onFailure=[nap(REPORT)])
    stage.reporting = True
    stage.save(two="Failed", **{REPORT: "Running"})
    return stage.settle()


def ending() -> Stage:
    stage = running()
    stage.node_lost = True
    stage.beats(begun=True, silent=61)
    stage.now = at(66)
    return stage.settle()


def restoring() -> Stage:
    stage = failed()
    stage.annotate("trials", restore="r0")
    return stage.until(act.WriteEngine)


def taking_plan() -> Stage:
    stage = failed()
    stage.api.edit("trials", NAME, activities=[nap(name) for name in ("one", "other", "three")])
    stage.annotate("trials", restore="r0", restore_plan="r0")
    return stage.until(act.WriteEngine)


def succeeded() -> Stage:
    stage = running()
    stage.save(two="Succeeded", three="Succeeded", free="Succeeded")
    stage.end_pod("Succeeded")
    return stage.settle()


def stopping() -> Stage:
    stage = running()
    stage.slow = True
    stage.now = at(601)
    stage.settle()
    stage.save(free="Running")
    return stage.settle()


def removing() -> Stage:
    stage = running()
    stage.slow = True
    stage.api.delete("trialengines", NAME)
    stage.settle()
    stage.save(free="Running")
    return stage.settle()


def missed() -> Stage:
    stage = Stage()
    stage.now = at(300)
    return stage.settle()


def cancelled() -> Stage:
    stage = scheduled()
    stage.annotate("trials", delete="d0")
    return stage.settle()


def engine_lost() -> Stage:
    stage = running()
    stage.api.remove("trialengines", NAME)
    return stage.settle()


def unreadable_engine() -> Stage:
    stage = running()
    stage.save(two="Paused")
    return stage.settle()


def unreadable_trial() -> Stage:
    stage = scheduled()
    stage.api.edit("trials", NAME, activities=[nap("one"), "from a newer version"])
    return stage.settle()


STATES = (
    State("AwaitingRegistry", "Scheduled=False AwaitingRegistry", awaiting_registry),
    State("Scheduled", "Scheduled=True, Armed=Unknown; the start is more than a minute away", scheduled),
    State("NotArmed", "Armed=False, here PlanNotFound; half a minute before the start", not_armed),
    State("Armed", "Armed=True; half a minute before the start", armed),
    State("Suspended", "Scheduled=False Suspended; half a minute before the start", suspended),
    State("Duplicate", "Accepted=False DuplicateTrialID; another Trial holds the ID", duplicate),
    State("Due", "the start time has come and the pod is created, but `startedTime` is not set yet", due),
    State("Latched", "`startedTime` is set, `podRef` of the TrialEngine is not", latched),
    State("Running", "Succeeded=Unknown Running; one of three activities has completed", running),
    State("Restoring", "Succeeded=Unknown Restoring; attempt 2 has no `podRef` yet", restoring),
    State(
        "TakingPlan",
        "`pendingPlan` of the TrialEngine is set, its spec is still the old one; attempt 2 has no `podRef`",
        taking_plan,
    ),
    State("Failed", "Succeeded=False, here ActivityFailed; the pod has ended", failed),
    State("Reporting", "Finished=False Reporting: an activity has failed, `onFailure` is running", reporting),
    State("Ending", "Finished=False Ending; a silent engine has failed, its pod was not seen to end", ending),
    State("Succeeded", "Succeeded=True; the pod has ended", succeeded),
    State("Stopping", "`stop` of the TrialEngine is Deadline; `finally` is running", stopping),
    State(
        "Removing",
        "the TrialEngine is being deleted, its `stop` is Cancel; `finally` is running",
        removing,
    ),
    State("Missed", "Succeeded=False Missed; there is no TrialEngine", missed),
    State("Cancelled", "Succeeded=False Cancelled; there is no TrialEngine", cancelled),
    State("EngineLost", "Succeeded=False EngineLost; the TrialEngine no longer exists", engine_lost),
    State(
        "Unreadable engine", "a newer version wrote the TrialEngine: it can't be parsed", unreadable_engine
    ),
    State("Unreadable trial", "the Trial can't be parsed, before its start", unreadable_trial),
)
