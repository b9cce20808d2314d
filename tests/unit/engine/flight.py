"""What the tests of parallel branches share: a flight that is measured, and activities that last."""

import asyncio
from datetime import UTC, datetime

from tests.unit.engine.builders import Memory, nap, plan, runner

from lcm_operator.domain.checkpoint import restored
from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.outcome import (
    Performed,
)


def side(name, branch, **more):
    return nap(name, branch=branch, **more)


FLIGHT = plan(
    nap("deploy"), side("start", "fly"), side("land", "fly"), side("measure", "data"), nap("release")
)


def run(the_plan, store, perform, **more):
    """Run to the end; a plan that hangs fails the test."""

    async def scenario():
        return await asyncio.wait_for(runner(the_plan, store, perform, **more).run(), 10)

    return asyncio.run(scenario())


def statuses(store):
    return {activity.name: activity for activity in store.status().activities}


def states(store):
    return {name: status.state for name, status in statuses(store).items()}


def restore(store):
    """Reset the store as the operator does for the next attempt."""
    old = store.engine()
    new = restored(old, "Restore", datetime.now(UTC), ending=None)
    store.saved.append(Checkpoint.from_storage(new, [each.name for each in new.activities]))


class Gate:
    """Performs an activity that lasts until it is opened; `cancelled` once it was interrupted."""

    def __init__(self, result=None):
        self.entered, self.cancelled = False, False
        self._open = asyncio.Event()
        self._result = result or Performed()

    async def __call__(self, _scope):
        self.entered = True
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result

    def open(self):
        self._open.set()


class SlowMemory(Memory):
    """A store whose saves last until `gate` is set."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.most = 0

    async def save(self, checkpoint):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        await self.gate.wait()
        self.under_way -= 1
        return await super().save(checkpoint)
