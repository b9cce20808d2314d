"""A Trial that is over is the memory of its start: what removes it may not bring that start about again."""

import time

from tests.cluster.operator_harness import OperatorHarness, in_seconds
from tests.cluster.proxied_harness import ProxiedHarness
from tests.cluster.proxy import Request


def applied(harness: OperatorHarness, start: str, **spec) -> bool:
    """Apply the one manifest, as GitOps does; return whether that created the Trial."""
    if any(trial.name == "again" for trial in harness.trials()):
        return False
    harness.trial("again", start=start, **spec)
    return True


def test_a_manifest_applied_again_and_again_is_started_once(harness: OperatorHarness):
    start, ends = in_seconds(0), time.monotonic() + 20
    creations = 0
    while time.monotonic() < ends:
        creations += applied(harness, start, startingDeadlineSeconds=12, ttlSecondsAfterFinished=1)
        time.sleep(0.5)
    assert harness.pods_created()["again-1"] == 1
    assert creations > 1, "the Trial was removed once its deadline had passed"
    assert harness.events("Missed"), "what was applied after the deadline is missed"


def deletes_trial(request: Request) -> bool:
    return request.method == "DELETE" and request.resource == "trials"


def test_a_trial_that_is_scheduled_again_while_it_expires_stays(proxied: ProxiedHarness):
    held = proxied.proxy.hold(deletes_trial)
    trial = proxied.trial("race", start=in_seconds(-60), startingDeadlineSeconds=0, ttlSecondsAfterFinished=0)
    held.wait()
    trial.reload()
    trial.patch({"spec": {"startTime": in_seconds(3600)}})
    held.go()
    proxied.until_condition(trial, "Scheduled", "True", "StartTimeKnown")
    proxied.until(trial, lambda status: status["phase"] == "Scheduled")
