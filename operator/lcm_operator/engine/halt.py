"""The wish that the engine ends before its plan does: told once, by SIGTERM or by the TrialEngine itself."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from lcm_operator.engine.outcome import Report

T = TypeVar("T")


class Halt:
    """Set from outside the runner; the runner lets go of what it waits for."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self.report: Report | None = None

    def tell(self, report: Report) -> None:
        """Ask for the end; the first reason counts."""
        self.report = self.report or report
        self._told.set()

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
