"""A new engine waits for pods of an earlier one of its trial ID that were not seen to end."""

import asyncio
from dataclasses import replace

import pytest
from tests.unit.controllers.clock import HandClock
from tests.unit.controllers.objects import KEY, raw_engine, raw_pod, raw_trial
from tests.unit.domain.builders import armed, at, pod, settle, shown, steps

from lcm_operator.controllers.pod_monitor import PodMonitor
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Leftover, Settings
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.listing import Page

GRANT = {"name": "example-1", "uid": "pod-1", "notBefore": "2026-11-24T10:00:00Z"}


class Cluster:
    """An API server with pods: those that have not ended, and those that have."""

    def __init__(self):
        self.active = []
        self.ended = {}
        self.looked = []
        self.clock = HandClock()
        self.cache = SlotCache(Settings(), self.clock)
        self.monitor = PodMonitor(self, self.cache, self.looked.append, self.clock)
        self.cache.put_trial(raw_trial())
        self.cache.put_engine(raw_engine(podRef=GRANT))

    async def listed(self, *_, **__):
        yield Page(self.active, "1", "")

    async def get(self, _resource, _namespace, name):
        if name not in self.ended:
            raise NotFoundError(404, "NotFound", name)
        return self.ended[name]

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
    api = Cluster()
    assert api.waits_for == ()
    api.recreate()
    assert api.waits_for == ("example-1",)


def test_a_pod_whose_end_was_seen_is_not_left_over():
    api = Cluster()
    api.cache.put_pod(raw_pod())
    api.recreate()
    assert api.waits_for == ()


def test_a_pod_that_was_not_granted_is_not_left_over():
    api = Cluster()
    api.cache.put_engine(raw_engine(version=2))
    api.recreate()
    api.active = [active()]
    assert api.read() == ()


def test_it_is_over_once_its_end_is_seen():
    api = Cluster()
    api.recreate()
    assert api.cache.put_pod(raw_pod()) == KEY
    assert api.waits_for == ()


def test_it_is_over_once_its_end_is_found_out():
    api = Cluster()
    api.recreate()
    api.active = [active()]
    assert api.read() == ("example-1",)
    api.active, api.ended = [], {"example-1": raw_pod()}
    assert api.read() == ()
    assert api.looked == [KEY]


def test_one_that_is_gone_is_waited_for_as_long_as_its_engine_may_act():
    api = Cluster()
    api.recreate()
    api.read()
    assert api.read(after=59) == ("example-1",)
    assert api.read(after=2) == ()
    assert api.looked == [KEY]


def test_another_pod_that_has_its_name_says_nothing_of_it():
    api = Cluster()
    api.recreate()
    api.ended = {"example-1": raw_pod(uid="pod-9")}
    assert api.read() == ("example-1",)
    assert api.read(after=61) == ()


def test_a_pod_of_an_unknown_engine_is_found_in_the_list():
    api = Cluster()
    api.active = [active("example-2", "pod-2", "engine-0"), active()]
    assert api.read() == ("example-2",)
    api.active = []
    api.read()
    assert api.read(after=119) == ("example-2",)
    assert api.read(after=2) == ()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(active("x", "pod-2", "set-1", kind="ReplicaSet"), id="of another kind of owner"),
        pytest.param({"metadata": raw_pod(uid="pod-2")["metadata"]}, id="of nobody"),
    ],
)
def test_a_pod_with_our_label_holds_nothing_up_if_it_is(other):
    api = Cluster()
    api.active = [other, active()]
    assert api.read() == ()


def test_its_knowledge_outlives_the_term():
    api = Cluster()
    api.recreate()
    api.cache.begin_term()
    assert api.waits_for == ("example-1",)


def test_it_is_known_in_each_term_whether_all_were_listed():
    api = Cluster()
    assert not api.cache.snapshot(KEY).pods_listed
    api.read()
    assert api.cache.snapshot(KEY).pods_listed
    api.cache.begin_term()
    assert not api.cache.snapshot(KEY).pods_listed


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
