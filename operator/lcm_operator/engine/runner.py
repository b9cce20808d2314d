"""Works through the plan: its activities, then `finally`; `onFailure` after a failure; `finally` on a stop.

It uses neither the API server nor sockets.

    secrets ──> activities ──all passed────────────────────────────────────> finally ──> FINISHED
       │         │  │  └──one fails──> onFailure ──> ACTIVITY_FAILED            ^
       │         │  └──finish──> all before `finishAt` is Skipped, also what runs; continue there
       └─────────┴─stop (also in onFailure)──> what runs is cancelled, stays ───┴─────> STOPPED
                                               Running; secrets

If an activity of `onFailure` or `finally` fails, that is recorded and the next one begins. Each list
continues from the checkpoint, so an attempt may begin anywhere in this picture. `secrets`: an activity with a
`secretCapture` that succeeded in an earlier attempt is repeated, in order, with a new run, if anything is
left to do; if it fails, the plan fails there. How the steps are saved:

    save(1 Running) ─> perform 1 ─> save(1 Succeeded, 2 Running) ─> perform 2 ─> save(2 Succeeded) ─> end
    A               B            C                               D

The branches of a block do the same side by side, on one checkpoint: saves take turns, and a branch that ends
before others is saved at once. One that fails stops the others, which become Pending in the same run.

Where it may be killed, and what holds there (each has its test in tests/unit/engine/test_runner_crashes.py):

A  before a save: nothing of the activity has happened; a restore begins it.
B  after the save, before the outside call, or during it: the activity is Running in the checkpoint; a restore
   repeats it, with the same run and so the same Idempotency-Key. Nothing else is repeated; in a block that
   is one activity of each branch.
C  after the outside call, before its save: as B; the partner recognises the key.
D  after the save, or while its answer is lost: the activity is settled and never repeated; the next one is
   Running and untouched.
E  after the last save: the outcome is stored; the exit code only explains it.
F  after `finish` was seen, before the save that begins `finishAt`, which also skips and consumes the signal:
   the signal is still there, and the next attempt jumps before it does anything else. A wait for it in a
   block leaves the signal to that save too.
G  while a wait has its signal, before its save, which also consumes it: the signal is still there, and the
   next attempt consumes it.
H  while secrets are fetched again: as A to D, for that one activity.

On an end (SIGTERM, another pod granted) it cancels what runs, also in `finally`, which stays Running as in B,
and saves what is settled.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from lcm_operator.api.engine import FINALLY_TOO_LATE, TrialEngineSpec
from lcm_operator.api.plan import Activity
from lcm_operator.engine.interrupts import Interrupt, Interrupts
from lcm_operator.engine.outcome import Ending, Failed, Interrupted, Report
from lcm_operator.engine.steps import Limit, Steps
from lcm_operator.kube.clock import elapsed
from lcm_operator.plan.branches import blocks, following
from lcm_operator.plan.signals import FINISH

_OPEN = ("Pending", "Running")
_JUMPED_OVER = "the signal finish jumped over it"
_CUT_OFF = "the signal finish interrupted it; its request may have taken effect"


class Runner:
    """One attempt at one plan."""

    def __init__(
        self,
        spec: TrialEngineSpec,
        steps: Steps,
        interrupts: Interrupts,
        now: Callable[[], datetime],
        attempt_at: Callable[[datetime], int],
    ) -> None:
        self._spec = spec
        self._steps = steps
        self._interrupts = interrupts
        self._now = now
        self._attempt_at = attempt_at
        names = [activity.name for activity in spec.activities]
        self._before_finish = frozenset(names[: names.index(spec.finish_at)] if spec.finish_at else ())

    async def run(self) -> Report:
        """Continue from the checkpoint until nothing is left to do."""
        failure = await self._recall(self._interrupts.stop) if self._is_work_left() else None
        if failure is None:
            failure = await self._activities()
        if failure is not None:
            self._steps.add_facts(failure=self._failure(), outcome="Failed")
            await self._on_failure()
        stopped = self._interrupts.stop.report
        if stopped is not None or failure is None:
            self._steps.add_facts(failure=self._failure(), outcome=self._outcome())
            await self._finally()
        await self._steps.flush()
        if self._interrupts.end.report is not None:
            return self._interrupts.end.report
        if stopped is not None:
            return stopped
        return Report(Ending.FINISHED) if failure is None else Report(Ending.ACTIVITY_FAILED, failure)

    async def _activities(self) -> str | None:
        """Work through the activities until a stop; return the message of the one that failed."""
        for block in blocks(self._spec.activities):
            left = [activity for branch in block for activity in branch if not self._is_passed(activity)]
            states = map(self._steps.status, left)
            if (failed := next((each for each in states if each.state == "Failed"), None)) is not None:
                return failed.message
            if self._interrupts.stop.report is not None:
                break
            failure = await self._block(block)
            if failure is not None:
                return failure
        return None

    async def _block(self, block: list[list[Activity]]) -> str | None:
        """Work through the branches of a block side by side; return the message of the first failure.

        It stops the other branches. A branch that ends is saved at once, unless it is the last to end.
        """
        failed, under_way = Interrupt(), len(block)
        if under_way == 1:
            return await self._branch(block[0], failed)

        async def work_through(branch: list[Activity]) -> None:
            nonlocal under_way
            message = await self._branch(branch, failed)
            under_way -= 1
            if message is not None:
                failed.trigger(Report(Ending.ACTIVITY_FAILED, message))
            elif under_way:
                await self._steps.flush()

        try:
            async with asyncio.TaskGroup() as group:
                for branch in block:
                    group.create_task(work_through(branch))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return failed.report.message if failed.report is not None else None

    async def _branch(self, branch: list[Activity], failed: Interrupt) -> str | None:
        """Work through activities until a stop, or until another branch has `failed`."""
        for activity in branch:
            if self._is_passed(activity):
                continue
            if self._interrupts.stop.report is not None:
                break
            if self._is_jumped_over(activity):
                begun = self._steps.status(activity).start_time
                await self._steps.skip(activity, _CUT_OFF if begun else _JUMPED_OVER)
                continue
            if failed.report is not None:
                break
            interrupt = Interrupt(self._interrupt_of(activity), failed)
            outcome = await self._steps.do(activity, interrupt)
            if isinstance(outcome, Failed) and not activity.continue_on_error:
                return outcome.message
            if isinstance(outcome, Interrupted):
                await self._let_go(activity, failed)
        return None

    async def _let_go(self, activity: Activity, failed: Interrupt) -> None:
        """Record what becomes of an interrupted activity; on a stop or end it stays Running."""
        if self._is_jumped_over(activity):
            await self._steps.skip(activity, _CUT_OFF)
        elif self._interrupts.stop.report is None and failed.report is not None:
            await self._steps.stop(activity, failed.report.message)

    async def _recall(self, interrupt: Interrupt, limit: Limit | None = None) -> str | None:
        """Repeat activities whose secrets this process does not have; return the message of a failure.

        Those have succeeded, or an earlier attempt was killed while it repeated them: later ones have begun.
        """
        for activities in (self._spec.activities, self._spec.finally_):
            for activity in activities:
                if self._steps.knows_secrets(activity) or not self._is_lost(activity, activities):
                    continue
                if interrupt.report is not None or (limit is not None and limit.reached):
                    return None
                outcome = await self._steps.do(activity, interrupt, limit, again=True)
                if isinstance(outcome, Failed) and not activity.continue_on_error:
                    return outcome.message
        return None

    def _is_lost(self, activity: Activity, activities: tuple[Activity, ...]) -> bool:
        """Return whether an earlier attempt has had the success of an activity."""
        state, later = self._steps.status(activity).state, following(activities, activity.name)
        has_later = any(self._steps.status(each).state != "Pending" for each in later)
        return state == "Succeeded" or (state in _OPEN and has_later)

    async def _on_failure(self) -> None:
        """Report a failure, unless stopped."""
        for activity in self._left(self._spec.on_failure):
            if self._interrupts.stop.report is not None:
                break
            await self._steps.do(activity, self._interrupts.stop)

    async def _finally(self) -> None:
        """Release, within finallyTimeoutSeconds; a stop does not interrupt it.

        If nothing has begun, nothing is to be released.
        """
        if not self._steps.has_begun:
            return
        limit = self._limit()
        left = self._left(self._spec.finally_)
        if left:
            await self._recall(self._interrupts.end, limit)
        for activity in left:
            if self._interrupts.end.report is not None:
                break
            await self._steps.do(activity, self._interrupts.end, limit)

    def _failure(self) -> dict[str, Any] | None:
        """Return the variable `failure`: the activity that failed, or that a deadline ended; None without."""
        open_ = [activity for activity in self._spec.activities if not self._is_passed(activity)]
        failed = [status for status in map(self._steps.status, open_) if status.state == "Failed"]
        # As the outcome: of several, in parallel branches, the first to fail counts.
        times = [(status.completion_time, status) for status in failed if status.completion_time is not None]
        if times:
            time, first = min(times, key=lambda each: each[0])
            return {
                "activity": first.name,
                "message": first.message.removeprefix(f"{first.name}: "),
                "attempt": self._attempt_at(time),
                "time": time,
            }
        requested = self._interrupts.requested
        if not open_ or requested is None or requested.mode == "Cancel":
            return None
        time = requested.request_time
        message = f"the engine was stopped ({requested.mode})"
        return {
            "activity": open_[0].name, "message": message, "attempt": self._attempt_at(time), "time": time,
        }  # fmt: skip

    def _outcome(self) -> str:
        """Return the variable `outcome`: what the trial ends as, when `finally` runs."""
        if all(map(self._is_passed, self._spec.activities)):
            return "Succeeded"
        requested = self._interrupts.requested
        return "Cancelled" if requested is None or requested.mode == "Cancel" else "Failed"

    def _is_passed(self, activity: Activity) -> bool:
        return self._steps.status(activity).is_passed(activity)

    def _is_jumped_over(self, activity: Activity) -> bool:
        return (
            activity.name in self._before_finish
            and self._interrupts.finish.report is not None
            and self._interrupts.stop.report is None
        )

    def _interrupt_of(self, activity: Activity) -> Interrupt:
        """Return what interrupts an activity. A wait for `finish` consumes it before the jump."""
        waits_for_it = activity.wait is not None and activity.wait.signal == FINISH
        interrupted = activity.name in self._before_finish and not waits_for_it
        return self._interrupts.finish if interrupted else self._interrupts.stop

    def _is_work_left(self) -> bool:
        """Return whether any activity is left that may need secrets."""
        open_ = [a for a in self._spec.activities if not self._is_passed(a)]
        if any(self._steps.status(activity).state == "Failed" for activity in open_):
            return bool(self._left(self._spec.on_failure))
        return bool(open_ or self._left(self._spec.finally_))

    def _left(self, activities: tuple[Activity, ...]) -> list[Activity]:
        return [activity for activity in activities if not self._steps.status(activity).is_over]

    def _limit(self) -> Limit:
        """Return the limit of `finally`, counted from its start, which may lie in an earlier attempt."""
        seconds = self._spec.engine.finally_timeout_seconds
        begun = [self._steps.status(activity).start_time for activity in self._spec.finally_]
        known = [moment for moment in begun if moment is not None]
        spent = max(0.0, (self._now() - min(known)).total_seconds()) if known else 0.0
        at = elapsed() + seconds - spent
        return Limit(at, f"{FINALLY_TOO_LATE} {seconds} s")
