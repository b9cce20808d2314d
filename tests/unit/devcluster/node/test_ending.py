"""How long a pod has from SIGTERM to SIGKILL."""

import asyncio

import pytest

from devcluster.node.ending import Ending


def pod(*, spec_grace=600, deletion_grace=None):
    metadata = (
        {}
        if deletion_grace is None
        else {"deletionTimestamp": "now", "deletionGracePeriodSeconds": deletion_grace}
    )
    return {"metadata": metadata, "spec": {"terminationGracePeriodSeconds": spec_grace}}


def is_over_at_once(ending):
    async def scenario():
        try:
            async with asyncio.timeout(0.5):
                await ending.carry_out([])
        except TimeoutError:
            return False
        return True

    return asyncio.run(scenario())


def gone():
    ending = Ending(pod())
    ending.gone()
    return ending


def updated(newest):
    ending = Ending(pod())
    ending.update(newest)
    return ending


@pytest.mark.parametrize(
    ("ending", "at_once"),
    [
        pytest.param(gone(), True, id="none if its object is gone"),
        pytest.param(updated(pod(deletion_grace=0)), True, id="none if it is deleted by force"),
        pytest.param(updated(pod(deletion_grace=600)), False, id="that of the deletion if it is deleted"),
        pytest.param(updated(pod(spec_grace=0, deletion_grace=600)), False, id="also if its own is shorter"),
        pytest.param(Ending(pod()), False, id="its own if it is past its deadline"),
        pytest.param(Ending(pod(spec_grace=0)), True, id="its own, which may be none"),
    ],
)
def test_the_grace_period(ending, at_once):
    assert is_over_at_once(ending) is at_once
