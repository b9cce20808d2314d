"""/metrics: what is counted, what is taken at the scrape, and how long a scrape takes."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.controllers.clock import HandClock
from tests.unit.domain.builders import T, at, nap, running, trial

from lcm_operator.api.storage import serialise
from lcm_operator.api.trial import Missed
from lcm_operator.controllers import metrics, time_slice
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.actions import LatchTrial, WriteEngine, WriteTrial
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Settings
from lcm_operator.domain.start_time import start_time_of

MISSED = Missed(start_time=T, missed_time=at(130), late_milliseconds=130_000, reason="Missed")


class Queue:
    delayed = 7

    def __len__(self):
        return 3


QUEUE = Queue()
CLOCKS = SimpleNamespace(offset_seconds=lambda: 3600.0, steps=1)


def replica(leading=(True,)):
    return SimpleNamespace(is_leader=lambda: leading[0], thefts=2)


def read(registry):
    """Return each sample as Prometheus would read it."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.page(registry).decode())
        for sample in family.samples
    }


def with_status(subject, **fields):
    return msgspec.structs.replace(subject, status=msgspec.structs.replace(subject.status, **fields))


def test_a_latched_start_is_observed_with_its_lag():
    registry = metrics.new_registry()
    subject = trial()
    status = msgspec.structs.replace(subject.status, start_lag_milliseconds=1_500)
    Observer(registry).applied(LatchTrial(subject, status))
    found = read(registry)
    assert found["lcm_trial_start_lag_seconds_count",] == 1
    assert found["lcm_trial_start_lag_seconds_sum",] == 1.5
    assert found["lcm_trial_start_lag_seconds_bucket", "1.0"] == 0
    assert found["lcm_trial_start_lag_seconds_bucket", "2.5"] == 1


def test_miss_is_counted_once_however_often_the_status_is_written():
    registry = metrics.new_registry()
    observer = Observer(registry)
    missed = with_status(trial(), missed=(MISSED,))
    observer.applied(WriteTrial(trial(), missed.status))
    observer.applied(WriteTrial(missed, missed.status))
    assert read(registry)["lcm_trials_missed_total",] == 1


def test_failed_releases_are_counted_once():
    registry = metrics.new_registry()
    observer = Observer(registry)
    releasing = trial(activities=[nap("one")], **{"finally": [nap("free")]})
    before = running(releasing, one="Succeeded", free="Failed")
    (write, _) = decide(before, at(9)).actions
    observer.applied(write)
    again = msgspec.structs.replace(before.engine, status=write.status)
    observer.applied(WriteEngine(again, write.status))
    assert read(registry)["lcm_trials_unreleased_total",] == 1


@pytest.mark.parametrize(
    ("subject", "due"),
    [
        pytest.param(trial(), True, id="one whose start time has come"),
        pytest.param(trial(startTime="2030-01-01T00:00:00Z"), False, id="not one that lies ahead"),
        pytest.param(trial(suspend=True), False, id="not a suspended one"),
        pytest.param(with_status(trial(), started_time=T), False, id="not one that was started"),
    ],
)
def test_due_is_what_should_be_started_now(subject, due):
    census = metrics.Census()
    census.add(subject, start_time_of(subject, {}), at(1))
    assert census.due == due


def filled(trials):
    cache = SlotCache(Settings(), HandClock())
    for number in range(trials):
        subject = trial(uid=f"uid-{number}", name=f"flight-{number}")
        status = serialise(subject.status) | {"phase": "Armed"}
        cache.put_trial(serialise(subject) | {"status": status})
    leases = SimpleNamespace(failing_seconds=lambda: 12.0)
    return SimpleNamespace(cache=cache, queue=QUEUE, recorder=range(4), leases=leases, clock=HandClock())


def test_gauges_are_taken_at_the_scrape():
    registry = metrics.new_registry()
    leading = [True]
    gauges = metrics.Gauges(filled(2), replica(leading), CLOCKS)
    registry.register(gauges)
    asyncio.run(gauges.prepare())
    found = read(registry)
    assert found["lcm_trials", "armed"] == 2
    assert found["lcm_trials", "running"] == 0
    assert found["lcm_heap_size",] == 7
    assert found["lcm_queue_size",] == 3
    assert found["lcm_events_waiting",] == 4
    assert found["lcm_lease_reads_failing_seconds",] == 12
    assert found["lcm_leader",] == 1
    assert found["lcm_lease_thefts_total",] == 2
    assert found["lcm_clock_offset_seconds",] == 3600
    assert found["lcm_clock_steps_total",] == 1
    leading[0] = False
    assert read(registry)["lcm_leader",] == 0
    assert any(name == "lcm_build_info" for name, *_ in found)


def test_no_label_names_a_trial():
    registry = metrics.new_registry()
    registry.register(metrics.Gauges(filled(2), replica(), CLOCKS))
    Observer(registry)
    assert "flight-1" not in metrics.page(registry).decode()


def test_a_scrape_of_many_trials_leaves_the_loop_to_others_in_between(monkeypatch):
    monkeypatch.setattr(time_slice, "SLICE_SECONDS", 0.0)
    registry = metrics.new_registry()
    gauges = metrics.Gauges(filled(50), replica(), CLOCKS)
    registry.register(gauges)
    turns = 0

    async def scenario():
        nonlocal turns
        scraping = asyncio.create_task(metrics.scrape(registry, gauges))
        while not scraping.done():
            turns += 1
            await asyncio.sleep(0)
        body, _ = await scraping
        assert b'lcm_trials{phase="armed"} 50.0' in body

    asyncio.run(scenario())
    assert turns > 20
