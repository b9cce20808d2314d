"""A new engine waits for pods of an earlier one of its trial ID that were not seen to end."""

import asyncio
from dataclasses import replace

import pytest
from tests.harness.api_server import ApiServer
from tests.harness.client import Connection
from tests.unit.controllers.clock import HandClock
from tests.unit.controllers.objects import KEY, raw_engine, raw_pod, raw_trial
from tests.unit.domain.builders import armed, at, pod, settle, shown, steps

from lcm_operator.controllers.pod_monitor import PodMonitor
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Leftover, Settings

GRANT = {"name": "example-1", "uid": "pod-1", "notBefore": "2026-11-24T10:00:00Z"}


class Harness:
    """A cache that knows a granted engine, and a monitor of the pods of an API server."""

    def __init__(self, *pods):
        self.server = ApiServer()
        self.looked = []
        self.clock = HandClock()
        self.cache = SlotCache(Settings(), self.clock)
        client = Connection(self.server).client()
        self.monitor = PodMonitor(client, self.cache, self.looked.append, self.clock)
        self.cache.put_trial(raw_trial())
        self.cache.put_engine(raw_engine(podRef=GRANT))
        for raw in pods:
            self.server.put("pods", raw)

    def read(self, *, after=5.0):
        self.clock.advance(after)
        asyncio.run(self.monitor.read())
        return self.waits_for

    def recreate(self):
        """Delete the Trial and its TrialEngine, and create them again."""
        self.cache.drop_trial("lab", "example", "trial-1")
        self.cache.drop_engine("lab", "example", "engine-1")
        self.cache.put_trial(raw_trial(uid="trial-2", version=5))
        self.cache.put_engine(raw_engine(uid="engine-2", owner="trial-2", version=6))

    @property
    def waits_for(self):
        return tuple(pod.name for pod in self.cache.snapshot(KEY).leftovers)


def active(name="example-1", uid="pod-1", owner="engine-1", kind="TrialEngine"):
    owners = [{"kind": kind, "name": "example", "uid": owner, "controller": True}]
    return {"metadata": raw_pod(uid=uid)["metadata"] | {"name": name, "ownerReferences": owners}}


def test_a_granted_pod_whose_engine_is_deleted_is_left_over():
    harness = Harness()
    assert harness.waits_for == ()
    harness.recreate()
    assert harness.waits_for == ("example-1",)


def test_a_pod_whose_end_was_seen_is_not_left_over():
    harness = Harness()
    harness.cache.put_pod(raw_pod())
    harness.recreate()
    assert harness.waits_for == ()


def test_a_pod_that_was_not_granted_is_not_left_over():
    harness = Harness()
    harness.cache.put_engine(raw_engine(version=2))
    harness.recreate()
    harness.server.put("pods", active())
    assert harness.read() == ()


def test_it_is_over_once_its_end_is_seen():
    harness = Harness()
    harness.recreate()
    assert harness.cache.put_pod(raw_pod()) == KEY
    assert harness.waits_for == ()


def test_it_is_over_once_its_end_is_found_out():
    harness = Harness()
    harness.recreate()
    harness.server.put("pods", active())
    assert harness.read() == ("example-1",)
    harness.server.put("pods", raw_pod())
    assert harness.read() == ()
    assert harness.looked == [KEY]


def test_one_that_is_gone_is_waited_for_as_long_as_its_engine_may_act():
    harness = Harness()
    harness.recreate()
    harness.read()
    assert harness.read(after=59) == ("example-1",)
    assert harness.read(after=2) == ()
    assert harness.looked == [KEY]


def test_another_pod_that_has_its_name_says_nothing_of_it():
    harness = Harness()
    harness.recreate()
    harness.server.put("pods", raw_pod(uid="pod-9"))
    assert harness.read() == ("example-1",)
    assert harness.read(after=61) == ()


def test_a_pod_of_an_unknown_engine_is_found_in_the_list():
    harness = Harness(active("example-2", "pod-2", "engine-0"), active())
    assert harness.read() == ("example-2",)
    harness.server.remove("pods", "example-1")
    harness.server.remove("pods", "example-2")
    harness.read()
    assert harness.read(after=119) == ("example-2",)
    assert harness.read(after=2) == ()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(active("x", "pod-2", "set-1", kind="ReplicaSet"), id="of another kind of owner"),
        pytest.param({"metadata": raw_pod(uid="pod-2")["metadata"]}, id="of nobody"),
    ],
)
def test_a_pod_with_our_label_holds_nothing_up_if_it_is(other):
    harness = Harness(other, active())
    assert harness.read() == ()


def test_its_knowledge_outlives_the_term():
    harness = Harness()
    harness.recreate()
    harness.cache.begin_term()
    assert harness.waits_for == ("example-1",)


def test_it_is_known_in_each_term_whether_all_were_listed():
    harness = Harness()
    assert not harness.cache.snapshot(KEY).pods_listed
    harness.read()
    assert harness.cache.snapshot(KEY).pods_listed
    harness.cache.begin_term()
    assert not harness.cache.snapshot(KEY).pods_listed


# --- what is decided


def test_a_start_waits_for_leftovers_and_says_so_until_its_deadline():
    before = replace(armed(), leftovers=(Leftover("example-2", "engine-0"),))
    assert shown(decide(before, at(0)), "Armed") == ("False", "Waiting")
    waiting = settle(before, at(0))
    message = next(c.message for c in waiting.trials[0].status.conditions if c.type == "Armed")
    assert message.startswith("pod example-2 of an earlier engine of this trial ID was not seen to end")
    assert decide(waiting, at(1)).wake_at is not None
    assert steps(decide(replace(waiting, leftovers=()), at(30))) == ["CreatePod"]
    missed = settle(waiting, at(121))
    assert missed.trials[0].status.phase == "Missed"
    assert "example-2" in missed.trials[0].status.missed[-1].message


def test_a_pod_that_exists_already_is_started_all_the_same():
    before = replace(armed(), leftovers=(Leftover("example-2", "engine-0"),), pod=pod())
    assert steps(decide(before, at(0)))[0] == "LatchTrial"
