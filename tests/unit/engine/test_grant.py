"""Who may act."""

from datetime import timedelta

import pytest
from tests.unit.engine.builders import NOW, POD, engine

from lcm_operator.api.storage import rfc3339
from lcm_operator.engine.grant import seconds_to_grant, stop_reason, withdrawal
from lcm_operator.engine.interrupts import Interrupts
from lcm_operator.engine.outcome import Ending, EngineEndedError, Report


def granted(uid=POD, *, seconds=0.0, stop="", **metadata):
    reference = {"name": "example-2", "uid": uid, "notBefore": rfc3339(NOW + timedelta(seconds=seconds))}
    wish = {"stop": {"mode": stop, "requestTime": rfc3339(NOW)}} if stop else {}
    return engine(status={"podRef": reference} | wish, **metadata)


DELETED = {"deletionTimestamp": "2026-11-24T10:00:00Z"}


@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        pytest.param(engine(), None, id="no grant yet: wait"),
        pytest.param(granted(), 0, id="granted at this very moment: act"),
        pytest.param(granted(seconds=-5), -5, id="granted from before: act"),
        pytest.param(granted(seconds=2), 2, id="granted from a later time on: wait till then"),
        pytest.param(engine(**DELETED), None, id="being deleted: a grant for `finally` may come"),
        pytest.param(granted(seconds=-5, **DELETED), -5, id="granted and being deleted: do `finally`"),
    ],
)
def test_before_the_grant(found, seconds):
    assert seconds_to_grant(found, POD, NOW) == seconds


def test_pod_never_acts_while_another_has_the_grant():
    with pytest.raises(EngineEndedError, match="pod example-2 has the grant") as ended:
        seconds_to_grant(granted("other"), POD, NOW)
    assert ended.value.ending is Ending.WITHDRAWN


@pytest.mark.parametrize(
    ("found", "may_go_on", "why_stop"),
    [
        pytest.param(granted(), True, None, id="still granted: goes on"),
        pytest.param(
            granted(**DELETED), True, "the TrialEngine is being deleted", id="being deleted: saves, and stops"
        ),
        pytest.param(granted(stop="Cancel"), True, "a stop was requested (Cancel)", id="cancelled: as well"),
        pytest.param(
            granted(stop="Deadline"), True, "a stop was requested (Deadline)", id="too late: as well"
        ),
        pytest.param(granted("other"), False, None, id="another pod: may not even save"),
        pytest.param(engine(), False, None, id="taken back: may not even save"),
    ],
)
def test_after_the_grant(found, may_go_on, why_stop):
    assert (withdrawal(found, POD) is None) == may_go_on
    assert stop_reason(found) == why_stop


def test_requests_are_taken_from_each_version_and_the_grant_comes_first():
    interrupts = Interrupts(POD)
    interrupts.observe(granted())
    assert (interrupts.stop.report, interrupts.end.report) == (None, None)

    interrupts.observe(granted(stop="Cancel"))
    assert (interrupts.stop.report, interrupts.end.report) == (
        Report(Ending.STOPPED, "a stop was requested (Cancel)"),
        None,
    )

    interrupts.observe(granted("other", stop="Cancel"))
    assert interrupts.end.report == Report(Ending.WITHDRAWN, "pod example-2 has the grant")
