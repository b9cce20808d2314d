"""The loop as a whole, against an API server in name only: in which order it writes."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from lcm_operator.controllers import metrics
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.store import Store
from lcm_operator.domain.snapshot import Settings
from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.errors import NotFound, Refused
from lcm_operator.kube.listing import Page

BUILT_IN = ("serviceaccounts", "rolebindings")


class Client:
    """Keeps objects, and a list of what was written in which order: (verb, plural, name, status fields)."""

    def __init__(self):
        self.objects = {}
        self.version = 0
        self.writes = []
        self.refused = set()

    def put(self, plural, raw):
        self.version += 1
        metadata = {"namespace": "lab", "uid": f"{plural}-{raw['metadata']['name']}", "generation": 1}
        metadata |= {"creationTimestamp": datetime.now(UTC).isoformat()} | raw["metadata"]
        kept = raw | {"metadata": metadata | {"resourceVersion": str(self.version)}}
        self.objects[plural, metadata["name"]] = kept
        return msgspec.json.decode(msgspec.json.encode(kept))

    async def get(self, resource, _namespace, name):
        await asyncio.sleep(0)
        if resource.plural in BUILT_IN:
            return {}
        try:
            return self.objects[resource.plural, name]
        except KeyError:
            raise NotFound(404, "NotFound", name) from None

    async def create(self, resource, _namespace, body, *, dry_run=False):
        await asyncio.sleep(0)
        name = body["metadata"].get("name", "")
        if dry_run:
            return body
        if resource.plural == "pods" and name in self.refused:
            raise Refused(403, "Forbidden", "exceeded quota")
        self.writes.append(("create", resource.plural, name, ()))
        return self.put(resource.plural, body)

    async def json_patch(self, resource, _namespace, name, operations, *, subresource):
        await asyncio.sleep(0)
        assert subresource == "status"
        raw = self.objects[resource.plural, name]
        fields = {op["path"].split("/")[2]: op["value"] for op in operations[1:] if op["path"] != "/status"}
        self.writes.append(("patch", resource.plural, name, tuple(fields)))
        return self.put(resource.plural, raw | {"status": raw.get("status", {}) | fields})

    async def list(self, *_, **__):
        return [], "1"

    async def listed(self, *_, **__):
        yield Page((), "1", "")


@pytest.fixture
def client():
    return Client()


def raw_trial(name, start, **spec):
    plan = {"activities": [{"name": "one", "sleep": {"seconds": 1}}]}
    return {"metadata": {"name": name}, "spec": {"startTime": start.isoformat()} | plan | spec}


def led_until(client, holds, act=None):
    """Lead over what the client has until something holds; `act` is done once the loop runs."""

    async def scenario():
        clock = NodeClock()
        this = Reconciler(
            client,
            Store(Settings(), clock),
            may_act=lambda: True,
            observer=Observer(metrics.new_registry()),
            clock=clock,
        )
        for (plural, _), raw in list(client.objects.items()):
            assert plural == "trials"
            this.take_trial(raw)
        leading = asyncio.create_task(this.lead())
        async with asyncio.timeout(20):
            if act is not None:
                await act(this)
            while not holds():
                assert not leading.done()
                await asyncio.sleep(0.01)
        leading.cancel()
        await asyncio.wait([leading])

    asyncio.run(scenario())


def writes(client, verb, plural, field=None):
    return [
        number
        for number, write in enumerate(client.writes)
        if write[:2] == (verb, plural) and (field is None or field in write[3])
    ]


def test_pods_of_one_start_time_are_created_before_any_trial_is_latched(client):
    start = datetime.now(UTC) + timedelta(seconds=2)
    for number in range(100):
        client.put("trials", raw_trial(f"flight-{number}", start))
    led_until(client, lambda: len(writes(client, "patch", "trials", "startedTime")) == 100)
    latches = writes(client, "patch", "trials", "startedTime")
    creates = writes(client, "create", "pods")
    assert len(creates) == 100
    assert max(creates) < min(latches)


def test_trial_created_just_before_its_start_waits_for_no_quiet_moment(client):
    """Something else starts every 0.2 s, so that routine work is held back."""
    now = datetime.now(UTC)
    for number in range(40):
        client.put("trials", raw_trial(f"steady-{number}", now + timedelta(seconds=1 + 0.2 * number)))

    async def act(this):
        await asyncio.sleep(1.5)
        made = raw_trial("made", datetime.now(UTC) + timedelta(seconds=0.5), startingDeadlineSeconds=2)
        this.take_trial(client.put("trials", made))

    def is_over():
        status = client.objects.get(("trials", "made"), {}).get("status", {})
        return "startedTime" in status or status.get("missed")

    led_until(client, is_over, act)
    assert "startedTime" in client.objects["trials", "made"]["status"]


def test_a_start_that_was_refused_is_tried_until_it_succeeds(client):
    client.put("trials", raw_trial("flight", datetime.now(UTC)))
    client.refused.add("flight-1")

    async def act(_):
        while "AdmissionRefused" not in str(client.objects["trials", "flight"].get("status")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        client.refused.clear()

    led_until(client, lambda: writes(client, "patch", "trials", "startedTime"), act)
