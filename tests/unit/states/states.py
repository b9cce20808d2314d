"""The states that a trial can be in, each reached by letting the operator work: no status is made up."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.unit.domain.builders import at, nap
from tests.unit.states.harness import ACTIVE_DEADLINE, GIVE_UP, NAME, OTHER, REPORT, Harness

from lcm_operator.api.storage import rfc3339
from lcm_operator.domain import actions as act


@dataclass(frozen=True)
class State:
    """A row of the table; `known_by`: what distinguishes it from the others."""

    name: str
    known_by: str
    reach: Callable[[], Harness]


def awaiting_registry() -> Harness:
    return Harness(startTime=None, registryRef={"name": "default"}).settle()


def scheduled() -> Harness:
    return Harness().settle()


def not_armed() -> Harness:
    return Harness(activities=None, **{"finally": None}, planRef={"name": "flight"}).advance(at(-30))


def armed(**spec: object) -> Harness:
    return Harness(**spec).advance(at(-30))


def suspended() -> Harness:
    harness = armed()
    harness.api.edit("trials", NAME, suspend=True)
    return harness.settle()


def duplicate() -> Harness:
    harness = Harness(OTHER, startTime=rfc3339(at(7200))).settle()
    harness.create_trial(NAME)
    return harness.settle()


def due(**spec: object) -> Harness:
    harness = armed(**spec)
    harness.now = at(0.2)
    return harness.until(act.CreatePod)


def latched() -> Harness:
    return due().until(act.LatchTrial)


def running(**spec: object) -> Harness:
    harness = due(**spec).until(act.LatchTrial).settle()
    harness.beats(begun=True)
    harness.now = at(5)
    harness.save(one="Succeeded", two="Running")
    return harness.settle()


def failed() -> Harness:
    harness = running()
    harness.save(two="Failed")
    harness.end_pod("Failed")
    return harness.settle()


def reporting() -> Harness:
    harness = running(onFailure=[nap(REPORT)])
    harness.reporting = True
    harness.save(two="Failed", **{REPORT: "Running"})
    return harness.settle()


def ending() -> Harness:
    harness = running()
    harness.node_lost = True
    harness.beats(begun=True, silent=61)
    harness.now = at(66)
    return harness.settle()


def awaiting_restore() -> Harness:
    harness = running(engine={"activeDeadlineSeconds": ACTIVE_DEADLINE, "giveUpAfterSeconds": GIVE_UP})
    harness.save(two="Failed")
    harness.end_pod("Failed")
    return harness.settle()


def giving_up() -> Harness:
    harness = awaiting_restore()
    harness.slow = True
    harness.now = at(6 + GIVE_UP)
    harness.settle()
    harness.save(free="Running")
    return harness.settle()


def restoring() -> Harness:
    harness = failed()
    harness.annotate("trials", restore="r0")
    return harness.until(act.WriteEngine)


def taking_plan() -> Harness:
    harness = failed()
    harness.api.edit("trials", NAME, activities=[nap(name) for name in ("one", "other", "three")])
    harness.annotate("trials", restore="r0", restore_plan="r0")
    return harness.until(act.WriteEngine)


def succeeded() -> Harness:
    harness = running()
    harness.save(two="Succeeded", three="Succeeded", free="Succeeded")
    harness.end_pod("Succeeded")
    return harness.settle()


def stopping() -> Harness:
    harness = running()
    harness.slow = True
    harness.now = at(601)
    harness.settle()
    harness.save(free="Running")
    return harness.settle()


def removing() -> Harness:
    harness = running()
    harness.slow = True
    harness.api.delete("trialengines", NAME)
    harness.settle()
    harness.save(free="Running")
    return harness.settle()


def missed() -> Harness:
    harness = Harness()
    harness.now = at(300)
    return harness.settle()


def cancelled() -> Harness:
    harness = scheduled()
    harness.annotate("trials", delete="d0")
    return harness.settle()


def engine_lost() -> Harness:
    harness = running()
    harness.api.remove("trialengines", NAME)
    return harness.settle()


def unreadable_engine() -> Harness:
    harness = running()
    harness.save(two="Paused")
    return harness.settle()


def unreadable_trial() -> Harness:
    harness = scheduled()
    harness.api.edit("trials", NAME, activities=[nap("one"), "from a newer version"])
    return harness.settle()


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
    State(
        "AwaitingRestore",
        "Finished=False AwaitingRestore: as Failed, but `giveUpAfterSeconds` is set, and `finally` is owed",
        awaiting_restore,
    ),
    State("GivingUp", "`stop` of the TrialEngine is GiveUp; `finally` is running", giving_up),
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
