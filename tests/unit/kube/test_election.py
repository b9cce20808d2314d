"""The election: who may act, until when, and what it survives."""

import asyncio

import pytest
from tests.harness.client import AWAY
from tests.harness.waiting import until
from tests.unit.kube.electing import FORBIDDEN, LEASE_NAME, QUICK, Candidate, identity, run

from lcm_operator.kube.election import Terms
from lcm_operator.kube.errors import ApiError

SLOW = Terms(lease=20, renew_every=0.02, act_within=1, request=0.5, retry=0.01)
NO_END = Terms(lease=3600, renew_every=0.02, act_within=3000, request=0.2, retry=0.01)


def test_a_candidate_alone_makes_the_lease_and_leads():
    async def scenario(server, candidate):
        one = candidate("one")
        await until(lambda: one.doing == ["follow", "lead"])
        assert one.elector.is_leader()
        assert server.holder == "one"
        assert server.lease["spec"]["leaseDurationSeconds"] == QUICK.lease

    run(scenario)


def test_of_two_one_leads_for_as_long_as_it_renews():
    async def scenario(server, candidate):
        one = candidate("one")
        await until(one.leads)
        other = candidate("other")
        before = server.version
        await until(lambda: server.version > before + 60)  # more than the lease is long
        assert one.elector.is_leader()
        assert other.doing == ["follow"]

    run(scenario)


def test_who_stops_gives_the_lease_back_so_that_nobody_has_to_wait():
    async def scenario(server, candidate):
        one = candidate("one", NO_END)
        await until(one.leads)
        other = candidate("other", NO_END)
        await until(lambda: other.elector._seen is not None)
        await one.stop()
        assert one.doing[-1] == "ended"
        await until(other.leads)
        assert server.lease["spec"]["leaseTransitions"] == 1

    run(scenario)


@pytest.mark.parametrize("deleted", [False, True])
def test_free_lease_is_noticed_though_no_watch_can_be_opened(deleted):
    async def scenario(server, candidate):
        one = candidate("one", NO_END)
        await until(one.leads)
        server.refuse_watches = True
        other = candidate("other", NO_END)
        await until(lambda: other.elector._seen is not None)
        await one.stop()
        if deleted:
            server.delete()
        await until(other.leads)

    run(scenario)


def test_the_work_has_ended_before_the_lease_is_given_back():
    async def scenario(server, candidate):
        one = candidate("one")
        await until(one.leads)
        holders = []

        async def slow_to_end():
            two.doing.append("lead")
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.05)
                holders.append(server.holder)

        two = Candidate(server, "two")
        await one.stop()
        two.lead = slow_to_end
        two.start()
        await until(two.leads)
        await two.stop()
        assert holders == ["two"]
        assert server.holder is None

    run(scenario)


def test_a_leader_that_died_is_followed_when_its_lease_has_run_out():
    async def scenario(server, candidate):
        spec = {"holderIdentity": identity("dead"), "leaseDurationSeconds": 1, "leaseTransitions": 4}
        server.put({"metadata": {"name": LEASE_NAME}, "spec": spec})
        one = candidate("one")
        began = one.clock.elapsed()
        await until(one.leads)
        assert one.clock.elapsed() - began >= 1
        assert server.lease["spec"]["leaseTransitions"] == 5

    run(scenario)


def held_for_long_by(holder):
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 3600, "leaseTransitions": 0}
    return {"metadata": {"name": LEASE_NAME}, "spec": spec}


def test_the_next_process_in_the_place_of_a_dead_leader_does_not_wait():
    async def scenario(server, candidate):
        server.put(held_for_long_by("pod-a_11111111"))
        two = candidate("pod-a_22222222", NO_END, place="pod-a_")
        await until(two.leads)

    run(scenario)


