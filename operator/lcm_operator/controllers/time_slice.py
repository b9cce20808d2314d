"""A limit on the event loop's time for work that nobody waits for."""

import asyncio

from lcm_operator.kube.clock import elapsed

SLICE_SECONDS = 0.005


class TimeSlice:
    """How long such work may run in one turn of the loop; all who share this object share one slice.

    `rest` returns at once as long as the slice lasts. Then all callers wait for the next turn of the loop, in
    which due events have been handled.
    """

    def __init__(self) -> None:
        self._began: float | None = None

    async def rest(self) -> None:
        """Yield to the loop while the slice of this turn is used up."""
        while self._is_used_up():  # noqa: ASYNC110 - the next turn is what it waits for
            await asyncio.sleep(0)

    def _is_used_up(self) -> bool:
        now = elapsed()
        if self._began is None:
            self._began = now
            asyncio.get_running_loop().call_soon(self._new_turn)
            return False
        return now - self._began >= SLICE_SECONDS

    def _new_turn(self) -> None:
        self._began = None
