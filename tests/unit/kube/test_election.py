"""The election: who may act, until when, and what it survives."""

import asyncio
from contextlib import suppress

import pytest
from tests.harness.api_server import ApiServer
from tests.harness.client import AWAY, Connection
from tests.harness.waiting import until

from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.election import Elector, Terms
from lcm_operator.kube.errors import ApiError, RejectedError

LEASE_NAME = "the-lease"
QUICK = Terms(lease=1, renew_every=0.02, act_within=0.3, request=0.2, retry=0.01)
STEADY = Terms(lease=10, renew_every=0.02, act_within=8, request=1, retry=0.01)
SLOW = Terms(lease=20, renew_every=0.02, act_within=1, request=0.5, retry=0.01)
NO_END = Terms(lease=3600, renew_every=0.02, act_within=3000, request=0.2, retry=0.01)
FORBIDDEN = RejectedError(403, "Forbidden", "leases is forbidden")


class MovableClock(NodeClock):
    """The real clock, which a process that was frozen finds to be `later`."""

    later = 0.0

    def elapsed(self):
        return super().elapsed() + self.later


class Server:
    """An API server with one Lease. `trouble` answers all requests; `interfere` is called before the next."""

    def __init__(self):
        self.api = ApiServer(namespace="lcm")
        self.connection = Connection(self.api, self._before, self._after)
        self.trouble = None
        self.lose_answers = False
        self.refuse_watches = False
        self.interfere = {}

    def _before(self, request):
        self.interfere.pop(request.verb, lambda: None)()
        if self.refuse_watches and request.verb == "watch":
            raise FORBIDDEN
        if self.trouble:
            raise self.trouble

    def _after(self, request):
        if self.lose_answers and request.writes:
            raise AWAY

    def put(self, lease):
        self.api.put("leases", lease)

    def delete(self):
        self.api.remove("leases", LEASE_NAME)

    @property
    def lease(self):
        return self.api.find("leases", LEASE_NAME)

    @property
    def version(self):
        return self.api.version

    @property
    def holder(self):
        holder = (self.lease or {"spec": {}})["spec"].get("holderIdentity")
        return holder and holder.removesuffix("_0000abcd")


def identity(name):
    """Return a name of the form that candidates have."""
    return f"{name}_0000abcd" if "_" not in name else name


class Candidate:
    """A replica: its elector, and which of the two works it does."""

    def __init__(self, server, name, terms=QUICK, place=None):
        self.name = identity(name)
        self.clock = MovableClock()
        self.elector = Elector(
            server.connection.client(),
            "lcm",
            LEASE_NAME,
            self.name,
            clock=self.clock,
            place=place,
            terms=terms,
        )
        self.doing = []

    def leads(self):
        """Return whether it leads and has begun to work as a leader."""
        return self.elector.is_leader() and self.doing[-1] == "lead"

    async def follow(self):
        self.doing.append("follow")
        await asyncio.Event().wait()

    async def lead(self):
        self.doing.append("lead")
        try:
            await asyncio.Event().wait()
        finally:
            self.doing.append("ended")

    def start(self):
        self.task = asyncio.create_task(self.elector.run(self.follow, self.lead))
        return self

    async def stop(self):
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


def run(scenario):
    async def main():
        server = Server()
        candidates = []

        def candidate(name, terms=QUICK, place=None):
            candidates.append(Candidate(server, name, terms, place).start())
            return candidates[-1]

        try:
            await scenario(server, candidate)
        finally:
            for started in candidates:
                await started.stop()

    asyncio.run(main())


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


def test_a_lease_that_was_taken_without_our_hearing_of_it_is_ours():
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
def test_a_lease_that_is_stolen_is_taken_back_while_the_work_goes_on(spec):
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
