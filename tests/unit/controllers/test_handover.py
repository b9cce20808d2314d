"""A leader that is asked to stop brings to its end what it is just starting, and nothing else."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from lcm_operator.controllers import metrics
from lcm_operator.controllers import reconciler as module
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.actions import Urgency
from lcm_operator.domain.snapshot import Settings
from lcm_operator.kube.clock import NodeClock

KEY = Key("lab", "flight")


def replica(*, leads=True):
    observer, clock = Observer(metrics.new_registry()), NodeClock()
    return Reconciler(
        None, SlotCache(Settings(), clock), may_act=lambda: leads, observer=observer, clock=clock
    )


def start_in(this, seconds):
    this.queue.add(KEY, Urgency.START, datetime.now(UTC) + timedelta(seconds=seconds))


def settles(this, seconds):
    """Return whether `settle` comes to its end within so many seconds."""

    async def scenario():
        try:
            async with asyncio.timeout(seconds):
                await this.settle()
        except TimeoutError:
            return False
        return True

    return asyncio.run(scenario())


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_SETTLING_SECONDS", 60)


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda this: start_in(this, 0.5), id="a start that is near"),
        pytest.param(lambda this: this.queue.add(KEY, Urgency.START), id="a start that waits for a worker"),
        pytest.param(lambda this: this.queue.add(KEY, Urgency.FOLLOW), id="a start that is to be latched"),
    ],
)
def test_it_stays_for(prepare):
    this = replica()
    prepare(this)
    assert not settles(this, 0.1)


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda _: None, id="nothing"),
        pytest.param(lambda this: start_in(this, 30), id="a start that lies ahead"),
        pytest.param(lambda this: this.queue.examine(KEY), id="what nobody waits for"),
    ],
)
def test_it_does_not_stay_for(prepare):
    this = replica()
    prepare(this)
    assert settles(this, 5)


def test_it_stays_no_longer_than_a_standby_would_be_late(monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_SETTLING_SECONDS", 0.05)
    this = replica()
    this.queue.add(KEY, Urgency.START)
    assert settles(this, 5)


def test_a_standby_leaves_at_once():
    this = replica(leads=False)
    this.queue.add(KEY, Urgency.START)
    assert settles(this, 5)
