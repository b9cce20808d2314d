"""decide() about a TrialEngine that can't be read: it is left alone, and let go once no pod of it runs."""

from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec.structs import replace as replaced
from tests.unit.domain.builders import at, engine, running

from lcm_operator.api import names
from lcm_operator.domain.actions import EndUnreadableEngine, Wait
from lcm_operator.domain.decide import decide
from lcm_operator.domain.snapshot import Observation

METADATA = replaced(engine().metadata, finalizers=(names.FINALIZER_ENGINE,))
DELETED = at(0)


def unreadable(*, deleted=True, **seen):
    metadata = replaced(METADATA, deletion_timestamp=DELETED if deleted else None)
    return replace(running(), engine=None, unreadable="it", unreadable_engine=metadata, **seen)


def test_unreadable_engine_is_left_alone_until_it_is_deleted():
    decision = decide(unreadable(deleted=False), at(1))
    assert isinstance(decision, Wait)
    assert decision.wake_at is None


@pytest.mark.parametrize(("seconds", "end_pods"), [(1, False), (599, False), (600, True)])
def test_deleted_one_may_run_its_releases_for_ten_minutes(seconds, end_pods):
    (action,) = decide(unreadable(), at(seconds)).actions
    assert isinstance(action, EndUnreadableEngine)
    assert action.end_pods is end_pods


def test_running_pod_is_looked_at_again_after_a_pause():
    snapshot = unreadable(unreadable_runs=Observation(value=True, time=at(10)))
    waiting = decide(snapshot, at(12))
    assert isinstance(waiting, Wait)
    assert at(15) <= waiting.wake_at <= at(16)
    assert decide(snapshot, waiting.wake_at).actions


def test_one_that_we_do_not_hold_is_deleted_by_itself():
    snapshot = unreadable()
    free = replaced(snapshot.unreadable_engine, finalizers=("somebody.else/holds",))
    assert isinstance(decide(replace(snapshot, unreadable_engine=free), at(1) + timedelta(hours=1)), Wait)
