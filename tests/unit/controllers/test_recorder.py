"""Events are sent in the background, when there is time for it."""

import asyncio
from contextlib import suppress

import pytest
from tests.unit.domain.builders import engine, trial

from lcm_operator.controllers import recorder as module
from lcm_operator.controllers.recorder import Recorder
from lcm_operator.domain.actions import RecordEvent
from lcm_operator.kube.errors import Refused, Unavailable


class Client:
    """Takes Events; `failures` are raised first."""

    def __init__(self, *failures):
        self.sent = []
        self.failures = list(failures)
        self.changed = asyncio.Event()

    async def create(self, resource, namespace, manifest):
        assert resource.plural == "events"
        assert namespace == manifest["metadata"]["namespace"]
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(manifest)
        self.changed.set()

    async def has_sent(self, count):
        async with asyncio.timeout(5):
            while len(self.sent) < count:
                self.changed.clear()
                await self.changed.wait()


async def with_recorder(client, scenario, hold=lambda: False):
    recorder = Recorder(client, hold)
    task = asyncio.create_task(recorder.run())
    try:
        await scenario(recorder)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def told(number, about=None):
    return RecordEvent(about or trial(), "Missed", f"number {number}", warning=True)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.001)


@pytest.mark.parametrize(
    ("about", "kind"),
    [pytest.param(trial(), "Trial", id="Trial"), pytest.param(engine(), "TrialEngine", id="TrialEngine")],
)
def test_an_event_is_sent_about_a(about, kind):
    client = Client()

    async def scenario(recorder):
        recorder.add(told(1, about))
        await client.has_sent(1)
        (sent,) = client.sent
        assert (sent["involvedObject"]["kind"], sent["involvedObject"]["uid"]) == (kind, about.metadata.uid)
        assert (sent["reason"], sent["message"], sent["type"]) == ("Missed", "number 1", "Warning")

    asyncio.run(with_recorder(client, scenario))


def test_events_are_sent_in_their_order():
    client = Client()

    async def scenario(recorder):
        for number in range(5):
            recorder.add(told(number))
        await client.has_sent(5)
        assert [sent["message"] for sent in client.sent] == [f"number {number}" for number in range(5)]

    asyncio.run(with_recorder(client, scenario))


def test_an_event_that_can_not_be_sent_keeps_no_other_from_being_sent(caplog):
    client = Client(Refused(403, "Forbidden", "no"), Unavailable(500, "InternalError", "no"))

    async def scenario(recorder):
        for number in range(3):
            recorder.add(told(number))
        await client.has_sent(1)
        assert [sent["message"] for sent in client.sent] == ["number 2"]

    asyncio.run(with_recorder(client, scenario))
    assert "number 0" in caplog.text


def test_events_wait_while_something_is_due():
    client = Client()
    looks = [True, True, True, False]

    def hold():
        assert not client.sent or len(looks) == 1
        return looks.pop(0) if len(looks) > 1 else looks[0]

    async def scenario(recorder):
        recorder.add(told(1))
        await client.has_sent(1)
        assert looks == [False]

    asyncio.run(with_recorder(client, scenario, hold))


def test_the_oldest_events_are_dropped_when_too_many_wait(monkeypatch):
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    client = Client()

    async def scenario(recorder):
        for number in range(10):
            recorder.add(told(number))
        await client.has_sent(3)
        assert [sent["message"] for sent in client.sent] == ["number 7", "number 8", "number 9"]

    asyncio.run(with_recorder(client, scenario))