@pytest.mark.parametrize("place", [None, "pod-a_"])
def test_a_leader_in_another_place_is_waited_for(place):
    async def scenario(server, candidate):
        server.put(held_for_long_by("pod-ab_11111111"))
        two = candidate("pod-a_22222222", NO_END, place=place)
        await until(lambda: two.elector._seen is not None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await until(two.leads)

    run(scenario)


def test_a_leader_that_cannot_renew_stops_in_time_and_leads_again_later():
    async def scenario(server, candidate):
        one = candidate("one", SLOW)
        await until(one.leads)
        server.trouble = AWAY
        began = one.clock.elapsed()
        await until(lambda: one.doing[-1] == "follow")
        assert one.clock.elapsed() - began < SLOW.lease
        assert not one.elector.is_leader()
        server.trouble = None
        await until(one.leads)
        assert one.doing == ["follow", "lead", "ended", "follow", "lead"]

    run(scenario)


def test_a_leader_that_was_frozen_knows_it_before_anything_else_has_run():
    async def scenario(_server, candidate):
        one = candidate("one", NO_END)
        await until(one.leads)
        one.clock.later = NO_END.act_within + 1
        assert not one.elector.is_leader()
        await until(lambda: one.doing == ["follow", "lead", "ended", "follow", "lead"])

    run(scenario)


def test_an_answer_that_comes_too_late_does_not_make_a_leader_go_on():
    async def scenario(server, candidate):
        one = candidate("one", NO_END)
        await until(one.leads)
        server.interfere["merge"] = lambda: setattr(one.clock, "later", NO_END.act_within + 1)
        await until(lambda: one.doing == ["follow", "lead", "ended", "follow", "lead"])

    run(scenario)


def test_a_leader_whose_lease_somebody_else_has_stops_at_its_next_renewal():
    async def scenario(server, candidate):
        one = candidate("one", NO_END)
        await until(one.leads)
        server.put(server.lease | {"spec": server.lease["spec"] | {"holderIdentity": identity("other")}})
        await until(lambda: one.doing[-1] == "follow")
        assert not one.elector.is_leader()

    run(scenario)


def test_a_lease_that_people_touched_is_still_ours():
    async def scenario(server, candidate):
        one = candidate("one")
        await until(one.leads)
        server.put(server.lease | {"metadata": server.lease["metadata"] | {"annotations": {"seen": "by me"}}})
        before = server.version
        await until(lambda: server.version > before + 2)
        assert one.doing == ["follow", "lead"]

    run(scenario)


def test_a_lease_that_people_deleted_is_made_again():
    async def scenario(server, candidate):
        one = candidate("one")
        await until(one.leads)
        server.delete()
        await until(lambda: one.doing == ["follow", "lead", "ended", "follow", "lead"])
        assert server.holder == "one"

    run(scenario)


@pytest.mark.parametrize(
    "trouble",
    [pytest.param(FORBIDDEN, id="without permission"), pytest.param(AWAY, id="without an API server")],
)
def test_a_candidate_waits_for_better_times(trouble: ApiError):
    async def scenario(server, candidate):
        server.trouble = trouble
        one = candidate("one")
        await until(lambda: one.elector.silence() > 0.1)
        assert one.doing == ["follow"]
        server.trouble = None
        await until(one.leads)

    run(scenario)


def test_a_lease_that_was_taken_without_our_knowledge_is_ours():
    async def scenario(server, candidate):
        server.lose_answers = True
        one = candidate("one", NO_END)
        await until(lambda: server.holder == "one")
        server.lose_answers = False
        await until(one.leads)

    run(scenario)


def test_work_that_breaks_ends_the_replica_and_frees_the_lease():
    async def broken():
        raise ZeroDivisionError

    async def scenario(server, _candidate):
        one = Candidate(server, "one")
        with pytest.raises(ExceptionGroup) as ended:
            await one.elector.run(one.follow, broken)
        assert ended.group_contains(ZeroDivisionError)
        assert server.holder is None

    run(scenario)
