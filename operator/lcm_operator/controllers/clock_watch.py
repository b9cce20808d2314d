"""Monitors the clocks: reports steps and disagreement, and has all decisions made anew after a jump.

The clock itself is right at any moment; this only reports, and corrects decisions that used another time.
"""

import asyncio
from collections.abc import Awaitable, Callable

from lcm_operator import logs
from lcm_operator.api import reasons
from lcm_operator.kube.cluster_clock import ClusterClock, Look

_EVERY_SECONDS = 0.5
log = logs.get(__name__)


class ClockWatch:
    """`jumped()` is called after the time that counts has jumped; `warn(reason, message)` reports a fault.

    `warn` returns False if it can't report yet; then it is called again. `place` names this process.
    """

    def __init__(
        self,
        clock: ClusterClock,
        warn: Callable[[str, str], bool],
        jumped: Callable[[], Awaitable[None]],
        place: str,
    ) -> None:
        self._clock = clock
        self._warn = warn
        self._jumped = jumped
        self._place = place
        self._trusted = True
        self._untold: dict[str, str] = {}
        self.steps = 0
        """How often the node's clock was set."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            if self.look():
                await self._jumped()
            await asyncio.sleep(_EVERY_SECONDS)

    def look(self) -> bool:
        """Look once; return whether the time that counts has jumped."""
        seen = self._clock.look()
        if seen.stepped:
            self.steps += 1
            way = "forward" if seen.stepped > 0 else "back"
            self._report(
                reasons.CLOCK_STEPPED,
                f"the clock of {self._place} was set {way} by {abs(seen.stepped):.1f} s: {_result(seen)}",
            )
        if seen.trusts_node != self._trusted:
            self._trusted = seen.trusts_node
            if seen.trusts_node:
                self._untold.pop(reasons.CLOCK_SKEW, None)
                log.info("clock of the node agrees with the API server's again")
            else:
                self._report(reasons.CLOCK_SKEW, f"{self.disagreement()}: set the clock of this node right")
        if seen.jumped:
            log.warning("time has jumped; everything is decided anew", seconds=round(seen.jumped, 3))
        self._untold = {reason: text for reason, text in self._untold.items() if not self._warn(reason, text)}
        return bool(seen.jumped)

    def disagreement(self) -> str:
        """Return how far the node's clock is off, and which one counts; empty while it agrees."""
        offset = self._clock.offset()
        if offset is None or self._trusted:
            return ""
        way = "ahead of" if offset.middle > 0 else "behind"
        return (
            f"the clock of {self._place} is {abs(offset.middle):.1f} s {way} the API server's, which counts"
        )

    def offset_seconds(self) -> float:
        """Return by how many seconds the node's clock is ahead of the API server's; 0 if that is unknown."""
        offset = self._clock.offset()
        return offset.middle if offset is not None else 0.0

    def _report(self, reason: str, message: str) -> None:
        log.warning("clock of the node is wrong", reason=reason, message=message)
        self._untold[reason] = message


def _result(seen: Look) -> str:
    if seen.offset is None:
        return "the API server's is not known yet"
    return (
        "trials start by the API server's clock"
        if not seen.trusts_node
        else "it agrees with the API server's"
    )
