"""How long an engine counts as silent, whatever becomes of the lists of Leases in between."""

import asyncio
import logging
from datetime import timedelta

import pytest
from tests.unit.controllers.clock import HandClock
from tests.unit.controllers.objects import KEY, raw_engine, raw_trial
from tests.unit.domain.builders import absent, pod

from lcm_operator.controllers.lease_monitor import LeaseMonitor
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.attempt_end import has_ended, is_silent
from lcm_operator.domain.snapshot import Settings, value_of
from lcm_operator.kube.errors import UnavailableError

GRANT = {"name": "example-1", "uid": "pod-1", "notBefore": "2026-11-24T10:00:00Z"}
AWAY = UnavailableError(0, "Unreachable", "connection refused")


def engine_with(timeout):
    raw = raw_engine(podRef=GRANT)
    return raw | {"spec": raw["spec"] | {"engine": {"heartbeatTimeoutSeconds": timeout}}}


def lease(renewed="10:00:00", *, uid="lease-1", **changes):
    spec = {"holderIdentity": "pod-1", "renewTime": renewed}
    metadata = {
        "namespace": "lab",
        "name": "example-1",
        "uid": uid,
        "labels": {"lcm.5gdrones.eu/trial": "example"},
    }
    return {"metadata": metadata, "spec": spec} | changes


class Leases:
    """An API server with at most one Lease; each list takes its time, or fails."""

    def __init__(self, *, timeout=60):
        self.clock = HandClock()
        self.leases = [lease()]
        self.takes = 0.0
        self.error = None
        self.looked = []
        self.cache = SlotCache(Settings(), self.clock)
        self.cache.put_trial(raw_trial())
        self.cache.put_engine(engine_with(timeout))
        self.monitor = LeaseMonitor(self, self.cache, self.looked.append, self.clock)

    async def list(self, resource, *, label_selector):
        assert (resource.plural, label_selector) == ("leases", "lcm.5gdrones.eu/trial")
        self.clock.advance(self.takes)
        if self.error is not None:
            raise self.error
        return self.leases, "1"

    def read(self, *, after=2.0, fails=False):
        """Read once, after a pause; return what is known of the engine's Lease."""
        self.clock.advance(after)
        self.error = AWAY if fails else None
        asyncio.run(self.monitor.read())
        return value_of(self.cache.slot(KEY).renewals)

    def reads(self, seconds, *, after=2.0):
        """Read for so long."""
        for _ in range(int(seconds / (after + self.takes))):
            self.read(after=after)
        return self.silent

    @property
    def silent(self):
        return value_of(self.cache.slot(KEY).renewals).silent.total_seconds()


def test_silence_is_the_time_over_which_the_lease_stays_as_it_is():
    api = Leases()
    assert not api.read().missing
    assert api.reads(30) == 30
    api.leases = [lease("10:00:30")]
    api.read()
    assert api.silent == 0
    assert api.reads(10) == 10


def test_slow_lists_do_not_stop_the_count():
    api = Leases()
    api.takes = 10.0
    api.read()
    api.reads(72)
    assert api.silent > 50
    api.reads(24)
    assert api.silent > 60


def test_lists_that_fail_every_second_time_do_not_stop_the_count():
    api = Leases()
    api.read()
    for _ in range(30):
        api.read(fails=True)
        api.read()
    assert api.silent == 120


def test_lists_that_hang_and_fail_every_second_time_delay_a_verdict_only():
    api = Leases()
    api.read()
    for _ in range(7):
        api.takes = 15.0
        api.read(fails=True)
        api.takes = 0.0
        api.read()
    assert api.silent == 70


@pytest.mark.parametrize("timeout", [15, 60, 600])
def test_an_outage_adds_at_most_a_renewal_period(timeout):
    api = Leases(timeout=timeout)
    api.read()
    before = api.reads(4)
    for _ in range(100):
        api.read(fails=True)
    api.read()
    assert api.silent - before == timeout / 6
    assert api.silent < timeout


def test_a_process_that_was_held_up_counts_no_more_than_an_outage():
    api = Leases()
    api.read()
    api.read(after=3600)
    assert api.silent == 10


