"""The wish that the engine leaves off what it does: told once, by SIGTERM or by the TrialEngine itself."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from lcm_operator.api.engine import TrialEngine
from lcm_operator.engine.grant import wish_to_finish, wish_to_stop, withdrawal
from lcm_operator.engine.outcome import Ending, Report

T = TypeVar("T")


class Halt:
    """Set from outside the runner; the runner lets go of what it waits for."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._inner: list[Halt] = []
        self.report: Report | None = None

    def inner(self) -> "Halt":
        """Return a halt that is told whatever this one is told, and may be told before it."""
        halt = Halt()
        self._inner.append(halt)
        return halt

    def tell(self, report: Report) -> None:
        """Ask for it; the first reason counts."""
        self.report = self.report or report
        self._told.set()
        for inner in self._inner:
            inner.tell(report)

    async def unless(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do `work` and return its result; on a halt cancel it, wait until it has cleaned up, return None."""
        task = asyncio.ensure_future(work)
        told = asyncio.ensure_future(self._told.wait())
        try:
            await asyncio.wait([task, told], return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
        return None if task.cancelled() else task.result()


class Wishes:
    """What is wished of an engine that was granted.

    `end`: begin nothing more, save what is over, exit. `stop`: leave the plan, go to `finally`. `finish`:
    leave what runs, go to `finishAt`. The first tells the second, the second the third.
    """

    def __init__(self, pod_uid: str) -> None:
        self._pod_uid = pod_uid
        self.end = Halt()
        self.stop = self.end.inner()
        self.finish = self.stop.inner()

    def heed(self, engine: TrialEngine) -> None:
        """Take up what this version of the TrialEngine says."""
        if reason := withdrawal(engine, self._pod_uid):
            self.end.tell(Report(Ending.WITHDRAWN, reason))
        elif reason := wish_to_stop(engine):
            self.stop.tell(Report(Ending.STOPPED, reason))
        elif wish_to_finish(engine):
            self.finish.tell(Report(Ending.FINISHED, "the signal finish was received"))


Heeds = Callable[[TrialEngine], None]
