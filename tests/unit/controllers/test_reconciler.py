"""The loop as a whole, against an API server in name only: in which order it writes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.harness.client import Connection
from tests.harness.cluster import Cluster
from tests.harness.waiting import until
from tests.unit.controllers.clock import HandClock

from lcm_operator.controllers import metrics, time_slice
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import Settings
from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.errors import RejectedError


class Server:
    """A namespace, and what was written in which order: (verb, plural, name, status fields)."""

    def __init__(self):
        self.cluster = Cluster()
        self.connection = Connection(self.cluster, self._refuse, self._note)
        self.writes = []
        self.refused = set()

    def put(self, plural, raw):
        created = {"creationTimestamp": datetime.now(UTC).isoformat()}
        return self.cluster.put(plural, raw | {"metadata": created | raw["metadata"]})

    def status(self, name):
        return (self.cluster.find("trials", name) or {}).get("status", {})

    def _refuse(self, request):
        if request.verb == "create" and not request.query.get("dryRun"):
            name = request.body["metadata"].get("name", "")
            if request.plural == "pods" and name in self.refused:
                raise RejectedError(403, "Forbidden", "exceeded quota")

    def _note(self, request):
        if request.verb == "create" and not request.query.get("dryRun"):
            self.writes.append(("create", request.plural, request.body["metadata"].get("name", ""), ()))
        if request.verb == "json":
            assert request.subresource == "status"
            fields = [op["path"].split("/")[2] for op in request.body[1:] if op["path"] != "/status"]
            self.writes.append(("patch", request.plural, request.name, tuple(fields)))


@pytest.fixture
def server():
    return Server()


def raw_trial(name, start, **spec):
    plan = {"activities": [{"name": "one", "sleep": {"seconds": 1}}]}
    return {"metadata": {"name": name}, "spec": {"startTime": start.isoformat()} | plan | spec}


def led_until(server, holds, act=None, clock=None):
    """Lead over what the server has until something holds; `act` is done once the loop runs."""
    clock = clock or NodeClock()

    async def scenario():
        this = Reconciler(
            server.connection.client(),
            SlotCache(Settings(), clock),
            may_act=lambda: True,
            observer=Observer(metrics.new_registry()),
            clock=clock,
        )
        for raw in server.cluster.all("trials"):
            this.take_trial(raw)
        leading = asyncio.create_task(this.lead())
        if act is not None:
            await act(this)
        await until(lambda: leading.done() or holds(), 60)
        assert not leading.done()
        leading.cancel()
        await asyncio.wait([leading])

    asyncio.run(scenario())


def writes(server, verb, plural, field=None):
    return [
        number
        for number, write in enumerate(server.writes)
        if write[:2] == (verb, plural) and (field is None or field in write[3])
    ]


def test_pods_of_one_start_time_are_created_before_any_trial_is_latched(server, monkeypatch):
    """No time passes between arming and the last write, so that a busy machine changes no order."""
    monkeypatch.setattr(time_slice, "SLICE_SECONDS", 60.0)  # the alarm rings for all without a pause
    clock = HandClock(datetime.now(UTC))
    for number in range(100):
        server.put("trials", raw_trial(f"flight-{number}", clock.now() + timedelta(seconds=30)))

    async def act(_):
        flights = [f"flight-{number}" for number in range(100)]
        await until(lambda: all(server.status(name).get("phase") == "Armed" for name in flights), 60)
        assert writes(server, "create", "pods") == []
        clock.advance(30)

    led_until(server, lambda: len(writes(server, "patch", "trials", "startedTime")) == 100, act, clock)
    latches = writes(server, "patch", "trials", "startedTime")
    creates = writes(server, "create", "pods")
    assert len(creates) == 100
    assert max(creates) < min(latches)


def test_trial_created_just_before_its_start_waits_for_no_quiet_moment(server):
    """Something else starts every 0.2 s, so that routine work is held back."""
    now = datetime.now(UTC)
    for number in range(40):
        server.put("trials", raw_trial(f"steady-{number}", now + timedelta(seconds=1 + 0.2 * number)))

    async def act(this):
        await until(lambda: "startedTime" in server.status("steady-2"), 60)
        made = raw_trial("made", datetime.now(UTC) + timedelta(seconds=0.5), startingDeadlineSeconds=2)
        this.take_trial(server.put("trials", made))

    def is_over():
        status = server.status("made")
        return "startedTime" in status or status.get("missed")

    led_until(server, is_over, act)
    assert "startedTime" in server.status("made")


def test_a_start_that_was_refused_is_tried_until_it_succeeds(server):
    server.put("trials", raw_trial("flight", datetime.now(UTC)))
    server.refused.add("flight-1")

    async def act(_):
        await until(lambda: "AdmissionRefused" in str(server.status("flight")))
        server.refused.clear()

    led_until(server, lambda: writes(server, "patch", "trials", "startedTime"), act)