def test_what_is_new_is_silent_from_the_end_of_the_list_that_showed_it():
    api = Leases()
    api.takes = 3.0
    api.read()
    assert api.silent == -3
    api.read()
    assert api.silent == 2


def test_a_new_term_counts_from_zero():
    api = Leases()
    api.read()
    api.reads(40)
    api.cache.begin_term()

    async def one_reading():
        running = asyncio.create_task(api.monitor.run())
        await asyncio.sleep(0)
        running.cancel()

    asyncio.run(one_reading())
    assert api.silent == 0


# --- Leases that are missing or no good


@pytest.mark.parametrize(
    "found",
    [
        pytest.param([], id="it was deleted"),
        pytest.param([lease(spec={"holderIdentity": "pod-0"})], id="another holds it"),
        pytest.param([lease(spec={})], id="nobody holds it"),
        pytest.param([lease(spec=None)], id="no spec"),
        pytest.param([lease(spec={"holderIdentity": ["pod-1"]})], id="a holder that is no text"),
        pytest.param([{"metadata": {"namespace": "lab", "name": "example-1"}}], id="metadata only"),
        pytest.param([{"metadata": None}, {}, {"metadata": "x"}], id="no metadata"),
        pytest.param([lease(metadata={"name": 5, "labels": [], "uid": None})], id="metadata of other types"),
        pytest.param([lease(spec="holder")], id="a spec that is a text"),
    ],
)
def test_a_lease_that_the_pod_can_not_renew_is_missing_and_silent(found):
    api = Leases()
    api.read()
    api.reads(20)
    api.leases = found
    renewals = api.read()
    assert (renewals.missing, renewals.begun, renewals.silent) == (True, True, timedelta(0))
    assert api.reads(62) == 62


def test_of_a_missing_lease_the_pod_is_looked_up_first():
    api = Leases()
    api.read()
    slot = api.cache.slot(KEY)
    slot.set_pod(pod(uid="pod-1"))
    api.looked.clear()
    api.leases = []
    api.read()
    assert (slot.pod, api.looked) == (None, [KEY])


def test_a_lease_that_was_made_again_is_silent_from_then_on():
    api = Leases()
    api.leases = []
    api.read()
    api.reads(20)
    api.leases = [lease(uid="lease-2")]
    renewals = api.read()
    assert (renewals.missing, renewals.begun, renewals.silent) == (False, True, timedelta(0))


def test_a_renew_time_in_the_future_that_does_not_change_is_silence():
    api = Leases()
    api.leases = [lease("2099-01-01T00:00:00.000000Z")]
    api.read()
    assert api.reads(62) == 62


def test_a_lease_without_renew_time_has_not_been_renewed():
    api = Leases()
    api.leases = [lease(spec={"holderIdentity": "pod-1"})]
    assert not api.read().begun


def test_an_engine_that_has_saved_something_had_renewed_its_lease():
    saved = {"version": 1, "sequence": 1, "savedTime": "2026-11-24T10:00:01Z"}
    api = Leases()
    api.cache.put_engine(raw_engine(version=2, podRef=GRANT, checkpoint=saved))
    api.leases = []
    assert api.read().begun


@pytest.mark.parametrize(
    ("passed", "looked"),
    [
        pytest.param(18, 0, id="before a third of its time-out: not at all"),
        pytest.param(58, 1, id="before its time-out: for its pod"),
        pytest.param(62, 2, id="after its time-out: again"),
    ],
)
def test_a_slot_is_looked_at_once_its_engine_is_silent(passed, looked):
    api = Leases()
    api.read()
    api.looked.clear()
    api.reads(passed)
    assert api.looked == [KEY] * looked


def test_pod_of_an_engine_that_is_late_is_read():
    api = Leases()
    api.read()
    api.cache.slot(KEY).set_pod(pod(uid="pod-1"))
    api.reads(25)
    assert api.cache.slot(KEY).pod is None


