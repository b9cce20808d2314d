"""Each race of the design ("Winners") on a real API server: each side wins once, held back by the proxy."""

from collections.abc import Callable

import pykube
import pytest
from tests.cluster.operator_harness import Trial, TrialEngine, in_seconds, nap
from tests.cluster.proxied_harness import (
    ProxiedHarness,
    begins_attempt,
    creates_pod,
    grants,
    latches,
)
from tests.cluster.proxy import Matches

PLAN = [nap("one"), nap("two"), nap("three")]
Act = Callable[[ProxiedHarness, Trial], None]


def due(harness: ProxiedHarness, **spec) -> Trial:
    """Apply a trial that starts at once."""
    return harness.trial("race", start=in_seconds(0), activities=PLAN, **spec)


def granted(harness: ProxiedHarness, **spec) -> Trial:
    trial = due(harness, **spec)
    harness.wait(lambda: harness.granted("race"))
    return trial


def put_off(_: ProxiedHarness, trial: Trial) -> None:
    trial.patch({"spec": {"startTime": in_seconds(3600)}})


def suspend(_: ProxiedHarness, trial: Trial) -> None:
    trial.patch({"spec": {"suspend": True}})


def change(_: ProxiedHarness, trial: Trial) -> None:
    trial.patch({"spec": {"parameters": {"height": "30"}}})


def ask_delete(harness: ProxiedHarness, trial: Trial) -> None:
    harness.annotate(trial, delete="d-1")


def delete(_: ProxiedHarness, trial: Trial) -> None:
    trial.delete()


def delete_engine(harness: ProxiedHarness, _: Trial) -> None:
    harness.engine("race").delete()


def nothing_left(harness: ProxiedHarness) -> bool:
    leases = harness.cluster.kubectl.get("leases", f"--namespace={harness.namespace}").get("items")
    return not (harness.engines() or harness.pods() or leases)


def is_put_off(harness: ProxiedHarness, trial: Trial) -> None:
    harness.until_condition(trial, "Armed", "Unknown", "Checked")
    harness.until(trial, lambda status: status["phase"] == "Scheduled")


def is_suspended(harness: ProxiedHarness, trial: Trial) -> None:
    harness.until_condition(trial, "Scheduled", "False", "Suspended")


def is_cancelled(harness: ProxiedHarness, trial: Trial) -> None:
    harness.until_condition(trial, "Succeeded", "False", "Cancelled")


def is_gone(harness: ProxiedHarness, _: Trial) -> None:
    harness.wait(lambda: not harness.trials())


PLACES = {
    "before the pod is created": (creates_pod, False),
    "when the pod is created but the operator does not know": (creates_pod, True),
    "before the latch": (latches, False),
}


@pytest.mark.parametrize(
    ("matches", "taken"), [pytest.param(*place, id=name) for name, place in PLACES.items()]
)
@pytest.mark.parametrize(
    ("act", "came_true"),
    [
        pytest.param(put_off, is_put_off, id="put off"),
        pytest.param(suspend, is_suspended, id="suspended"),
        pytest.param(ask_delete, is_cancelled, id="cancelled by a request"),
        pytest.param(delete, is_gone, id="deleted"),
    ],
)
def test_what_comes_before_the_latch_wins(
    proxied: ProxiedHarness, act: Act, came_true: Act, matches: Matches, taken: bool
):
    held = proxied.proxy.hold(matches, taken=taken)
    trial = due(proxied)
    held.wait()
    act(proxied, trial)
    held.go()
    came_true(proxied, trial)
    proxied.wait(lambda: nothing_left(proxied))
    assert proxied.granted("race") == {}


@pytest.mark.parametrize(
    ("matches", "taken"), [pytest.param(*place, id=name) for name, place in PLACES.items()]
)
def test_a_change_that_comes_before_the_latch_is_what_is_started(
    proxied: ProxiedHarness, matches: Matches, taken: bool
):
    held = proxied.proxy.hold(matches, taken=taken)
    trial = due(proxied)
    held.wait()
    change(proxied, trial)
    held.go()
    proxied.until_condition(trial, "Started", "True", "EngineStarted")
    proxied.wait(lambda: proxied.granted("race"))
    engine = proxied.engine("race").obj
    assert engine["spec"]["trialGeneration"] == 2
    assert engine["spec"]["parameters"] == [{"name": "height", "value": "30"}]
    assert {attempt: len(uids) for attempt, uids in proxied.granted("race").items()} == {1: 1}
    assert [pod.obj["metadata"]["uid"] for pod in proxied.pods()] == [engine["status"]["podRef"]["uid"]]


