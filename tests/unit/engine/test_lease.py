"""The renewals of the Lease, and what may not be done without them; each test moves the time."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from tests.harness.waiting import until
from tests.unit.engine.builders import POD

from lcm_operator.engine import lease as lease_module
from lcm_operator.engine.lease import LeaseRenewer
from lcm_operator.kube import backoff
from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.errors import NotFoundError, RejectedError, UnavailableError

AWAY = UnavailableError(0, "Unreachable", "connection refused")
MISSING = NotFoundError(404, "NotFound", "leases example-1 not found")
ANOTHER_S = RejectedError(422, "Invalid", "the test of /spec/holderIdentity failed")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(backoff, "_FIRST_SECONDS", 0.0)
    monkeypatch.setattr(lease_module, "_SHORTEST_SECONDS", 0.0)


@dataclass
class Lease:
    """The API server with one Lease; each patch does the next of `troubles`, then works."""

    troubles: list = field(default_factory=list)
    patches: list = field(default_factory=list)
    access: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(namespace="lab"))
    away: bool = False

    async def json_patch(self, resource, namespace, name, patch):
        assert (resource.plural, namespace, name) == ("leases", "lab", "example-1")
        await asyncio.sleep(0)
        if self.away:
            raise AWAY
        if self.troubles:
            raise self.troubles.pop(0)
        self.patches.append(patch)


class Time(NodeClock):
    """The time that passes, suspensions included: moved by the tests only."""

    now_seconds = 1000.0
    looks = 0

    def elapsed(self):
        self.looks += 1
        return self.now_seconds

    async def several_looks(self):
        """Wait until somebody has looked at this time often enough to have judged by it."""
        enough = self.looks + 3
        await until(lambda: self.looks >= enough)


TIME, NODE = Time(), NodeClock()


@pytest.fixture
def time():
    TIME.now_seconds = 1000.0
    return TIME


async def granted():
    return True


def renewing(scenario, lease, *, timeout_seconds=0.06, confirm=granted, clock=NODE):
    async def play():
        renewer = LeaseRenewer(lease, "example-1", POD, timeout_seconds, confirm, clock)
        running = asyncio.create_task(renewer.run())
        try:
            async with asyncio.timeout(10):
                await scenario(renewer)
        finally:
            running.cancel()

    asyncio.run(play())


def test_a_beat_renews_the_lease_only_if_it_is_this_pods():
    lease = Lease()

    async def scenario(_):
        await until(lambda: len(lease.patches) >= 3)

    renewing(scenario, lease)
    moments = [renew["value"] for _, renew in lease.patches]
    assert lease.patches[0] == [
        {"op": "test", "path": "/spec/holderIdentity", "value": POD},
        {"op": "add", "path": "/spec/renewTime", "value": moments[0]},
    ]
    assert len(moments[0]) == len("2026-11-24T10:00:00.123456Z")
    assert sorted(set(moments)) == moments


@pytest.mark.parametrize(
    ("timeout", "interval"),
    [
        pytest.param(3, 1.0, id="no more often than each second"),
        pytest.param(30, 5.0, id="six times in the time-out"),
        pytest.param(86400, 10.0, id="at least every ten seconds"),
    ],
)
def test_it_beats(monkeypatch, timeout, interval):
    monkeypatch.undo()
    assert LeaseRenewer(Lease(), "example-1", POD, timeout, granted, NodeClock())._interval == interval


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(AWAY, id="the API server is away"),
        pytest.param(MISSING, id="the Lease is not there yet"),
        pytest.param(ANOTHER_S, id="the Lease is a leftover of another pod"),
    ],
)
def test_nothing_may_be_done_before_the_lease_was_renewed_for_the_first_time(trouble):
    lease, done = Lease(troubles=[trouble] * 5), []

    async def scenario(renewer):
        await renewer.renewed()
        done.append(len(lease.patches))

    renewing(scenario, lease)
    assert lease.troubles == []
    assert done == [1]


def test_nothing_may_be_done_after_half_a_time_out_without_a_renewal(time):
    lease, asked = Lease(), []

    async def confirm():
        asked.append(len(lease.patches))
        return True

    async def scenario(renewer):
        await renewer.renewed()
        lease.away = True
        time.now_seconds += 0.03
        await asyncio.wait_for(renewer.renewed(), 1)
        time.now_seconds += 0.01
        waiting = asyncio.create_task(renewer.renewed())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        lease.away = False
        await waiting

    renewing(scenario, lease, confirm=confirm, clock=time)
    assert len(asked) == 1


def test_a_beat_counts_from_when_it_was_sent(time, mocker):
    lease = Lease()
    slow = lease.json_patch

    async def answered_late(*arguments):
        await slow(*arguments)
        if len(lease.patches) == 1:
            time.now_seconds += 0.04

    mocker.patch.object(lease, "json_patch", side_effect=answered_late)

    async def scenario(renewer):
        await renewer.renewed()
        assert len(lease.patches) == 2

    renewing(scenario, lease, clock=time)


def test_after_a_silence_nothing_may_be_done_if_the_grant_has_gone(time):
    lease, asked = Lease(), []

    async def confirm():
        asked.append(True)
        return False

    async def scenario(renewer):
        await renewer.renewed()
        time.now_seconds += 60
        waiting = asyncio.create_task(renewer.renewed())
        await until(lambda: len(asked) >= 3)
        assert not waiting.done()
        waiting.cancel()

    renewing(scenario, lease, confirm=confirm, clock=time)


def test_a_beat_that_hangs_is_given_up_and_sent_again(mocker):
    lease = Lease()

    async def hangs_at_first(*_):
        if sent.await_count == 1:
            await asyncio.Event().wait()
        return mocker.DEFAULT

    sent = mocker.patch.object(lease, "json_patch", wraps=lease.json_patch, side_effect=hangs_at_first)

    async def scenario(renewer):
        await renewer.renewed()

    renewing(scenario, lease)
    assert sent.await_count == 2
    assert len(lease.patches) == 1


def test_a_lease_that_was_deleted_is_renewed_again_once_it_is_there():
    lease, seen = Lease(), []

    async def scenario(renewer):
        await renewer.renewed()
        lease.troubles = [MISSING] * 5 + [ANOTHER_S] * 3
        await until(lambda: not lease.troubles)
        seen.append(len(lease.patches))
        await until(lambda: len(lease.patches) > seen[0])

    renewing(scenario, lease)


def test_contact_is_lost_once_the_last_renewal_is_older_than_the_time_out(time):
    lease = Lease()

    async def scenario(renewer):
        await renewer.renewed()
        lease.away = True
        lost = asyncio.create_task(renewer.lost())
        time.now_seconds += 0.059
        await time.several_looks()
        assert not lost.done()
        time.now_seconds += 0.002
        await asyncio.wait_for(lost, 1)

    renewing(scenario, lease, clock=time)


def test_contact_that_is_kept_is_not_lost(time):
    async def scenario(renewer):
        await renewer.renewed()
        lost = asyncio.create_task(renewer.lost())
        for _ in range(5):
            time.now_seconds += 0.02
            await time.several_looks()
        assert not lost.done()
        lost.cancel()

    renewing(scenario, Lease(), clock=time)


def test_contact_is_lost_in_time_though_the_machine_was_suspended(time):
    lease = Lease()

    async def scenario(renewer):
        await renewer.renewed()
        lease.away = True
        lost = asyncio.create_task(renewer.lost())
        await time.several_looks()
        assert not lost.done()
        time.now_seconds += 3600
        await asyncio.wait_for(lost, 20)

    renewing(scenario, lease, timeout_seconds=60, clock=time)
