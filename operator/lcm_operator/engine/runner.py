"""Works through the plan: the loop that runs activities and saves the checkpoint between them.

Made in `__main__` with its store, clock and performer as arguments; it knows no API server and no sockets.

One write (`save`) ends an activity and begins the next: it carries Succeeded, Failed or Skipped of what is
over and Running of what comes. Only after it is acknowledged does anything happen outside.

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

Told to end (SIGTERM, TrialEngine deleted), it cancels what runs, which stays Running as in B, and saves what
is over. The loop is also where the beats of the pod's Lease belong.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from lcm_operator.api.plan import Activity, Plan
from lcm_operator.engine.activities.results import ActivityFailedError, Performed
from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.halt import Halt
from lcm_operator.engine.outcome import (
    Ending,
    Failed,
    Interrupted,
    Report,
    Skipped,
    StepOutcome,
    Succeeded,
    excerpt,
)
from lcm_operator.engine.templates import Scope, TemplateError

_LOG = logging.getLogger(__name__)
_LONGEST_MESSAGE = 2048
_OVER = ("Succeeded", "Skipped")


class Saves(Protocol):
    """What the runner needs of a store."""

    async def save(self, checkpoint: Checkpoint) -> None:
        """Return when it is stored. Raises EngineEnded when this pod may not save any more."""


class Performs(Protocol):
    """What the runner needs to have an activity done."""

    async def __call__(self, activity: Activity, run: int, scope: Scope) -> Performed:
        """Do it. Raises ActivityFailedError or TemplateError; ends when it is cancelled."""


class Runner:
    """One attempt at one plan."""

    def __init__(
        self,
        plan: Plan,
        checkpoint: Checkpoint,
        *,
        store: Saves,
        perform: Performs,
        now: Callable[[], datetime],
        halt: Halt,
        facts: Mapping[str, Any],
    ) -> None:
        self._plan = plan
        self._checkpoint = checkpoint
        self._saved = checkpoint
        self._store = store
        self._perform = perform
        self._now = now
        self._halt = halt
        self._facts = facts

    async def run(self) -> Report:
        """Go on where the checkpoint stands, to the end, the first failure or the halt."""
        for activity in self._plan.activities:
            status = self._checkpoint.activity(activity.name)
            if status.state in _OVER or (status.state == "Failed" and activity.continue_on_error):
                continue
            if status.state == "Failed":
                return Report(Ending.ACTIVITY_FAILED, status.message)
            outcome: StepOutcome | None = self._left_out(activity)
            if outcome is None:
                if not await self._begin(activity):
                    break
                outcome = await self._step(activity)
            if isinstance(outcome, Interrupted):
                break
            self._settle(activity, outcome)
            if isinstance(outcome, Failed) and not activity.continue_on_error:
                await self._save()
                return Report(Ending.ACTIVITY_FAILED, outcome.message)
        if self._checkpoint is not self._saved:
            await self._save()
        return self._halt.report or Report(Ending.FINISHED)

    def _left_out(self, activity: Activity) -> Skipped | Failed | None:
        """Return Skipped if the activity's `when` does not hold; one that is in flight has passed it."""
        if activity.when is None or self._checkpoint.activity(activity.name).state == "Running":
            return None
        try:
            return None if self._scope().condition(activity.when) else Skipped()
        except TemplateError as error:
            return self._failed(activity, f"when: {error}")

    async def _begin(self, activity: Activity) -> bool:
        """Save the activity as Running; False if the engine was told to end and nothing may begin."""
        if self._halt.report is not None:
            return False
        before = self._checkpoint
        self._checkpoint = before.began(activity.name, self._now())
        if before is self._saved:
            # Nothing would be lost without this write, so a halt need not wait for the API server.
            await self._halt.unless(self._save())
            self._checkpoint = self._saved
        else:
            await self._save()
        return self._halt.report is None

    async def _step(self, activity: Activity) -> StepOutcome:
        """Do the activity, as often as its `retry` allows."""
        for left in range(activity.retry.limit, -1, -1):
            _LOG.info("%s: begins", activity.name)
            try:
                done = await self._halt.unless(self._try(activity))
                return done if done is not None else Interrupted()
            except (ActivityFailedError, TemplateError) as error:
                output = error.output if isinstance(error, ActivityFailedError) else None
                outcome = self._failed(activity, str(error), output)
            if left == 0:
                break
            _LOG.info("%s; again in %g s", outcome.message, activity.retry.backoff_seconds)
            await self._halt.unless(asyncio.sleep(activity.retry.backoff_seconds))
            if self._halt.report is not None:
                return Interrupted()
        return outcome

    async def _try(self, activity: Activity) -> Succeeded | Failed:
        scope = self._scope()
        done = await self._perform(activity, self._checkpoint.activity(activity.name).run, scope)
        outputs = {**self._checkpoint.outputs, activity.name: dict(done.output)}
        seen = scope.with_(outputs=outputs, **({} if done.response is None else {"response": done.response}))
        values = {key: seen.text(source) for key, source in activity.set.items()}
        if reason := self._checkpoint.too_large(activity.name, done.output, values):
            return Failed(reason)
        return Succeeded(done.output, values)

    def _settle(self, activity: Activity, outcome: Succeeded | Failed | Skipped) -> None:
        _LOG.info("%s: %s", activity.name, type(outcome).__name__)
        if isinstance(outcome, Failed):
            _LOG.warning("%s", outcome.message)
        self._checkpoint = self._checkpoint.settled(activity.name, outcome, self._now())

    async def _save(self) -> None:
        self._checkpoint = self._checkpoint.stamped(self._now())
        await self._store.save(self._checkpoint)
        self._saved = self._checkpoint

    def _scope(self) -> Scope:
        return Scope(
            {
                **self._facts,
                "outputs": self._checkpoint.outputs,
                "values": self._checkpoint.values,
                "now": self._now(),
            }
        )

    def _failed(self, activity: Activity, why: str, output: Mapping[str, Any] | None = None) -> Failed:
        return Failed(excerpt(f"{activity.name}: {why}", _LONGEST_MESSAGE), output)
