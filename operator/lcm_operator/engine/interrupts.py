"""Interrupts of an engine: by SIGTERM, or by its TrialEngine."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from lcm_operator.api.engine import Stop, TrialEngine
from lcm_operator.engine.grant import must_finish, stop_reason, withdrawal
from lcm_operator.engine.outcome import Ending, Report

T = TypeVar("T")
Observe = Callable[[TrialEngine], None]


class Interrupt:
    """Triggered once; whoever waits in a `race` then stops waiting. `report` is the reason.

    It is triggered with each of the `outer` interrupts, and may be triggered before them.
    """

    def __init__(self, *outer: "Interrupt") -> None:
        self._triggered = asyncio.Event()
        self._inner: list[Interrupt] = []
        self.report: Report | None = None
        for each in outer:
            each._inner.append(self)  # noqa: SLF001 - of its own class
            if each.report is not None:
                self.trigger(each.report)

    def trigger(self, report: Report) -> None:
        """Interrupt; the first report counts."""
        self.report = self.report or report
        self._triggered.set()
        for inner in self._inner:
            inner.trigger(report)

    async def race(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return the result of `work`; once interrupted cancel it, let it clean up, and return None."""
        return await race(work, self._triggered.wait())


async def race(work: Coroutine[Any, Any, T], end: Coroutine[Any, Any, object]) -> T | None:
    """Return the result of `work`; once `end` returns cancel it, let it clean up, and return None."""
    task, ended = asyncio.ensure_future(work), asyncio.ensure_future(end)
    try:
        await asyncio.wait([task, ended], return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
    return None if task.cancelled() else task.result()


class Interrupts:
    """The interrupts of an engine that was granted.

    `end`: begin nothing more, save what is settled, exit. `stop`: leave the plan and run `finally`. `finish`:
    jump to `finishAt`. `end` triggers `stop`, `stop` triggers `finish`. `requested` is the
    stop in the status.
    """

    def __init__(self, pod_uid: str) -> None:
        self._pod_uid = pod_uid
        self.requested: Stop | None = None
        self.end = Interrupt()
        self.stop = Interrupt(self.end)
        self.finish = Interrupt(self.stop)

    def observe(self, engine: TrialEngine) -> None:
        """Trigger the interrupt that this version of the TrialEngine requires."""
        if reason := withdrawal(engine, self._pod_uid):
            self.end.trigger(Report(Ending.WITHDRAWN, reason))
        elif reason := stop_reason(engine):
            self.requested = self.requested or engine.status.stop
            self.stop.trigger(Report(Ending.STOPPED, reason))
        elif must_finish(engine):
            self.finish.trigger(Report(Ending.FINISHED, "the signal finish was received"))
