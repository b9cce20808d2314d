"""A Trial that is deleted before its start leaves an Event, whoever leads and whatever comes first."""

import asyncio
from types import SimpleNamespace

import pytest
from tests.unit.controllers.clock import HandClock
from tests.unit.controllers.objects import KEY, raw_engine, raw_trial

from lcm_operator.api import names
from lcm_operator.controllers import metrics
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.store import Store
from lcm_operator.domain.snapshot import Settings


class Replica:
    """One process and the Events that it sends; `leads` can be changed."""

    def __init__(self, *, leads=True):
        self.leads = leads
        self.sent = []
        self.clock = HandClock()
        self.reconciler = Reconciler(
            SimpleNamespace(create=self._create),
            Store(Settings(), self.clock),
            may_act=lambda: self.leads,
            observer=Observer(metrics.new_registry()),
            clock=self.clock,
        )

    async def _create(self, _resource, _namespace, manifest):
        self.sent.append(manifest)

    def sees(self, raw):
        self.reconciler.take(self.reconciler.store.put_trial, raw)

    def takes_over(self):
        self.leads = True
        self.reconciler._take_over()

    def events(self):
        """Return reason and UID of what was recorded."""

        async def flush():
            task = asyncio.create_task(self.reconciler.record())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})

        asyncio.run(flush())
        return [(sent["reason"], sent["involvedObject"]["uid"]) for sent in self.sent]


@pytest.fixture
def leader():
    return Replica()


def test_a_trial_deleted_before_its_start_leaves_an_event(leader):
    leader.sees(raw_trial())
    leader.reconciler.lose_trial("lab", "example", "trial-1")
    assert leader.events() == [("Cancelled", "trial-1")]


@pytest.mark.parametrize(
    "order", [pytest.param(True, id="before its end"), pytest.param(False, id="after its end")]
)
def test_so_does_one_that_was_made_again_which_is_seen(leader, order):
    leader.sees(raw_trial())
    if order:
        leader.sees(raw_trial(uid="trial-2", version=9))
    leader.reconciler.lose_trial("lab", "example", "trial-1")
    if not order:
        leader.sees(raw_trial(uid="trial-2", version=9))
    assert leader.events() == [("Cancelled", "trial-1")]
    assert [trial.metadata.uid for trial in leader.reconciler.store.snapshot(KEY).trials] == ["trial-2"]


@pytest.mark.parametrize("held", [pytest.param(True, id="holds on"), pytest.param(False, id="goes at once")])
def test_one_whose_engine_has_something_to_release_leaves_it_to_the_engine_that(leader, held):
    engine = raw_engine()
    engine["metadata"]["finalizers"] = [names.FINALIZER_ENGINE] if held else []
    leader.sees(raw_trial())
    leader.reconciler.store.put_engine(engine)
    leader.reconciler.lose_trial("lab", "example", "trial-1")
    assert leader.events() == ([] if held else [("Cancelled", "trial-1")])


def test_a_standby_records_what_its_leader_may_have_died_before():
    standby = Replica(leads=False)
    standby.sees(raw_trial())
    standby.reconciler.lose_trial("lab", "example", "trial-1")
    assert standby.events() == []
    standby.clock.advance(15)
    standby.takes_over()
    assert standby.events() == [("Cancelled", "trial-1")]


def test_a_standby_does_not_record_what_happened_long_before_its_term():
    standby = Replica(leads=False)
    standby.sees(raw_trial())
    standby.reconciler.lose_trial("lab", "example", "trial-1")
    standby.clock.advance(600)
    standby.takes_over()
    assert standby.events() == []


def test_two_replicas_record_it_under_one_name():
    names = set()
    for replica in (Replica(), Replica()):
        replica.sees(raw_trial())
        replica.reconciler.lose_trial("lab", "example", "trial-1")
        replica.events()
        names |= {sent["metadata"]["name"] for sent in replica.sent}
    assert len(names) == 1
