"""Candidates of an election, and an API server with its one Lease."""

import asyncio
from contextlib import suppress

from tests.harness.api_server import ApiServer
from tests.harness.client import AWAY, Connection

from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.election import Elector, Terms
from lcm_operator.kube.errors import RejectedError

LEASE_NAME = "the-lease"
QUICK = Terms(lease=1, renew_every=0.02, act_within=0.3, request=0.2, retry=0.01)
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
