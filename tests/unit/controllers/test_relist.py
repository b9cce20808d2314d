"""A full look at the API server: what differs is taken, the rest is not even decoded."""

import asyncio

import msgspec
import pytest
from tests.unit.controllers.objects import KEY, raw_engine, raw_plan, raw_trial

from lcm_operator.controllers import metrics
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.relist import relist
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import Settings
from lcm_operator.kube import listing
from lcm_operator.kube.clock import NodeClock
from lcm_operator.kube.errors import GoneError
from lcm_operator.kube.listing import read_page


class Lists:
    """The API server's lists by plural, in pages of two. `gone`: how often a second page can't be had."""

    def __init__(self, **kinds):
        self.kinds = kinds
        self.gone = 0
        self.between = lambda: None

    async def listed(self, resource, *, limit):
        assert limit > 0
        items = self.kinds.get(resource.plural, [])
        for start in range(0, max(len(items), 1), 2):
            if start > 0 and self.gone:
                self.gone -= 1
                raise GoneError(410, "Expired", "too old")
            some = {"metadata": {"resourceVersion": "9"}, "items": items[start : start + 2]}
            yield await read_page(msgspec.json.encode(some))
            if resource.plural == "trials":
                self.between()


@pytest.fixture
def replica():
    clock = NodeClock()
    return Reconciler(
        None,
        SlotCache(Settings(), clock),
        may_act=lambda: False,
        observer=Observer(metrics.new_registry()),
        clock=clock,
    )


def look(replica, lists):
    """Look at everything; return the keys that are looked at thereupon."""

    async def scenario():
        await relist(lists, replica)
        found = []
        while len(replica.queue):
            key, _ = await replica.queue.take()
            replica.queue.done(key)
            found.append(key)
        return sorted(found)

    return asyncio.run(scenario())


def trials(count, version=1):
    return [raw_trial(f"trial-{n}", f"uid-{n}", version) for n in range(count)]


def keys(*numbers):
    return [Key("lab", f"trial-{number}") for number in numbers]


def test_the_first_look_takes_everything(replica):
    assert look(replica, Lists(trials=trials(5), trialengines=[raw_engine()])) == [KEY, *keys(0, 1, 2, 3, 4)]
    assert len(replica.cache.known_trials) == 5
    assert replica.cache.engine(KEY) is not None


def test_only_what_has_changed_is_looked_at(replica):
    look(replica, Lists(trials=trials(5)))
    changed = [*trials(2), raw_trial("trial-2", "uid-2", 7, suspend=True), *trials(5)[3:]]
    assert look(replica, Lists(trials=changed)) == keys(2)
    assert replica.cache.trial("lab", "trial-2").spec.suspend


def test_what_has_not_changed_is_not_decoded(replica, mocker):
    look(replica, Lists(trials=trials(5), trialengines=[raw_engine()], trialplans=[raw_plan()]))
    decoded = mocker.patch.object(listing.Listed, "read", autospec=True)
    assert look(replica, Lists(trials=trials(5), trialengines=[raw_engine()], trialplans=[raw_plan()])) == []
    assert decoded.call_args_list == []


def test_what_is_gone_is_forgotten(replica):
    look(replica, Lists(trials=trials(3), trialengines=[raw_engine()]))
    assert look(replica, Lists(trials=trials(2))) == sorted([KEY, *keys(2)])
    assert replica.cache.trial("lab", "trial-2") is None
    assert replica.cache.engine(KEY) is None


def test_what_is_made_anew_under_its_name_is_another_one(replica):
    look(replica, Lists(trials=trials(1)))
    look(replica, Lists(trials=[raw_trial("trial-0", "another", 5)]))
    assert replica.cache.trial("lab", "trial-0").metadata.uid == "another"


def test_what_the_watch_has_shown_meanwhile_is_newer_than_the_list(replica):
    look(replica, Lists(trials=trials(3)))
    lists = Lists(trials=trials(3)[1:])
    lists.between = lambda: replica.take_trial(raw_trial("trial-9", "uid-9", 50))
    look(replica, lists)
    assert replica.cache.trial("lab", "trial-9") is not None
    assert replica.cache.trial("lab", "trial-0") is None


def test_a_list_that_can_not_be_continued_begins_again(replica):
    lists = Lists(trials=trials(5))
    lists.gone = 2
    assert look(replica, lists) == keys(0, 1, 2, 3, 4)


def test_a_list_that_never_comes_to_its_end_is_given_up(replica):
    lists = Lists(trials=trials(5))
    look(replica, lists)
    lists.gone = 1000
    with pytest.raises(GoneError):
        look(replica, lists)
    assert len(replica.cache.known_trials) == 5


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([raw_plan(version=2, activities=[{"name": "other"}])], id="changes"),
        pytest.param([], id="is gone"),
    ],
)
def test_slots_that_may_use_a_plan_are_looked_at_when_it(replica, after):
    look(replica, Lists(trials=trials(2), trialplans=[raw_plan()]))
    assert look(replica, Lists(trials=trials(2), trialplans=after)) == keys(0, 1)


def test_an_object_that_can_not_be_read_is_not_read_again_until_it_changes(replica):
    broken = raw_trial("broken", "uid-b", 3, startTime="nonsense")
    assert look(replica, Lists(trials=[broken])) == [Key("lab", "broken")]
    assert look(replica, Lists(trials=[broken])) == []
    mended = raw_trial("broken", "uid-b", 4)
    assert look(replica, Lists(trials=[mended])) == [Key("lab", "broken")]
    assert replica.cache.trial("lab", "broken") is not None