def test_an_engine_deleted_before_its_pod_is_created_is_made_anew(proxied: ProxiedHarness):
    held = proxied.proxy.hold(creates_pod, taken=False)
    trial = due(proxied)
    held.wait()
    before = proxied.engine("race").obj["metadata"]["uid"]
    delete_engine(proxied, trial)
    held.go()
    proxied.until_condition(trial, "Started", "True", "EngineStarted")
    proxied.wait(lambda: proxied.granted("race"))
    engine = proxied.engine("race").obj
    assert engine["metadata"]["uid"] != before
    assert trial.obj["status"]["engineRef"]["uid"] == engine["metadata"]["uid"]
    assert [pod.obj["metadata"]["uid"] for pod in proxied.pods()] == [engine["status"]["podRef"]["uid"]]


@pytest.mark.parametrize(
    ("act", "field"),
    [pytest.param(put_off, "startTime", id="put off"), pytest.param(suspend, "suspend", id="suspended")],
)
def test_once_latched_a_trial_cannot_be(proxied: ProxiedHarness, act: Act, field: str):
    held = proxied.proxy.hold(latches, taken=True)
    trial = due(proxied)
    held.wait()
    with pytest.raises(pykube.exceptions.HTTPError, match=f"spec.{field} can't be changed"):
        act(proxied, trial)
    held.go()
    proxied.wait(lambda: proxied.granted("race"))


def test_a_change_that_comes_after_the_latch_changes_nothing(proxied: ProxiedHarness):
    held = proxied.proxy.hold(latches, taken=True)
    trial = due(proxied)
    held.wait()
    change(proxied, trial)
    held.go()
    proxied.wait(lambda: proxied.granted("race"))
    assert proxied.engine("race").obj["spec"]["trialGeneration"] == 1
    assert proxied.taken_creates("race") == {"race-1": 1}


@pytest.mark.parametrize(
    ("matches", "taken"),
    [
        pytest.param(latches, True, id="after the latch"),
        pytest.param(grants, False, id="before the grant"),
        pytest.param(grants, True, id="after the grant"),
    ],
)
@pytest.mark.parametrize(
    ("act", "came_true"),
    [
        pytest.param(ask_delete, is_cancelled, id="cancelled by a request"),
        pytest.param(delete_engine, is_cancelled, id="cancelled by deleting its engine"),
        pytest.param(delete, is_gone, id="deleted"),
    ],
)
def test_a_started_trial_can_be(
    proxied: ProxiedHarness, act: Act, came_true: Act, matches: Matches, taken: bool
):
    held = proxied.proxy.hold(matches, taken=taken)
    trial = due(proxied)
    held.wait()
    act(proxied, trial)
    held.go()
    came_true(proxied, trial)
    proxied.wait(lambda: nothing_left(proxied))
    assert proxied.taken_creates("race") == {"race-1": 1}


@pytest.mark.parametrize(
    ("matches", "taken"),
    [
        pytest.param(creates_pod, False, id="the pod's create before the API server took it"),
        pytest.param(creates_pod, True, id="the answer to the pod's create"),
        pytest.param(latches, False, id="the latch before the API server took it"),
        pytest.param(latches, True, id="the answer to the latch"),
        pytest.param(grants, False, id="the grant before the API server took it"),
        pytest.param(grants, True, id="the answer to the grant"),
    ],
)
@pytest.mark.parametrize("status", [pytest.param(None, id="cut"), pytest.param(500, id="told 500")])
def test_a_write_that_is_lost_starts_the_trial_once(
    proxied: ProxiedHarness, matches: Matches, taken: bool, status: int | None
):
    if status is None:
        held = proxied.proxy.hold(matches, taken=taken)
        trial = due(proxied)
        held.wait()
        held.cut()
    else:
        with proxied.proxy.refuse(matches, status, taken=taken) as refusing:
            trial = due(proxied)
            proxied.wait(lambda: refusing.seen)
    proxied.until_condition(trial, "Started", "True", "EngineStarted")
    proxied.wait(lambda: proxied.granted("race"))
    granted_uid = proxied.engine("race").obj["status"]["podRef"]["uid"]
    assert [pod.obj["metadata"]["uid"] for pod in proxied.pods()] == [granted_uid]
    assert proxied.taken_creates("race") == {"race-1": 1}
    assert {attempt: len(uids) for attempt, uids in proxied.granted("race").items()} == {1: 1}


