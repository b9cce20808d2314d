"""When the next attempt may begin: the one rule, on every path."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from tests.unit.domain.builders import asking, at, nap, running, settle, steps, succeeded, trial

from lcm_operator.domain.attempt_end import awaited_end, has_ended, longest_silence
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Absent, Observation, Pod, Renewals

GONE = Absent("example-1")


def seen(pod_, *, silent=None, missing=False, begun=True, uid="pod-1", of=None, when=100.0):
    """Return a granted slot in which the pod and its Lease were seen so."""
    before = replace(of or running(one="Running"), pod=Observation(pod_, at(when)))
    if silent is None:
        return before
    renewals = Renewals(uid, begun=begun, silent=timedelta(seconds=silent), missing=missing)
    return replace(before, renewals=Observation(renewals, at(when)), engine_read_after_end=True)


def known(**facts):
    return Pod("example-1", "pod-1", at(0.2), **facts)


def ending(killed_by):
    return known(deleting=True, killed_by=at(killed_by))


@pytest.mark.parametrize(
    ("before", "ended"),
    [
        pytest.param(seen(known()), False, id="it runs"),
        pytest.param(seen(known(ended=True)), True, id="its container was seen to end"),
        pytest.param(seen(known(disrupted=True)), False, id="it is being evicted"),
        pytest.param(seen(GONE), False, id="its object is gone"),
        pytest.param(seen(Absent("example-1", known())), False, id="it is gone, having run"),
        pytest.param(seen(Absent("example-1", known(ended=True))), True, id="it is gone, after its end"),
        pytest.param(seen(Absent("example-1", known(never_ran=True))), True, id="no node ever had it"),
        pytest.param(seen(GONE, silent=60, missing=True), False, id="gone, its time-out not over"),
        pytest.param(seen(GONE, silent=61, missing=True), True, id="gone and silent for long"),
        pytest.param(seen(known(), silent=999), False, id="silent for long, but nobody has ended it"),
        pytest.param(seen(ending(190), silent=61), False, id="silent for long, its node may just kill it"),
        pytest.param(seen(ending(189), silent=61), True, id="silent for long, and its node has killed it"),
        pytest.param(seen(ending(100), silent=60), False, id="its node has killed it, or was lost lately"),
        pytest.param(seen(GONE, silent=61, uid="pod-0"), False, id="gone, another one is silent"),
        pytest.param(seen(GONE, silent=61, begun=False), True, id="gone, having never renewed for long"),
    ],
)
def test_an_attempt_has_ended_if(before, ended):
    assert before.engine is not None
    assert has_ended(before, before.engine, at(200)) is ended


def test_an_attempt_that_was_never_granted_never_acted():
    before = seen(known())
    assert before.engine is not None
    ungranted = msgspec.structs.replace(before.engine.status, pod_ref=None)
    assert has_ended(before, msgspec.structs.replace(before.engine, status=ungranted), at(200))


def test_an_end_that_was_noted_holds_for_an_operator_that_knows_no_pod():
    before = settle(replace(seen(known(ended=True)), engine_read_after_end=True), at(101))
    assert before.engine is not None
    assert before.engine.status.pod_ref is not None
    assert before.engine.status.pod_ref.end_time == at(101)
    assert has_ended(replace(before, pod=None, renewals=None), before.engine, at(200))


@pytest.mark.parametrize(
    ("act", "seconds"),
    [
        pytest.param({"sleep": {"seconds": 1000}}, 60, id="a sleep does nothing"),
        pytest.param({"http": {"url": "http://x", "timeoutSeconds": 40}}, 100, id="a request"),
        pytest.param({"exec": {"command": ["x"], "timeoutSeconds": 50}}, 110, id="a limited program"),
        pytest.param({"exec": {"command": ["x"]}}, 70, id="a program that the engine ends itself"),
        pytest.param(
            {"http": {"url": "http://x", "timeoutSeconds": "{{ parameters.s }}"}}, 90, id="a resolved request"
        ),
        pytest.param(
            {"http": {"url": "http://x", "timeoutSeconds": "{{ outputs.a.s }}"}},
            70,
            id="a request of unknown length, which the engine ends itself",
        ),
        pytest.param(
            {"exec": {"command": ["x"], "timeoutSeconds": "{{ now.hour }}"}},
            70,
            id="a program of unknown length, which the engine ends itself",
        ),
    ],
)
def test_an_engine_may_act_while_silent_for_as_long_as(act, seconds):
    before = running(trial(activities=[{"name": "one"} | act], parameters={"s": "30"}))
    assert before.engine is not None
    assert longest_silence(before.engine).total_seconds() == seconds


PATHS = {
    "restore by a person": lambda before: asking(before, restore="r1"),
    "restore-from by a person": lambda before: asking(before, restore="r1", restore_from="r1/one"),
    "a disruption": lambda before: before,
    "a deletion, for its finally": lambda before: asking(before, delete="d1"),
}


@pytest.mark.parametrize("path", PATHS)
def test_the_next_attempt_waits_for_a_pod_that_was_not_seen_to_end(path):
    this = running(trial(**{"finally": [nap("free")]}), one="Running")
    early = settle(PATHS[path](seen(GONE, silent=59, missing=True, of=this)), at(160))
    assert early.engine is not None
    assert early.engine.status.attempt == 1
    assert not set(steps(decide(early, at(160)))) & {"CreatePod", "ReleaseEngine"}


@pytest.mark.parametrize("path", [path for path in PATHS if "deletion" not in path])
def test_what_the_next_attempt_waits_for_is_shown_on_the_trial(path):
    early = settle(PATHS[path](seen(GONE, silent=59, missing=True)), at(160))
    message = succeeded(early.trials[0].status).message
    assert "pod example-1 no longer exists and was not seen to end" in message
    assert "has not renewed its Lease for 60 s" in message
    assert early.engine is not None
    assert awaited_end(early, early.engine, at(160)) == message


@pytest.mark.parametrize("path", [path for path in PATHS if "deletion" not in path])
def test_the_next_attempt_begins_once_the_silence_was_long_enough(path):
    before = settle(PATHS[path](seen(GONE, silent=59, missing=True)), at(160))
    renewals = Renewals("pod-1", begun=True, silent=timedelta(seconds=61), missing=True)
    late = settle(replace(before, renewals=Observation(renewals, at(162))), at(162))
    assert late.engine is not None
    assert (late.engine.status.attempt, late.engine.status.attempts[0].number) == (2, 1)


@pytest.mark.parametrize("path", PATHS)
def test_a_hung_engine_s_pod_is_killed_before_the_next_attempt_begins(path):
    this = running(trial(**{"finally": [nap("free")]}), one="Running")
    before = settle(PATHS[path](seen(ending(190), silent=999, of=this)), at(200))
    assert before.engine is not None
    assert before.engine.status.attempt == 1
    assert not set(steps(decide(before, at(200)))) & {"CreatePod", "ReleaseEngine"}


def test_which_deletion_the_next_attempt_waits_for_is_shown_on_the_trial():
    before = settle(asking(seen(ending(190), silent=999, when=199.5), restore="r1"), at(200))
    message = succeeded(before.trials[0].status).message
    assert "has not renewed its Lease for 60 s and its deletionTimestamp" in message
    assert f"({at(190):%H:%M:%S} UTC) has passed by 10 s" in message


def test_a_pod_on_a_lost_node_is_not_looked_at_every_second_for_ever():
    stuck = settle(asking(seen(known(deleting=True, killed_by=at(130)), when=129), restore="r1"), at(129))
    assert decide(stuck, at(129)).wake_at == at(130)
    later = replace(stuck, pod=Observation(known(deleting=True, killed_by=at(130)), at(200)))
    assert decide(later, at(200)).wake_at == at(210)
