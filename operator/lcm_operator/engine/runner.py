"""Works through the plan: its activities, then `finally`; after a failure `onFailure`; upon a stop `finally`.

Made in `__main__` with its steps and wishes as arguments; it knows no API server and no sockets.

    activities ──through──────────────────────────────────────────> finally ──> FINISHED
       │  └──one fails──> onFailure ──> ACTIVITY_FAILED                ^
       └──stop (there too)──> what runs is let go of, stays Running ───┴─────> STOPPED

An activity of `onFailure` or `finally` that fails is recorded, and the rest goes on. Each list goes on where
the checkpoint stands, so an attempt may begin anywhere in this picture. How the steps are saved:

    save(1 Running) ─> perform 1 ─> save(1 Succeeded, 2 Running) ─> perform 2 ─> save(2 Succeeded) ─> end
    A               B            C                               D

Where it may be killed, and what holds there (each has its test in tests/unit/engine/test_runner_crashes.py):

A  before a save: nothing of the activity has happened; a restore begins it.
B  after the save, before the outside call, or during it: the activity is Running in the checkpoint; a restore
   repeats it, with the same run and so the same Idempotency-Key. Nothing else is repeated.
C  after the outside call, before its save: as B; the partner recognises the key.
D  after the save, or while its answer is lost: the activity is over for good and never repeated; the next one
   is Running and untouched.
E  after the last save: the outcome is stored; the exit code only explains it.

Told to end (SIGTERM, another pod granted), it cancels what runs, `finally` too, which stays Running as in B,
and saves what is over.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from lcm_operator.api.engine import TrialEngineSpec
from lcm_operator.api.plan import Activity
from lcm_operator.engine.halt import Wishes
from lcm_operator.engine.outcome import Ending, Failed, Report
from lcm_operator.engine.steps import Limit, Steps

_PASSED = ("Succeeded", "Skipped")
_TRIED = (*_PASSED, "Failed")


class Runner:
    """One attempt at one plan."""

    def __init__(
        self, spec: TrialEngineSpec, steps: Steps, wishes: Wishes, now: Callable[[], datetime]
    ) -> None:
        self._spec = spec
        self._steps = steps
        self._wishes = wishes
        self._now = now

    async def run(self) -> Report:
        """Go on where the checkpoint stands, to the end of what is to be done."""
        failure = await self._activities()
        if failure is not None:
            await self._on_failure()
        stopped = self._wishes.stop.report
        if stopped is not None or failure is None:
            await self._finally()
        await self._steps.flush()
        if self._wishes.end.report is not None:
            return self._wishes.end.report
        if stopped is not None:
            return stopped
        return Report(Ending.FINISHED) if failure is None else Report(Ending.ACTIVITY_FAILED, failure)

    async def _activities(self) -> str | None:
        """Work through the activities until a stop; return the message of the one at which they failed."""
        for activity in self._spec.activities:
            status = self._steps.status(activity)
            if status.state in _PASSED or (status.state == "Failed" and activity.continue_on_error):
                continue
            if status.state == "Failed":
                return status.message
            if self._wishes.stop.report is not None:
                break
            outcome = await self._steps.do(activity, self._wishes.stop)
            if isinstance(outcome, Failed) and not activity.continue_on_error:
                return outcome.message
        return None

    async def _on_failure(self) -> None:
        """Report a failure, unless stopped."""
        for activity in self._left(self._spec.on_failure):
            if self._wishes.stop.report is not None:
                break
            await self._steps.do(activity, self._wishes.stop)

    async def _finally(self) -> None:
        """Release, within finallyTimeoutSeconds; a stop changes nothing any more."""
        limit = self._limit()
        for activity in self._left(self._spec.finally_):
            if self._wishes.end.report is not None:
                break
            await self._steps.do(activity, self._wishes.end, limit)

    def _left(self, activities: tuple[Activity, ...]) -> list[Activity]:
        return [activity for activity in activities if self._steps.status(activity).state not in _TRIED]

    def _limit(self) -> Limit:
        """Return when `finally` is over: counted from its begin, which may lie in an earlier attempt."""
        seconds = self._spec.engine.finally_timeout_seconds
        begun = [self._steps.status(activity).start_time for activity in self._spec.finally_]
        known = [moment for moment in begun if moment is not None]
        spent = max(0.0, (self._now() - min(known)).total_seconds()) if known else 0.0
        at = asyncio.get_running_loop().time() + seconds - spent
        return Limit(at, f"finally was not done within {seconds} s")
