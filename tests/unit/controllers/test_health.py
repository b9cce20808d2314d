"""/healthz reports each fault, provoked here one by one, and nothing else; /readyz and /metrics by HTTP."""

import asyncio
import socket
import time
from datetime import timedelta
from types import SimpleNamespace

import aiohttp
import pytest
from tests.harness.waiting import until
from tests.unit.controllers.clock import HandClock

from lcm_operator.addresses import Address
from lcm_operator.controllers import heartbeat
from lcm_operator.controllers.due_queue import DueQueue
from lcm_operator.controllers.health import Health, serve
from lcm_operator.controllers.heartbeat import Heartbeat
from lcm_operator.controllers.key import Due, Key
from lcm_operator.domain.actions import Urgency
from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.election import Elector

KEY = Key("lab", "flight")


class Replica:
    """An operator of which nothing runs: what its health is made from, as it is after a good minute."""

    def __init__(self, clock):
        self.clock = clock
        self.heartbeat = Heartbeat(clock)
        self.elector = Elector(None, "lcm", "lcm-operator", "one", clock=clock)
        self.leases_failing = 0.0
        self.reconciler = SimpleNamespace(
            queue=DueQueue(lambda _: Due(), clock),
            leases=SimpleNamespace(failing_seconds=lambda: self.leases_failing),
        )
        self.health = Health(self.heartbeat, self.elector, self.reconciler, clock)

    def lead(self):
        self.elector._act_until = float("inf")
        return self

    def all_is_well(self):
        """Do what the parts do all the time while they are alive."""
        self.heartbeat.heard()
        self.heartbeat._next_tick = self.clock.elapsed() + 0.5
        self.elector._in_touch_at = self.clock.elapsed()

    def passes(self, seconds, *, broken=None):
        """Let time pass during which only one part is broken."""
        before = {part: getattr(self.heartbeat, part) for part in ("_heard_at", "_next_tick")}
        in_touch = self.elector._in_touch_at
        self.clock.advance(seconds)
        self.all_is_well()
        if broken == "lease":
            self.elector._in_touch_at = in_touch
        elif broken is not None:
            setattr(self.heartbeat, broken, before[broken])

    def due(self, seconds_from_now):
        moment = self.clock.now() + timedelta(seconds=seconds_from_now)
        self.reconciler.queue.add(KEY, Urgency.START, moment)


@pytest.fixture
def replica():
    replica = Replica(HandClock())
    replica.all_is_well()
    return replica


def test_a_replica_that_receives_ticks_and_renews_is_well(replica):
    replica.passes(60)
    replica.due(30)
    assert replica.lead().health.faults() == []


@pytest.mark.parametrize(
    ("broken", "within", "after", "line"),
    [
        pytest.param("_heard_at", 14, 16, "watch: no event for 16.0 s", id="a dead watch"),
        pytest.param("_next_tick", 5, 6, "loop: late by 5.5 s", id="a loop that is late"),
        pytest.param("lease", 11, 13, "lease: neither renewed nor seen for 13.0 s", id="a stale lease"),
    ],
)
def test_each_fault_is_reported_beyond_its_threshold_and_not_before(replica, broken, within, after, line):
    replica.passes(within, broken=broken)
    assert replica.health.faults() == []
    replica.passes(after - within, broken=broken)
    assert replica.health.faults() == [line]
    replica.passes(1)
    assert replica.health.faults() == []


def test_a_start_that_the_heap_does_not_know_is_a_fault_of_the_leader(replica):
    replica.due(1)
    replica.passes(5)
    assert replica.lead().health.faults() == []
    replica.passes(2)
    assert replica.health.faults() == ["heap: its head is overdue by 6.0 s"]
    replica.elector._act_until = 0.0
    assert replica.health.faults() == []


def test_a_start_that_no_worker_takes_up_is_the_same_fault(replica):
    replica.reconciler.queue.add(KEY, Urgency.START)
    replica.passes(6)
    assert replica.lead().health.faults() == ["heap: its head is overdue by 6.0 s"]


def test_work_that_nobody_waits_for_may_wait(replica):
    replica.reconciler.queue.add(KEY, Urgency.ROUTINE)
    replica.passes(60)
    assert replica.lead().health.faults() == []


def test_several_faults_are_all_reported(replica):
    replica.clock.advance(20)
    assert [fault.split(":")[0] for fault in replica.health.faults()] == ["watch", "loop", "lease"]


def test_blocked_loop_is_reported_once_it_runs_again_and_forgotten_later(monkeypatch):
    monkeypatch.setattr(heartbeat, "_TICK_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "_REMEMBER_SECONDS", 0.5)

    async def scenario():
        beats = Heartbeat(NodeClock())
        ticking = asyncio.create_task(beats.run())
        await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251 - a loop that is blocked is what this is about
        await until(lambda: beats.lag() >= 0.25)
        await until(lambda: beats.lag() <= 0.2)
        ticking.cancel()

    asyncio.run(scenario())


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", probe.getsockname()[1])


def test_probes_and_scrapes_are_answered_by_http(replica):
    async def scenario():
        address, ready, notes = free_address(), [], []
        base = f"http://{address.host}:{address.port}"

        async def answer(path):
            async with session.get(base + path) as response:
                return response.status, await response.text()

        async def scrape():
            return b"lcm_leader 1.0\n", "text/plain; version=0.0.4; charset=utf-8"

        async with (
            serve(address, replica.health, lambda: "".join(notes), lambda: bool(ready), scrape),
            aiohttp.ClientSession() as session,
        ):
            assert await answer("/readyz") == (503, "the first list is not complete\n")
            ready.append(True)
            assert await answer("/readyz") == (200, "ok\n")
            assert await answer("/healthz") == (200, "ok\n")
            notes.append("it is 1 h ahead")
            assert await answer("/healthz") == (200, "ok\nclock: it is 1 h ahead\n")
            assert await answer("/metrics") == (200, "lcm_leader 1.0\n")
            for path in ("/readyz", "/healthz", "/metrics"):
                async with session.head(base + path) as response:
                    assert (response.status, await response.text()) == (200, "")
            replica.passes(20, broken="_heard_at")
            assert await answer("/healthz") == (503, "watch: no event for 20.0 s\n")
            assert (await answer("/readyz"))[0] == 200

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("leads", "seconds", "reported"),
    [
        pytest.param(True, 29, False, id="for a while: no"),
        pytest.param(True, 31, True, id="for long: yes"),
        pytest.param(False, 31, False, id="for long, by a standby: no"),
    ],
)
def test_leases_of_engines_that_can_not_be_read_are_a_fault(replica, leads, seconds, reported):
    if leads:
        replica.lead()
    replica.passes(60)
    replica.leases_failing = float(seconds)
    assert any(fault.startswith("engines:") for fault in replica.health.faults()) is reported
