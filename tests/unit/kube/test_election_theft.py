"""The Lease of the election in the hands of others: what they write into it, and what becomes of that."""

import asyncio

import pytest
from tests.harness.waiting import until
from tests.unit.kube.electing import LEASE_NAME, QUICK, identity, run

from lcm_operator.kube.election import Terms

STEADY = Terms(lease=10, renew_every=0.02, act_within=8, request=1, retry=0.01)


# --- what others write into the Lease


def written(server, **spec):
    """Write the Lease as somebody does who may, whatever he likes."""
    lease = server.lease or {"metadata": {"name": LEASE_NAME}, "spec": {}}
    server.put({"metadata": dict(lease["metadata"]), "spec": lease["spec"] | spec})


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"leaseDurationSeconds": 2**31 - 1}, id="a duration of 68 years"),
        pytest.param({"leaseDurationSeconds": -5}, id="a negative duration"),
        pytest.param({"leaseDurationSeconds": "ten"}, id="a duration that is no number"),
        pytest.param({"leaseDurationSeconds": None}, id="no duration"),
        pytest.param({"leaseTransitions": 2**31 - 1}, id="transitions that can't be counted on"),
        pytest.param({"leaseTransitions": "many"}, id="transitions that are no number"),
        pytest.param({"holderIdentity": 5}, id="a holder that is no text"),
        pytest.param({"holderIdentity": ["a", {"b": 1}]}, id="a holder that is a list"),
    ],
)
def test_a_candidate_takes_a_lease_of_a_dead_holder_with(spec):
    async def scenario(server, candidate):
        held = {"holderIdentity": identity("dead"), "leaseDurationSeconds": 1, "leaseTransitions": 4}
        server.put({"metadata": {"name": LEASE_NAME}, "spec": held | spec})
        one = candidate("one")
        await until(one.leads)
        assert server.lease["spec"]["leaseDurationSeconds"] == QUICK.lease
        assert 0 <= server.lease["spec"]["leaseTransitions"] < 2**31

    run(scenario)


def test_a_lease_without_a_spec_is_taken():
    async def scenario(server, candidate):
        server.put({"metadata": {"name": LEASE_NAME}, "spec": None})
        one = candidate("one")
        await until(one.leads)

    run(scenario)


def test_a_short_duration_does_not_end_the_term_of_a_leader_that_renews():
    async def scenario(server, candidate):
        one = candidate("one", STEADY)
        await until(one.leads)
        other = candidate("other", one.elector._terms)
        await until(lambda: other.elector._seen is not None)
        for _ in range(5):
            written(server, leaseDurationSeconds=0.01, holderIdentity=one.name)
            await asyncio.sleep(0.1)
            assert other.doing == ["follow"]
        assert one.elector.is_leader()

    run(scenario)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"holderIdentity": "mallory", "leaseDurationSeconds": 315360000}, id="for ten years"),
        pytest.param({"holderIdentity": "mallory"}, id="by a name of no candidate's form"),
        pytest.param({"holderIdentity": None}, id="in nobody's name"),
    ],
)
def test_a_lease_that_is_stolen_is_taken_back_while_the_work_continues(spec):
    async def scenario(server, candidate):
        one = candidate("one", STEADY)
        messages = []
        one.elector.on_theft = messages.append
        await until(one.leads)
        written(server, **spec)
        await until(lambda: server.holder == "one" and one.elector.thefts)
        await until(lambda: one.doing == ["follow", "lead"])
        assert server.lease["spec"]["leaseDurationSeconds"] == STEADY.lease
        assert "it is taken back" in messages[0]

    run(scenario)


def test_whoever_writes_the_lease_without_end_does_not_deprive_its_holder():
    async def scenario(server, candidate):
        one, other = candidate("one", STEADY), candidate("other", STEADY)
        await until(lambda: one.elector.is_leader() or other.elector.is_leader())
        leader = one if one.elector.is_leader() else other
        for number in range(60):
            written(server, holderIdentity=f"mallory {number}", leaseDurationSeconds=2**31 - 1)
            await asyncio.sleep(0.03)
            assert leader.elector.is_leader()
        assert leader.elector.thefts
        await until(lambda: leader.doing == ["follow", "lead"])

    run(scenario)


def test_lease_that_a_stranger_rewrites_is_taken_after_a_term_of_ours():
    async def scenario(server, candidate):
        written(server, holderIdentity="mallory", leaseDurationSeconds=2**31 - 1)
        one = candidate("one")
        began = one.clock.elapsed()
        while not one.elector.is_leader():
            written(server, renewTime=str(one.clock.elapsed()))
            await asyncio.sleep(0.02)
            assert one.clock.elapsed() - began < 20
        assert one.clock.elapsed() - began >= QUICK.lease

    run(scenario)


def test_a_holder_that_looks_like_a_candidate_is_given_its_term_and_reported():
    async def scenario(server, candidate):
        one = candidate("one")
        messages = []
        one.elector.on_theft = messages.append
        await until(one.leads)
        written(server, holderIdentity=identity("imitator"))
        began = one.clock.elapsed()
        await until(lambda: one.doing[-1] == "follow")
        assert not one.elector.is_leader()
        assert "stops leading" in messages[0]
        await until(one.leads)
        assert one.clock.elapsed() - began >= QUICK.lease * 0.9

    run(scenario)