def test_the_lease_of_a_pod_whose_end_is_known_is_not_followed():
    api = Leases()
    ended = GRANT | {"endTime": "2026-11-24T10:05:00Z"}
    api.cache.put_engine(raw_engine(version=2, podRef=ended))
    assert api.read() is None


# --- Leases that are deleted again and again


def remade(number, *, at="10:05:00"):
    """Return the Lease as the operator makes it again for an engine that had renewed an earlier one."""
    made = f"{at}.{number:06}Z"
    return lease(
        uid=f"lease-{number}", spec={"holderIdentity": "pod-1", "acquireTime": made, "renewTime": made}
    )


def gives_up(api):
    slot = api.cache.slot(KEY)
    return is_silent(api.cache.snapshot(KEY), slot.engine)


def test_dead_engine_is_given_up_though_its_lease_is_made_again_and_again():
    api = Leases()
    api.read()
    for number in range(2, 12):
        api.leases = []
        api.read()
        api.cache.slot(KEY).note_lease_made("pod-1")
        api.leases = [remade(number)]
        api.read()
    assert not gives_up(api)
    api.looked.clear()
    api.reads(24)
    assert gives_up(api)
    assert KEY in api.looked


def test_leases_that_come_and_go_do_not_let_the_next_attempt_begin():
    api = Leases()
    api.read()
    api.cache.slot(KEY).set_pod(absent())
    for number in range(2, 42):
        api.leases = [remade(number)]
        api.read()
    assert gives_up(api)
    assert not has_ended(api.cache.snapshot(KEY), api.cache.slot(KEY).engine, api.clock.now())
    api.leases = []
    api.reads(62)
    assert not has_ended(api.cache.snapshot(KEY), api.cache.slot(KEY).engine, api.clock.now())
    api.reads(4)
    assert has_ended(api.cache.snapshot(KEY), api.cache.slot(KEY).engine, api.clock.now())


def test_lease_restored_from_a_copy_is_no_sign_of_life():
    api = Leases()
    api.read()
    for number in range(2, 18):
        api.leases = []
        api.read()
        api.leases = [lease(uid=f"lease-{number}")]
        api.read()
    assert gives_up(api)


def test_engine_that_renews_between_deletions_is_not_given_up():
    api = Leases()
    api.read()
    for number in range(2, 32):
        api.leases = []
        api.read()
        api.leases = [remade(number)]
        api.read()
        made = api.leases[0]["spec"]
        api.leases = [lease(uid=f"lease-{number}", spec=made | {"renewTime": f"10:06:{number}"})]
        api.read()
        assert value_of(api.cache.slot(KEY).renewals).unseen == timedelta(0)
    assert not gives_up(api)


def test_leases_are_read_more_often_while_they_disappear():
    api = Leases()
    api.read()
    assert api.monitor._pause(0.1) == 2
    api.leases = []
    api.read()
    assert api.monitor._pause(0.1) == 0.5
    assert api.monitor._pause(0.4) == pytest.approx(1.2)
    assert api.monitor._pause(5) == 2
    api.clock.advance(31)
    assert api.monitor._pause(0.1) == 2


# --- what is said


def test_reads_that_fail_are_said_at_once_and_every_half_minute(caplog):
    api = Leases()
    api.read()
    with caplog.at_level(logging.INFO):
        for _ in range(40):
            api.read(fails=True)
    assert len([r for r in caplog.records if "no engine's silence is counted" in r.getMessage()]) == 3
    assert api.monitor.failing_seconds() == 78
    with caplog.at_level(logging.INFO):
        api.read()
    assert "can be read again" in caplog.records[-1].getMessage()
    assert api.monitor.failing_seconds() == 0


FINISHED = [
    {
        "type": "Succeeded",
        "status": "True",
        "reason": "Completed",
        "message": "",
        "lastTransitionTime": "2026-11-24T10:05:00Z",
    }
]


def test_lease_of_a_finished_engine_is_monitored_only_if_its_pod_is_missing():
    api = Leases()
    api.cache.put_engine(raw_engine(version=2, podRef=GRANT, conditions=FINISHED))
    assert api.read() is None
    api.cache.slot(KEY).set_pod(absent())
    api.leases = []
    assert api.read().missing
