"""A step that the API server does not take is repeated when it wants, and in time for the start."""

from types import SimpleNamespace

import pytest
from tests.unit.controllers.clock import HandClock
from tests.unit.controllers.objects import KEY, raw_trial
from tests.unit.domain.builders import T, at

from lcm_operator.api.storage import rfc3339
from lcm_operator.controllers import metrics
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.reconciler import Reconciler
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.actions import Urgency
from lcm_operator.domain.snapshot import Settings
from lcm_operator.kube.errors import UnavailableError


def pause(*, now, error, **spec):
    """Return after how many seconds a step of a trial is repeated that failed."""
    clock = HandClock(at(now))
    made = Reconciler(
        SimpleNamespace(),
        SlotCache(Settings(), clock),
        may_act=lambda: True,
        observer=Observer(metrics.new_registry()),
        clock=clock,
    )
    made.take(made.cache.put_trial, raw_trial(startTime=rfc3339(T), **spec))
    made._retry(KEY, Urgency.FOLLOW, error)
    rings = [head for urgency in Urgency if (head := made.queue._times.next(urgency)) is not None]
    return min(rings) - at(now).timestamp()


BROKEN = UnavailableError(500, "InternalError", "oops")
BUSY = UnavailableError(429, "TooManyRequests", "later", 20.0)


@pytest.mark.parametrize(
    ("now", "error", "seconds"),
    [
        pytest.param(-3000, BUSY, 20, id="as long as it was requested"),
        pytest.param(
            -3000, UnavailableError(500, "InternalError", "oops"), 0.1, id="shortly, if it was not asked"
        ),
        pytest.param(-5, BUSY, 5, id="until the start time, if that comes earlier"),
        pytest.param(1, BUSY, 8.7, id="until just before the deadline, if that comes earlier"),
    ],
)
def test_a_step_waits(now, error, seconds):
    assert pause(now=now, error=error, startingDeadlineSeconds=10) == pytest.approx(seconds)
