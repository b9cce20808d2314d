"""Events are sent in the background, when there is time for it."""

import asyncio
from contextlib import suppress

import msgspec
import pytest
from tests.harness.api_server import ApiServer
from tests.harness.client import Connection
from tests.harness.waiting import until
from tests.unit.controllers.clock import HandClock
from tests.unit.domain.builders import engine, trial

from lcm_operator.controllers import event_queue
from lcm_operator.controllers import recorder as module
from lcm_operator.controllers.recorder import Recorder
from lcm_operator.domain.actions import RecordEvent
from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.errors import NotFoundError, RejectedError, UnavailableError


class Api:
    """An API server that answers the first requests with `failures`; the namespace `full` takes no Events."""

    def __init__(self, *failures):
        self.server = ApiServer()
        self.connection = Connection(self.server, self._fail)
        self._failures = list(failures)

    @property
    def asked(self):
        return len(self.connection.requests)

    @property
    def sent(self):
        return self.server.all("events")

    @property
    def messages(self):
        return [event["message"] for event in self.sent]

    def _fail(self, request):
        if request.namespace == "full":
            raise BUSY
        if self._failures:
            raise self._failures.pop(0)

    async def has_sent(self, count):
        await until(lambda: len(self.sent) >= count)

    async def has_been_asked(self, count):
        await until(lambda: self.asked >= count)


async def quiet(_):
    return 0.0


async def with_recorder(api, scenario, quiet=quiet, clock=None):
    recorder = Recorder(api.connection.client(), quiet, clock or NodeClock())
    task = asyncio.create_task(recorder.run())
    try:
        await scenario(recorder)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def an_event(number, about=None):
    return RecordEvent(about or trial(), "Missed", f"number {number}", warning=True)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(event_queue, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(event_queue, "_LONGEST_PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize(
    ("about", "kind"),
    [pytest.param(trial(), "Trial", id="Trial"), pytest.param(engine(), "TrialEngine", id="TrialEngine")],
)
def test_an_event_is_sent_about_a(about, kind):
    api = Api()

    async def scenario(recorder):
        recorder.add(an_event(1, about))
        await api.has_sent(1)
        (sent,) = api.sent
        assert (sent["involvedObject"]["kind"], sent["involvedObject"]["uid"]) == (kind, about.metadata.uid)
        assert (sent["reason"], sent["message"], sent["type"]) == ("Missed", "number 1", "Warning")

    asyncio.run(with_recorder(api, scenario))


def test_events_are_sent_in_their_order():
    api = Api()

    async def scenario(recorder):
        for number in range(5):
            recorder.add(an_event(number))
        await api.has_sent(5)
        assert api.messages == [f"number {number}" for number in range(5)]

    asyncio.run(with_recorder(api, scenario))


AWAY = UnavailableError(0, "Unreachable", "no route")
BUSY = UnavailableError(429, "TooManyRequests", "later")
BROKEN = UnavailableError(500, "InternalError", "oops")
FULL = RejectedError(403, "Forbidden", "exceeded quota: count/events")
TERMINATING = RejectedError(403, "Forbidden", "namespace lab is being terminated")


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param([BUSY], id="it was asked to wait"),
        pytest.param([BROKEN] * 3, id="the API server had an error"),
        pytest.param([AWAY] * 20, id="the API server was away"),
        pytest.param([FULL] * 2, id="a quota was full"),
    ],
)
def test_an_event_is_sent_again_after(failures):
    api = Api(*failures)

    async def scenario(recorder):
        for number in range(3):
            recorder.add(an_event(number))
        await api.has_sent(3)
        assert api.messages == ["number 0", "number 1", "number 2"]
        assert len(recorder) == 0

    asyncio.run(with_recorder(api, scenario))


def test_an_event_is_not_sent_again_before_the_api_server_wants_it():
    clock, api = HandClock(), Api(UnavailableError(429, "TooManyRequests", "later", 7.0))

    async def scenario(recorder):
        recorder.add(an_event(1))
        await api.has_been_asked(1)
        clock.advance(6.5)
        recorder.add(an_event(2))
        looks = clock.looks
        await until(lambda: clock.looks >= looks + 3)
        assert api.asked == 1
        clock.advance(0.6)
        recorder.add(an_event(3))
        await api.has_sent(3)

    asyncio.run(with_recorder(api, scenario, clock=clock))


def test_an_event_that_was_taken_without_an_answer_is_recorded_once():
    api = Api()
    answers = [AWAY]

    def lose_the_first_answer(_):
        if answers:
            raise answers.pop()

    api.connection.after = lose_the_first_answer

    async def scenario(recorder):
        recorder.add(an_event(1))
        await until(lambda: len(recorder) == 0)
        assert (api.asked, api.messages) == (2, ["number 1"])

    asyncio.run(with_recorder(api, scenario))


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(TERMINATING, id="its namespace is being deleted"),
        pytest.param(NotFoundError(404, "NotFound", "no namespace"), id="its namespace is gone"),
        pytest.param(RejectedError(422, "Invalid", "no"), id="it is not valid"),
    ],
)
def test_an_event_is_given_up_and_logged_if(failure, caplog):
    api = Api(failure)

    async def scenario(recorder):
        recorder.add(an_event(0))
        recorder.add(an_event(1))
        await api.has_sent(1)
        assert api.messages == ["number 1"]

    asyncio.run(with_recorder(api, scenario))
    assert "number 0" in caplog.text


