"""Pods in phase Pending are followed, and their slots know why they do not run."""

import asyncio
from contextlib import suppress

import pytest
from tests.harness.client import Connection
from tests.harness.cluster import Cluster
from tests.harness.waiting import until
from tests.unit.controllers.objects import KEY, raw_engine, raw_trial
from tests.unit.controllers.replica import quiet

from lcm_operator.controllers import pending_pods as module
from lcm_operator.controllers.pending_pods import PendingPods
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import PendingPod, Settings
from lcm_operator.kube.clock import NodeClock

UNSCHEDULABLE = {
    "phase": "Pending",
    "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
    ],
}
CREATING = {
    "phase": "Pending",
    "containerStatuses": [{"name": "engine", "state": {"waiting": {"reason": "ContainerCreating"}}}],
}


class Operator:
    """The part of an operator that follows pending pods, and which slots it has had examined."""

    def __init__(self):
        self.api = Cluster()
        self.connection = Connection(self.api)
        self.cache = SlotCache(Settings(), NodeClock())
        self.cache.put_trial(raw_trial())
        self.cache.put_engine(raw_engine())
        self.examined = []
        self.follower = PendingPods(
            self.connection.client(), self.cache, self.examined.append, quiet, NodeClock()
        )

    def put_pod(self, status, **spec):
        labels = {"lcm.5gdrones.eu/trial": KEY.name}
        metadata = {"name": "example-1", "namespace": KEY.namespace, "labels": labels}
        return self.api.put("pods", {"metadata": metadata, "spec": spec, "status": status})

    @property
    def pending(self):
        return self.cache.slot(KEY).pending


@pytest.fixture
def operator(monkeypatch):
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
    return Operator()


def followed(operator, scenario):
    async def run():
        task = asyncio.create_task(operator.follower.run())
        try:
            await scenario()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    asyncio.run(run())


def test_the_words_of_a_pod_are_known_until_it_runs(operator):
    pod = operator.put_pod(UNSCHEDULABLE)

    async def scenario():
        await until(lambda: operator.pending is not None)
        assert operator.pending == PendingPod(pod["metadata"]["uid"], "Unschedulable: no node")
        assert operator.examined == [KEY]
        operator.api.set_status("pods", "example-1", phase="Running")
        await until(lambda: operator.pending is None)
        assert operator.examined == [KEY, KEY]

    followed(operator, scenario)


def test_a_pod_that_no_scheduler_takes_up_is_known(operator):
    operator.put_pod({"phase": "Pending"}, schedulerName="mine")

    async def scenario():
        await until(lambda: operator.pending is not None)
        assert "scheduler mine" in operator.pending.why

    followed(operator, scenario)


def test_a_volume_that_can_not_be_mounted_is_known_from_events(operator):
    pod = operator.put_pod(CREATING, nodeName="node-1")
    about = {"uid": pod["metadata"]["uid"]}
    for name, time, message in (
        ("new", "10:00:05", "secret partner not found"),
        ("old", "10:00:01", "other"),
    ):
        event = {
            "metadata": {"name": name, "namespace": KEY.namespace},
            "type": "Warning",
            "reason": "FailedMount",
            "involvedObject": about,
            "message": message,
            "lastTimestamp": f"2026-11-24T{time}Z",
        }
        operator.api.put("events", event)

    async def scenario():
        await until(lambda: operator.pending is not None)
        assert operator.pending.why == "FailedMount: secret partner not found"

    followed(operator, scenario)


def test_knowledge_that_a_new_term_has_dropped_is_put_back(operator):
    operator.put_pod(UNSCHEDULABLE)

    async def scenario():
        await until(lambda: operator.pending is not None)
        operator.cache.begin_term()
        assert operator.cache.snapshot(KEY).pending is None
        await until(lambda: operator.pending is not None)

    followed(operator, scenario)