REFUSALS = [
    pytest.param(403, None, "AdmissionRefused", id="forbidden"),
    pytest.param(429, 1, "APIUnavailable", id="too many requests"),
    pytest.param(500, None, "APIUnavailable", id="a server error"),
]


@pytest.mark.parametrize(("status", "retry_after", "reason"), REFUSALS)
def test_a_start_that_is_refused_until_the_deadline_is_missed_and_says_why(
    proxied: ProxiedHarness, status: int, retry_after: int | None, reason: str
):
    with proxied.proxy.refuse(creates_pod, status, retry_after=retry_after, message="no room left"):
        trial = due(proxied, startingDeadlineSeconds=2)
        shown = proxied.until_condition(trial, "Succeeded", "False", "Missed")
    assert shown["missed"][0]["reason"] == reason
    assert "no room left" in shown["missed"][0]["message"]
    proxied.wait(lambda: nothing_left(proxied))


@pytest.mark.parametrize(("status", "retry_after", "reason"), REFUSALS)
def test_start_that_is_refused_for_a_while_takes_place_afterwards(
    proxied: ProxiedHarness, status: int, retry_after: int | None, reason: str
):
    with proxied.proxy.refuse(creates_pod, status, retry_after=retry_after):
        trial = due(proxied)
        proxied.until_condition(trial, "Armed", "False", reason)
    proxied.until_condition(trial, "Started", "True", "EngineStarted")
    proxied.wait(lambda: proxied.granted("race"))
    assert proxied.taken_creates("race") == {"race-1": 1}


def restoring(harness: ProxiedHarness, *, taken: bool) -> tuple[Trial, TrialEngine, Callable[[], None]]:
    """Return a trial whose restore is held at the write that begins attempt 2, and the engine as it was."""
    trial = granted(harness)
    harness.checkpoint(harness.engine("race"), one="Succeeded")
    engine = harness.engine("race")
    held = harness.proxy.hold(begins_attempt, taken=taken)
    harness.annotate(trial, restore="r-1")
    held.wait()
    return trial, engine, held.go


def test_a_checkpoint_before_the_restore_is_what_it_continues_from(proxied: ProxiedHarness):
    _, engine, go = restoring(proxied, taken=False)
    proxied.checkpoint(engine, two="Succeeded")
    go()
    proxied.wait(lambda: 2 in proxied.granted("race"))
    status = proxied.engine("race").obj["status"]
    assert status["attempts"][1]["fromActivity"] == "three"
    assert [(a["name"], a["state"]) for a in status["activities"]][:2] == [
        ("one", "Succeeded"),
        ("two", "Succeeded"),
    ]
    assert status["attempt"] == 2


def test_a_checkpoint_that_comes_after_the_restore_is_refused(proxied: ProxiedHarness):
    _, engine, go = restoring(proxied, taken=True)
    with pytest.raises(pykube.exceptions.HTTPError, match="the object has been modified"):
        proxied.checkpoint(engine, two="Succeeded")
    go()
    proxied.wait(lambda: 2 in proxied.granted("race"))
    assert proxied.engine("race").obj["status"]["attempts"][1]["fromActivity"] == "two"


@pytest.mark.parametrize("taken", [pytest.param(False, id="before"), pytest.param(True, id="after")])
@pytest.mark.parametrize(
    "act", [pytest.param(ask_delete, id="a request"), pytest.param(delete_engine, id="kubectl")]
)
def test_a_delete_wins_against_a_restore_that_it_meets(proxied: ProxiedHarness, act: Act, taken: bool):
    trial, _, go = restoring(proxied, taken=taken)
    act(proxied, trial)
    go()
    is_cancelled(proxied, trial)
    proxied.wait(lambda: nothing_left(proxied))
