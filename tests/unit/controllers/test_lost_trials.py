"""A Trial that is deleted leaves an Event that is true, whoever leads and whatever comes first."""

import asyncio
from types import SimpleNamespace

import pytest
from tests.unit.controllers.clock import HandClock
from tests.unit.controllers.objects import KEY, raw_engine, raw_trial

from lcm_operator.api import names
from lcm_operator.controllers import metrics
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import Settings


class Replica:
    """One process and the Events that it sends; `leads` can be changed."""

    def __init__(self, *, leads=True):
        self.leads = leads
        self.sent = []
        self.clock = HandClock()
        self.reconciler = Reconciler(
            SimpleNamespace(create=self._create),
            SlotCache(Settings(), self.clock),
            may_act=lambda: self.leads,
            observer=Observer(metrics.new_registry()),
            clock=self.clock,
        )

    async def _create(self, _resource, _namespace, manifest):
        self.sent.append(manifest)

    def sees(self, raw):
        self.reconciler.take(self.reconciler.cache.put_trial, raw)

    def takes_over(self):
        self.leads = True
        self.reconciler._take_over()

    def events(self):
        """Return reason and UID of what was recorded."""

        async def flush():
            task = asyncio.create_task(self.reconciler.recorder.run())
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
    assert [trial.metadata.uid for trial in leader.reconciler.cache.snapshot(KEY).trials] == ["trial-2"]


def seen_engine(*, held=False, version=1, through=False, **status):
    state = {"name": "one", "state": "Succeeded", "run": 1}
    engine = raw_engine(version=version, activities=[state] if through else [], **status)
    engine["metadata"]["finalizers"] = [names.FINALIZER_ENGINE] if held else []
    return engine


def loses_both(replica, *, last, held=False):
    """Let a Trial go, and then its TrialEngine, whose last state is `last`."""
    replica.sees(raw_trial())
    replica.reconciler.take_engine(seen_engine(held=held))
    replica.reconciler.lose_trial("lab", "example", "trial-1")
    assert replica.events() == [], "the engine may save a checkpoint still"
    replica.reconciler.lose_engine("lab", "example", "engine-1", last)


def test_one_whose_engine_is_deleted_with_it_was_cancelled(leader):
    loses_both(leader, last=None)
    assert leader.events() == [("Cancelled", "trial-1")]


def test_one_whose_plan_was_through_when_its_engine_went_has_succeeded(leader):
    loses_both(leader, last=seen_engine(version=2, through=True))
    assert leader.events() == [("Completed", "trial-1")]


def test_so_has_one_whose_engine_is_gone_before_it(leader):
    leader.sees(raw_trial() | {"status": {"engineRef": {"name": "example", "uid": "engine-1"}}})
    leader.reconciler.take_engine(seen_engine())
    leader.reconciler.lose_engine("lab", "example", "engine-1", seen_engine(version=2, through=True))
    leader.reconciler.lose_trial("lab", "example", "trial-1")
    assert leader.events() == [("Completed", "trial-1")]


def test_so_has_one_whose_engine_is_seen_to_be_replaced_only(leader):
    loses_both(leader, last=seen_engine(version=2, through=True))
    other = Replica()
    other.sees(raw_trial())
    other.reconciler.take_engine(seen_engine(through=True))
    other.reconciler.lose_trial("lab", "example", "trial-1")
    other.reconciler.take_engine(raw_engine(uid="engine-2", owner="trial-2", version=9))
    assert leader.events() == other.events() == [("Completed", "trial-1")]


def test_one_whose_engine_is_held_leaves_it_to_that(leader):
    decided = {"type": "Succeeded", "status": "False", "reason": "Cancelled"}
    decided |= {"message": "", "lastTransitionTime": "2026-11-24T10:00:00Z"}
    loses_both(leader, held=True, last=seen_engine(version=2, conditions=[decided]))
    assert leader.events() == []


@pytest.mark.parametrize(
    ("through", "reason"),
    [pytest.param(False, "Cancelled", id="no"), pytest.param(True, "Completed", id="yes")],
)
def test_an_engine_that_was_taken_away_by_force_is_reported_all_the_same(leader, through, reason):
    loses_both(leader, held=True, last=seen_engine(version=2, through=through))
    assert leader.events() == [(reason, "trial-1")]


def test_a_standby_records_the_success_that_its_leader_may_have_died_before():
    standby = Replica(leads=False)
    loses_both(standby, last=seen_engine(version=2, through=True))
    assert standby.events() == []
    standby.takes_over()
    assert standby.events() == [("Completed", "trial-1")]


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
