"""Performs activities one by one on the checkpoint of one attempt. The runner chooses which.

One write (`save`) ends an activity and begins the next: it carries the outcome of the one that is over, the
signals that it consumed, and Running of the next one. Nothing may happen outside before that write is
acknowledged. What `secretCapture` names is kept here, in memory, and nowhere else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from lcm_operator import logs
from lcm_operator.api.engine import ActivityStatus
from lcm_operator.api.plan import Activity
from lcm_operator.engine.checkpoint import LARGEST_WITH_NOTES, Checkpoint
from lcm_operator.engine.interrupts import Interrupt
from lcm_operator.engine.outcome import (
    ActivityFailedError,
    Failed,
    Interrupted,
    Performed,
    Skipped,
    StepOutcome,
    Succeeded,
    excerpt,
)
from lcm_operator.kube.clock import elapsed, pause, within
from lcm_operator.plan.branches import siblings
from lcm_operator.plan.numbers import number
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError

log = logs.get(__name__)
_LONGEST_MESSAGE = 2048
Save = Callable[[Checkpoint], Awaitable[Checkpoint]]
"""Returns a checkpoint as it is stored. Raises EngineEndedError if this pod may no longer save."""
Receive = Callable[[Activity, Callable[[], Checkpoint], float | None], Awaitable[tuple[str, ...]]]
"""Returns the signals that a wait consumes, within so many seconds. Raises ActivityFailedError."""
Perform = Callable[[Activity, int, Scope], Awaitable[Performed]]
"""Performs an activity once. Raises ActivityFailedError or TemplateError; can be cancelled."""


Settled = Succeeded | Failed | Skipped


class Limit(Struct, frozen=True):
    """The time, by `clock.elapsed`, until which activities may run, and the message about the others."""

    at: float
    message: str

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self.at - elapsed()

    @property
    def reached(self) -> bool:
        """Whether no time is left."""
        return self.left <= 0


class Steps:
    """The only owner of the checkpoint of one attempt.

    Activities of parallel branches may be in `do` at the same time. Each change of the checkpoint and each
    save has its turn, so saves follow one another, and nothing changes while one is under way.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        save: Save,
        receive: Receive,
        perform: Perform,
        mask: Callable[[str], str],
        now: Callable[[], datetime],
        end: Interrupt,
        facts: Mapping[str, Any],
        activities: tuple[Activity, ...],
    ) -> None:
        self._checkpoint = checkpoint
        self._activities = activities
        self._turn = asyncio.Lock()
        self._saved = checkpoint
        self._secrets: dict[str, Mapping[str, Any]] = {}
        self._save_checkpoint = save
        self._receive = receive
        self._perform = perform
        self._mask = mask
        self._now = now
        self._end = end
        self._facts = facts

    def status(self, activity: Activity) -> ActivityStatus:
        """Return the state of an activity in the checkpoint."""
        return self._checkpoint.activity(activity.name)

    def add_facts(self, **facts: Any) -> None:
        """Let the expressions of activities that begin from now on see these variables as well."""
        self._facts = {**self._facts, **facts}

    @property
    def has_begun(self) -> bool:
        """Whether any activity was ever begun, in this attempt or an earlier one."""
        return any(activity.may_have_acted for activity in self._checkpoint.activities)

    def knows_secrets(self, activity: Activity) -> bool:
        """Return whether this process has what the activity's `secretCapture` names, if it names anything."""
        return activity.http is None or not activity.http.secret_capture or activity.name in self._secrets

    async def do(
        self, activity: Activity, interrupt: Interrupt, limit: Limit | None = None, *, again: bool = False
    ) -> StepOutcome:
        """Perform the activity and settle it; when interrupted, return Interrupted and don't settle it.

        `again`: for its secrets only; `when` and `set` have had their effect before.
        """
        outcome: StepOutcome | None = None if again else self._left_out(activity, limit)
        if outcome is None:
            if not await self._begin(activity, interrupt):
                return Interrupted()
            done = await self._perform_within(limit, activity, interrupt)
            outcome = Succeeded(done.output) if again and isinstance(done, Succeeded) else done
        if isinstance(outcome, Interrupted):
            return outcome
        return await self._settle(activity, outcome)

    async def skip(self, activity: Activity, message: str) -> None:
        """Settle an activity as Skipped, whether or not it has begun."""
        await self._settle(activity, Skipped(message))

    async def stop(self, activity: Activity, failure: str) -> None:
        """Record that an activity was interrupted by the failure of a parallel branch, if it had begun."""
        async with self._turn:
            if self.status(activity).state != "Running":
                return
            log.info("activity stopped; a parallel branch failed", activity=activity.name)
            why = f"{activity.name}: stopped, as a parallel branch failed: {failure}"
            message = excerpt(why, _LONGEST_MESSAGE)
            self._checkpoint = self._checkpoint.stopped(activity.name, message)

    async def flush(self) -> None:
        """Save what was settled since the last save."""
        async with self._turn:
            if self._checkpoint is not self._saved:
                await self._save()

    def _left_out(self, activity: Activity, limit: Limit | None) -> Skipped | Failed | None:
        """Return the outcome of an activity that is not performed: no time is left, or its `when` is false.

        `when` is not evaluated again once the run has begun, even in an earlier attempt: values that changed
        since must not skip what partners may already have been asked for.
        """
        status = self.status(activity)
        begun = status.was_begun
        if limit is not None and limit.reached:
            return self._failed(activity, limit.message) if begun else Skipped(limit.message)
        if activity.when is None or begun:
            return None
        try:
            return None if self._scope(activity).condition(activity.when) else Skipped()
        except TemplateError as error:
            return self._failed(activity, f"when: {error}")

    async def _begin(self, activity: Activity, interrupt: Interrupt) -> bool:
        """Save the activity as Running; return False if interrupted, and then nothing may begin."""
        async with self._turn:
            if interrupt.report is not None:
                return False
            before = self._checkpoint
            self._checkpoint = before.began(activity.name, self._now())
            if before is self._saved and activity.branch is None:
                # Nothing is lost without this write, so an end need not wait for the API server. A stop
                # waits: `finally` is saved next and can't begin before the API server answers anyway. In a
                # block the write is never abandoned: other branches may have something to save after it.
                await self._end.race(self._save())
                self._checkpoint = self._saved
            else:
                await self._save()
        return interrupt.report is None

    async def _perform_within(
        self, limit: Limit | None, activity: Activity, interrupt: Interrupt
    ) -> StepOutcome:
        if limit is None:
            return await self._tries(activity, interrupt)
        if not limit.reached:
            with suppress(TimeoutError):
                async with within(limit.left):
                    return await self._tries(activity, interrupt)
        return self._failed(activity, limit.message)

    async def _tries(self, activity: Activity, interrupt: Interrupt) -> StepOutcome:
        """Perform the activity, as often as its `retry` allows."""
        scope = self._scope(activity)
        try:
            limit = int(number(activity.retry.limit, "retry.limit", scope))
            backoff = number(activity.retry.backoff_seconds, "retry.backoffSeconds", scope)
        except TemplateError as error:
            return self._failed(activity, str(error))
        for left in range(limit, -1, -1):
            log.info("activity started", activity=activity.name)
            try:
                done = await interrupt.race(self._try(activity))
                return done if done is not None else Interrupted()
            except (ActivityFailedError, TemplateError) as error:
                output = error.output if isinstance(error, ActivityFailedError) else None
                outcome = self._failed(activity, str(error), output)
            if left == 0:
                break
            log.info(
                "activity failed; retrying",
                activity=activity.name,
                after_seconds=backoff,
                error=outcome.message,
            )
            await interrupt.race(pause(backoff))
            if interrupt.report is not None:
                return Interrupted()
        return outcome

    async def _try(self, activity: Activity) -> Succeeded:
        scope = self._scope(activity)
        signals: tuple[str, ...] = ()
        if activity.wait is not None:
            limit = activity.wait.timeout_seconds
            seconds = None if limit is None else number(limit, "wait.timeoutSeconds", scope)
            signals, done = await self._receive(activity, lambda: self._checkpoint, seconds), Performed()
        else:
            done = await self._perform(activity, self.status(activity).run, scope)
        outputs = {**scope.variables["outputs"], activity.name: {**done.output, **done.secrets}}
        seen = scope.with_(outputs=outputs, **done.seen)
        values = {key: self._mask(seen.text(source)) for key, source in activity.set.items()}
        self._secrets[activity.name] = done.secrets
        return Succeeded(done.output, values, signals, done.notes)

    async def _settle(self, activity: Activity, outcome: Settled) -> Settled:
        """Record an outcome, and return it; a success whose output can't be stored is a failure."""
        async with self._turn:
            if isinstance(outcome, Succeeded):
                outcome = self._storable(activity, outcome)
            if isinstance(outcome, Failed):
                log.warning("activity failed", activity=activity.name, error=outcome.message)
            else:
                log.info("activity settled", activity=activity.name, outcome=type(outcome).__name__)
            self._checkpoint = self._checkpoint.settled(activity.name, outcome, self._now())
        return outcome

    def _storable(self, activity: Activity, outcome: Succeeded) -> Succeeded | Failed:
        """Return a success with the notes in its output, or without them if they don't fit."""
        noted = {**outcome.notes, **outcome.output}
        if not self._checkpoint.too_large(activity.name, noted, outcome.values, LARGEST_WITH_NOTES):
            return replace(outcome, output=noted)
        reason = self._checkpoint.too_large(activity.name, outcome.output, outcome.values)
        return Failed(reason) if reason else outcome

    async def _save(self) -> None:
        self._checkpoint = self._checkpoint.stamped(self._now())
        self._checkpoint = self._saved = await self._save_checkpoint(self._checkpoint)

    def _scope(self, activity: Activity) -> Scope:
        """Return what the expressions of an activity see: no outputs of parallel branches, done or not."""
        hidden = frozenset[str]()
        if activity.branch is not None:
            hidden = frozenset(each.name for each in siblings(self._activities, activity.name))
        return Scope(
            {
                **self._facts,
                "outputs": {
                    name: {**output, **self._secrets.get(name, {})}
                    for name, output in self._checkpoint.outputs.items()
                    if name not in hidden
                },
                "values": self._checkpoint.values,
                "now": self._now(),
            }
        )

    def _failed(self, activity: Activity, why: str, output: Mapping[str, Any] | None = None) -> Failed:
        return Failed(excerpt(self._mask(f"{activity.name}: {why}"), _LONGEST_MESSAGE), output)
