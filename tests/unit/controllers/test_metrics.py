"""/metrics: what is counted, what is taken at the scrape, and how long a scrape takes."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.controllers.clock import HandClock
from tests.unit.domain.builders import (
    T,
    asking,
    at,
    ended,
    held,
    latched,
    nap,
    pod,
    running,
    trial,
)

from lcm_operator.api.conditions import ConditionUpdate, with_condition
from lcm_operator.api.engine import Handled
from lcm_operator.api.storage import serialise
from lcm_operator.api.trial import Missed
from lcm_operator.controllers import census, metrics, time_slice
from lcm_operator.controllers.census import Census
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.actions import GrantEngine, LatchTrial, WriteEngine, WriteTrial
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Renewals, Settings
from lcm_operator.domain.start_time import start_time_of
from lcm_operator.domain.status import PHASES
from lcm_operator.rest import probes

DOCS = Path(__file__).parents[3] / "docs"
REASONS, MONITORING = DOCS / "reasons.md", DOCS / "monitoring.md"
ENDS = "Missed", "EngineSilent"

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


class Counted:
    """An observer, and what its counters show."""

    def __init__(self):
        self.registry = metrics.new_registry()
        self.observer = Observer(self.registry)
        self.observer.know(["lab"])

    def applied(self, *actions, trial=None, now=T):
        for action in actions:
            self.observer.applied(action, trial, now)
        return self

    def __getitem__(self, sample):
        name, *labels = sample
        return read(self.registry)[name, "lab", *labels]


@pytest.fixture
def counted():
    return Counted()


def test_a_latched_start_is_observed_with_its_lag(counted):
    subject = trial()
    status = msgspec.structs.replace(subject.status, start_lag_milliseconds=1_500)
    counted.applied(LatchTrial(subject, status))
    assert counted["lcm_trial_start_lag_seconds_count",] == 1
    assert counted["lcm_trial_start_lag_seconds_sum",] == 1.5
    buckets = read(counted.registry)
    assert buckets["lcm_trial_start_lag_seconds_bucket", "1.0", "lab"] == 0
    assert buckets["lcm_trial_start_lag_seconds_bucket", "2.5", "lab"] == 1


def test_miss_is_counted_once_however_often_the_status_is_written(counted):
    missed = with_status(trial(), missed=(MISSED,))
    counted.applied(WriteTrial(trial(), missed.status), WriteTrial(missed, missed.status))
    assert counted["lcm_trials_missed_total",] == 1


def test_failed_releases_are_counted_once(counted):
    releasing = trial(activities=[nap("one")], **{"finally": [nap("free")]})
    before = running(releasing, one="Succeeded", free="Failed")
    (write, _) = decide(before, at(9)).actions
    again = msgspec.structs.replace(before.engine, status=write.status)
    counted.applied(write, WriteEngine(again, write.status))
    assert counted["lcm_trials_unreleased_total",] == 1


def test_grant_is_observed_from_the_latch_and_only_the_first_one(counted):
    before = replace(latched(), pod=pod())
    holder, engine_ = before.trials[0], held(before.engine)
    first = msgspec.structs.replace(engine_.status, attempt=1, attempts_total=1)
    second = msgspec.structs.replace(first, attempt=2)
    started = holder.status.started_time
    for status in (first, second):
        counted.applied(GrantEngine(engine_, status), trial=holder, now=started + timedelta(milliseconds=300))
    assert counted["lcm_trial_latch_to_grant_seconds_count",] == 1
    assert counted["lcm_trial_latch_to_grant_seconds_sum",] == 0.3


def test_first_activity_is_observed_once(counted):
    begun = with_status(trial(), first_activity_lag_milliseconds=250)
    counted.applied(WriteTrial(trial(), begun.status), WriteTrial(begun, begun.status))
    assert counted["lcm_trial_first_activity_lag_seconds_count",] == 1
    assert counted["lcm_trial_first_activity_lag_seconds_sum",] == 0.25


def test_failure_is_counted_by_reason_and_missed_or_cancelled_is_none(counted):
    before = trial()
    failed = ended_as(before, "ActivityFailed")
    for after in (failed, ended_as(before, "Missed"), ended_as(before, "Cancelled"), ended_as(before, "New")):
        counted.applied(WriteTrial(before, after.status))
    counted.applied(WriteTrial(failed, failed.status))
    assert counted["lcm_trials_failed_total", "ActivityFailed"] == 1
    assert counted["lcm_trials_failed_total", "Other"] == 1
    assert sum(value for key, value in read(counted.registry).items() if "failed_total" in key[0]) == 2


def test_restores_are_counted_by_their_reason(counted):
    asked = asking(ended(one="Succeeded", two="Failed"), restore="again")
    (write, *_) = [each for each in decide(asked, at(60)).actions if isinstance(each, WriteEngine)]
    counted.applied(write)
    assert counted["lcm_restores_total", "Restore"] == 1
    assert counted["lcm_restores_total", "Automatic"] == 0


def test_refused_requests_are_counted(counted):
    refusal = Handled(id="a", time=T, result="Refused", message="no")
    done = Handled(id="b", time=T, result="Done")
    before = trial()
    after = with_status(before, last_handled_restore=refusal, last_handled_delete=done)
    counted.applied(WriteTrial(before, after.status), WriteTrial(after, after.status))
    assert counted["lcm_requests_refused_total", "restore"] == 1
    assert counted["lcm_requests_refused_total", "delete"] == 0


def ended_as(subject, reason):
    change = ConditionUpdate("Succeeded", "False", reason)
    return with_status(subject, conditions=with_condition(subject.status.conditions, change, at(5)))


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
    census = Census()
    census.add(subject, start_time_of(subject, {}), at(1))
    assert census.due == due


def not_ready(reason, kind="Armed", status="False", **fields):
    update = ConditionUpdate(kind, status, reason)
    return with_status(
        trial(), conditions=with_condition(trial().status.conditions, update, at(-9)), **fields
    )


@pytest.mark.parametrize(
    ("subject", "counted", "waits"),
    [
        pytest.param(not_ready("PlanNotFound"), {"PlanNotFound": 1}, True, id="no plan"),
        pytest.param(not_ready("DuplicateTrialID", "Accepted"), {"DuplicateTrialID": 1}, True, id="no ID"),
        pytest.param(not_ready("Checked", status="Unknown"), {}, False, id="checked"),
        pytest.param(
            not_ready("PodPending", "Succeeded", "Unknown", started_time=T),
            {"PodPending": 1},
            False,
            id="a pod that does not run",
        ),
        pytest.param(not_ready("Invented"), {"Other": 1}, True, id="a reason of nobody's"),
        pytest.param(ended_as(not_ready("PlanNotFound"), "Missed"), {}, False, id="one that is over"),
    ],
)
def test_what_is_not_ready_is_counted_by_reason(subject, counted, waits):
    census = Census()
    census.add(subject, T, at(-60))
    assert census.not_ready == counted
    assert census.next_not_ready == (T if waits else None)


def test_reasons_of_the_labels_are_those_of_the_documentation():
    rows = [
        (section, cells[0].strip("`"), reason)
        for section, cells in reason_rows()
        for reason in re.findall(r"`([^`]+)`", cells[1])
    ]
    unready = {
        reason for section, status, reason in rows if status == "False" and section in ("Accepted", "Armed")
    }
    failed = {reason for section, status, reason in rows if (section, status) == ("Succeeded", "False")}
    assert set(census.NOT_READY) == unready | {"PodPending"}
    assert set(census.FAILED) == failed - {"Missed", "Cancelled"}


def reason_rows():
    section = ""
    for line in REASONS.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| `"):
            yield section, [cell.strip() for cell in line.strip("|").split("|")]


def test_what_ended_badly_is_known_with_its_time():
    census = Census()
    for subject in (ended_as(trial(), "Missed"), ended_as(trial(), "EngineSilent")):
        census.add(subject, T, at(60))
    released = ConditionUpdate("Released", "False", "FinallyFailed")
    unreleased = with_status(trial(), conditions=with_condition((), released, at(7)))
    census.add(unreleased, T, at(60))
    assert (census.missed, census.failed) == (at(5), {"EngineSilent": at(5)})
    assert census.unreleased == at(7)


@pytest.mark.parametrize(
    ("subject", "now", "lag"),
    [
        pytest.param(
            with_status(trial(), started_time=at(3), start_lag_milliseconds=3000), 60, 3, id="started"
        ),
        pytest.param(
            with_status(trial(), started_time=at(3), start_lag_milliseconds=3000), 1000, 0, id="long ago"
        ),
        pytest.param(trial(), 9, 9, id="due"),
        pytest.param(trial(), -9, 0, id="ahead"),
    ],
)
def test_longest_start_lag_is_of_recent_starts_and_of_what_is_due(subject, now, lag):
    census = Census()
    census.add(subject, T, at(now))
    assert census.start_lag.total_seconds() == lag


def test_silence_and_checkpoint_age_are_of_running_engines_only():
    engine = running(one="Running").engine
    silent = Renewals(pod_uid=engine.status.pod_ref.uid, unseen=timedelta(seconds=30))
    census = Census()
    census.add_engine(engine, silent, at(100))
    assert (census.silence, census.silent_share) == (timedelta(seconds=30), 0.5)
    assert timedelta(seconds=90) < census.checkpoint_age <= timedelta(seconds=100)
    other = Census()
    over = msgspec.structs.replace(engine.status.pod_ref, end_time=at(50))
    other.add_engine(with_status(engine, pod_ref=over), silent, at(100))
    assert other == Census()


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
    known = []
    gauges = metrics.Gauges(
        filled(2),
        replica(leading),
        CLOCKS,
        namespaces=["empty"],
        registries=lambda: [(("lab", "near"), True, T), (("lab", "far"), False, None)],
        know=known.extend,
    )
    registry.register(gauges)
    asyncio.run(gauges.prepare())
    found = read(registry)
    assert known == ["empty", "lab"]
    assert found["lcm_trials", "lab", "armed"] == 2
    assert {labels[1] for name, *labels in found if name == "lcm_trials"} == {each.lower() for each in PHASES}
    assert found["lcm_trials", "empty", "due"] == 0
    assert found["lcm_registry_synced", "lab", "near"] == 1
    assert found["lcm_registry_synced", "lab", "far"] == 0
    assert found["lcm_registry_last_sync_timestamp_seconds", "lab", "near"] == T.timestamp()
    assert ("lcm_registry_last_sync_timestamp_seconds", "lab", "far") not in found
    assert found["lcm_engine_heartbeat_age_seconds", "lab"] == 0
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
    assert ("lcm_engine_heartbeat_age_seconds", "lab") not in read(registry)
    assert any(name == "lcm_build_info" for name, *_ in found)


def test_no_label_names_a_trial():
    registry = metrics.new_registry()
    registry.register(metrics.Gauges(filled(2), replica(), CLOCKS))
    Observer(registry).know(["lab"])
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
        assert b'lcm_trials{namespace="lab",phase="armed"} 50.0' in body

    asyncio.run(scenario())
    assert turns > 20


def test_every_metric_is_documented_with_its_type_and_labels():
    registry = metrics.new_registry()
    counters = Observer(registry)
    counters.know(["lab"])
    full = filled(1)
    for number, subject in enumerate((not_ready("PlanNotFound"), *map(ended_as, [trial()] * 2, ENDS))):
        renamed = msgspec.structs.replace(subject.metadata, uid=f"u{number}", name=f"t{number}")
        full.cache.put_trial(serialise(msgspec.structs.replace(subject, metadata=renamed)))
    released = with_condition((), ConditionUpdate("Released", "False", "FinallyFailed"), at(7))
    full.cache.put_trial(serialise(with_status(trial(name="u", uid="u"), conditions=released)))
    gauges = metrics.Gauges(full, replica(), CLOCKS, registries=lambda: [(("lab", "near"), True, T)])
    registry.register(gauges)
    asyncio.run(gauges.prepare())
    rest = probes.Metrics()
    rest.observe("/status", "GET", 200, 0.1)
    shown = metrics.page(registry).decode() + generate_latest(rest.registry).decode()
    found = {
        (documented_name(family), family.type, frozenset(sample.labels) - {"le"})
        for family in text_string_to_metric_families(shown)
        for sample in family.samples
        if sample.name.startswith("lcm_") and not sample.name.endswith("_created")
    }
    row = re.compile(r"\| `(lcm_\w+)(?:\{([\w,]+)\})?` \| (\w+) \|")
    written = {
        (name, kind, frozenset(labels.split(",") if labels else ()))
        for name, labels, kind in row.findall(MONITORING.read_text(encoding="utf-8"))
    }
    assert found == written


def documented_name(family):
    return family.name + ("_total" if family.type == "counter" else "")
