"""The activity `wait`, and the signals in a checkpoint. Which signals a wait counts: `plan.signals`."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from lcm_operator.api.engine import ActivityStatus, ConsumedSignal, Signal, TrialEngine, TrialEngineStatus
from lcm_operator.api.plan import Activity, Plan
from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.outcome import ActivityFailedError
from lcm_operator.kube.clock import within
from lcm_operator.plan.branches import siblings
from lcm_operator.plan.signals import FINISH, awaited_after, counted_since, first_grant


class Inbox:
    """The signals of a TrialEngine as last seen, from the grant on.

    `look` reads the TrialEngine until the API server answers; it returns it and whether it answered
    at once.
    """

    def __init__(self, granted: TrialEngine, look: Callable[[], Awaitable[tuple[TrialEngine, bool]]]) -> None:
        self._plan: Plan = granted.spec
        self._first_grant = first_grant(granted.status)
        self._signals = granted.status.signals
        self._taker: dict[str, str] = {}
        self._look = look
        self._changed = asyncio.Event()

    def observe(self, engine: TrialEngine) -> None:
        """Take the signals of this version of the TrialEngine."""
        self._signals = engine.status.signals
        self._changed.set()

    async def receive(
        self, activity: Activity, latest: Callable[[], Checkpoint], seconds: float | None
    ) -> tuple[str, ...]:
        """Return the IDs of the signals that a wait consumes: the first that counts, and all earlier ones.

        `latest` returns the current checkpoint, which parallel branches change meanwhile. Signals are read
        once more before it times out. If the API server was away then, no signal could be stored, and the
        time-out starts again. Raises ActivityFailedError if none was received in time.
        """
        wait = activity.wait
        assert wait is not None  # noqa: S101 - steps asks for no other kind

        def take() -> tuple[str, ...]:
            return self._take(activity, wait.signal, latest())

        while True:
            try:
                async with within(seconds):
                    taken = await self._taken(take)
            except TimeoutError:
                engine, at_once = await self._look()
                self.observe(engine)
                taken = take()
                if at_once and not taken:
                    raise ActivityFailedError(
                        f"expected the signal {wait.signal} within {seconds:g} s, got none"
                    ) from None
            if taken:
                return () if self._is_jump(activity, wait.signal, latest()) else taken

    async def _taken(self, take: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        while not (taken := take()):
            self._changed.clear()
            await self._changed.wait()
        return taken

    def _take(self, activity: Activity, name: str, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Return the signals that a wait consumes now; none while the one that it waits for is missing.

        A signal ends one wait only. Waits of parallel branches get signals in the order in which they began
        to wait, and none consumes an earlier signal that another one still counts.
        """
        consumed = {taken.id for taken in checkpoint.consumed}
        others = self._waiting_beside(activity, name, checkpoint)
        mine = [
            signal
            for signal in self._signals
            if signal.name == name
            and signal.id not in consumed
            and self._taker.get(signal.id, activity.name) not in {other.name for other in others}
        ]
        early = self._earlier(mine, activity, checkpoint)
        first = next((signal.id for signal in mine if signal.id not in early), None)
        if first is None:
            return ()
        for other in others:
            early &= self._earlier(mine, other, checkpoint)
        taken = (*(signal.id for signal in mine if signal.id in early), first)
        if not self._is_jump(activity, name, checkpoint):
            self._taker.update(dict.fromkeys(taken, activity.name))
        return taken

    def _is_jump(self, activity: Activity, name: str, checkpoint: Checkpoint) -> bool:
        """Return whether a wait is for the `finish` that ends its whole block: `finishAt` consumes that.

        Other branches may be saved, or fail, before `finishAt` begins. Were the signal consumed by then, the
        next attempt would not jump.
        """
        finish_at = self._plan.finish_at
        if finish_at is None or name != FINISH or activity.branch is None:
            return False
        return checkpoint.activity(finish_at).state == "Pending"

    def _waiting_beside(self, activity: Activity, name: str, checkpoint: Checkpoint) -> list[Activity]:
        """Return the waits of parallel branches for signals of that name that are not over."""
        if activity.branch is None:
            return []
        return [
            other
            for other in siblings(self._plan.activities, activity.name)
            if other.wait is not None
            and other.wait.signal == name
            and not checkpoint.activity(other.name).is_over
        ]

    def _earlier(self, signals: list[Signal], activity: Activity, checkpoint: Checkpoint) -> set[str]:
        """Return the signals that a wait does not count, since they were stored too early for it."""
        since = counted_since(self._plan, checkpoint.activity, activity)
        if since is not None:
            return set(checkpoint.activity(since).earlier_signals)
        grant = self._first_grant
        return {signal.id for signal in signals if grant is not None and signal.received_time < grant}


def accounted(checkpoint: Checkpoint, plan: Plan, status: TrialEngineStatus) -> Checkpoint:
    """Return `checkpoint` as it should be written over `status`.

    An activity that this write begins records the signals stored before. Once `finishAt` begins, it consumes
    each `finish`. Consumed signals that REST has removed are dropped.
    """
    stored = {signal.id for signal in status.signals}
    consumed = [taken for taken in checkpoint.consumed if taken.id in stored]
    known = {taken.id for taken in consumed}
    left = [signal for signal in status.signals if signal.id not in known]
    if plan.finish_at is not None and checkpoint.activity(plan.finish_at).state != "Pending":
        consumed += [ConsumedSignal(id=s.id, activity=plan.finish_at) for s in left if s.name == FINISH]
        left = [signal for signal in left if signal.name != FINISH]

    def noted(activity: ActivityStatus) -> ActivityStatus:
        begun = activity.start_time
        if activity.state != "Running" or begun == status.activity(activity.name).start_time:
            return activity
        awaited = awaited_after(plan, activity.name)
        ids = tuple(signal.id for signal in left if signal.name in awaited)
        return msgspec.structs.replace(activity, earlier_signals=ids)

    activities = tuple(noted(activity) for activity in checkpoint.activities)
    return msgspec.structs.replace(checkpoint, activities=activities, consumed=tuple(consumed))
