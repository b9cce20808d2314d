"""Who may act."""

from datetime import timedelta

import pytest
from tests.unit.engine.builders import NOW, POD, engine

from lcm_operator.api.storage import rfc3339
from lcm_operator.engine.grant import Act, Wait, Withdrawn, before_grant, wish_to_end, withdrawal


def granted(uid=POD, *, seconds=0.0, **metadata):
    reference = {"name": "example-2", "uid": uid, "notBefore": rfc3339(NOW + timedelta(seconds=seconds))}
    return engine(status={"podRef": reference}, **metadata)


DELETED = {"deletionTimestamp": "2026-11-24T10:00:00Z"}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        pytest.param(engine(), Wait(None), id="no grant yet: wait"),
        pytest.param(granted(), Act(), id="granted at this very moment: act"),
        pytest.param(granted(seconds=-5), Act(), id="granted from before: act"),
        pytest.param(granted(seconds=2), Wait(2), id="granted from a later time on: wait till then"),
        pytest.param(
            granted("other"), Withdrawn("the grant is that of pod example-2"), id="another pod: never act"
        ),
        pytest.param(
            engine(**DELETED), Withdrawn("the TrialEngine is being deleted"), id="being deleted: never act"
        ),
        pytest.param(
            granted(seconds=-5, **DELETED),
            Withdrawn("the TrialEngine is being deleted"),
            id="granted, but being deleted: never act",
        ),
    ],
)
def test_before_the_grant(found, verdict):
    assert before_grant(found, POD, NOW) == verdict


@pytest.mark.parametrize(
    ("found", "may_save", "goes_on"),
    [
        pytest.param(granted(), True, True, id="still granted: saves and goes on"),
        pytest.param(granted(**DELETED), True, False, id="being deleted: saves, begins nothing"),
        pytest.param(granted("other"), False, False, id="another pod: neither"),
        pytest.param(engine(), False, False, id="taken back: neither"),
    ],
)
def test_after_the_grant(found, may_save, goes_on):
    assert (withdrawal(found, POD) is None) == may_save
    assert (wish_to_end(found, POD) is None) == goes_on
