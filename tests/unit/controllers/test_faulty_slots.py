"""A slot that nobody can decide about is reported, and keeps no other slot from its turn."""

import logging

import pytest
from tests.unit.controllers.objects import raw_trial

from lcm_operator.api import reasons
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.metrics import new_registry
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import Settings
from lcm_operator.kube.clock import NodeClock

KEY = Key("lab", "example")


@pytest.fixture
def reconciler(mocker):
    clock = NodeClock()
    cache = SlotCache(Settings(), clock)
    made = Reconciler(
        mocker.Mock(), cache, may_act=lambda: True, observer=Observer(new_registry()), clock=clock
    )
    made.recorder = mocker.Mock()
    return made


def test_fault_in_one_slot_is_reported_once_and_stops_no_other(reconciler, mocker, caplog):
    reconciler.cache.put_trial(raw_trial())
    mocker.patch.object(reconciler.cache, "due", side_effect=OverflowError("date value out of range"))
    with caplog.at_level(logging.ERROR):
        reconciler.queue.examine(KEY)
        reconciler.queue.examine(KEY)
    assert len(reconciler.queue) == 1
    assert len(caplog.records) == 1
    (reported,) = reconciler.recorder.tell.call_args_list
    assert reported.args[2] == reasons.MALFORMED
    assert "date value out of range" in reported.args[3]