def test_a_namespace_that_takes_no_events_holds_up_no_other():
    api = Api()

    async def scenario(recorder):
        full = trial()
        metadata = msgspec.structs.replace(full.metadata, namespace="full")
        for number in range(50):
            recorder.add(an_event(number, msgspec.structs.replace(full, metadata=metadata)))
        recorder.add(an_event(50))
        await api.has_sent(1)
        assert len(recorder) == 50

    asyncio.run(with_recorder(api, scenario))


def test_what_is_left_at_the_end_is_tried_once_more():
    api = Api(BUSY)

    async def scenario(recorder):
        recorder.add(an_event(1))
        await api.has_been_asked(1)
        recorder.add(an_event(2))

    asyncio.run(with_recorder(api, scenario, clock=HandClock()))
    assert sorted(api.messages) == ["number 1", "number 2"]


def test_an_api_server_that_hangs_holds_up_the_end_for_a_moment_only(mocker, caplog):
    mocker.patch.object(module, "_LAST_TRY_SECONDS", 0.05)
    api = Api()

    begun = asyncio.Event()

    async def hangs(*_):
        begun.set()
        await asyncio.Event().wait()

    mocker.patch.object(api.connection, "request", side_effect=hangs)

    async def scenario(recorder):
        recorder.add(an_event(1))
        await begun.wait()

    async def bounded():
        async with asyncio.timeout(5):
            await with_recorder(api, scenario)

    asyncio.run(bounded())
    assert "number 1" in caplog.text


def test_events_wait_for_a_quiet_moment():
    api, calm, asked = Api(), asyncio.Event(), asyncio.Event()

    async def quiet(_):
        asked.set()
        await calm.wait()
        return 0.0

    async def scenario(recorder):
        recorder.add(an_event(1))
        await asked.wait()
        assert api.asked == 0
        calm.set()
        await api.has_sent(1)

    asyncio.run(with_recorder(api, scenario, quiet))


def test_all_events_that_wait_share_the_patience_of_five_seconds():
    api, limits = Api(), []

    async def quiet(limit):
        limits.append(limit)
        return min(limit, 3.0)

    async def scenario(recorder):
        for number in range(4):
            recorder.add(an_event(number))
        await api.has_sent(4)

    asyncio.run(with_recorder(api, scenario, quiet))
    assert limits == [5.0, 2.0, 0.0, 0.0]


def reason(number, reason, *, warning=False):
    return RecordEvent(trial(), reason, f"{reason} {number}", warning=warning)


def test_of_too_many_events_those_that_matter_least_are_dropped_first(monkeypatch, caplog):
    monkeypatch.setattr(module, "_MOST_WAITING", 4)
    api = Api()

    async def scenario(recorder):
        for number in range(3):
            recorder.add(reason(number, "Completed"))
        recorder.add(reason(0, "AdmissionRefused", warning=True))
        for number in range(5):
            recorder.add(reason(number, "Scheduled"))
        recorder.add(reason(3, "Cancelled"))
        await api.has_sent(4)
        assert api.messages == [
            "Completed 0",
            "Completed 1",
            "Completed 2",
            "Cancelled 3",
        ]

    asyncio.run(with_recorder(api, scenario))
    assert "AdmissionRefused 0" in caplog.text


def test_the_oldest_events_are_dropped_when_too_many_that_matter_wait(monkeypatch):
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    api = Api()

    async def scenario(recorder):
        for number in range(10):
            recorder.add(an_event(number))
        await api.has_sent(3)
        assert api.messages == ["number 7", "number 8", "number 9"]

    asyncio.run(with_recorder(api, scenario))


# --- what is recorded before anything else is done


def test_an_outcome_that_nothing_else_reports_is_recorded_under_one_name():
    api = Api()

    async def scenario(recorder):
        await recorder.record(an_event(1))
        await recorder.record(an_event(1))
        names = {sent["metadata"]["name"] for sent in api.sent}
        assert len(names) == 1

    asyncio.run(with_recorder(api, scenario))


def test_an_outcome_that_can_not_be_recorded_now_holds_up_what_follows():
    async def scenario(recorder):
        with pytest.raises(UnavailableError):
            await recorder.record(an_event(1))

    asyncio.run(with_recorder(Api(BUSY), scenario))


def test_an_outcome_that_is_refused_holds_up_nothing_and_is_tried_again():
    api = Api(FULL)

    async def scenario(recorder):
        await recorder.record(an_event(1))
        await api.has_sent(1)

    asyncio.run(with_recorder(api, scenario))
