"""The activity `wait`, and the signals in a checkpoint. Which signals a wait counts: `plan.signals`."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from lcm_operator.api.engine import ActivityStatus, ConsumedSignal, Signal, TrialEngine, TrialEngineStatus
from lcm_operator.api.plan import Activity, Plan
from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.outcome import ActivityFailedError
from lcm_operator.kube.clock import within
from lcm_operator.plan.signals import FINISH, awaited_after, counted_since, first_grant

Take = Callable[[tuple[Signal, ...]], tuple[str, ...]]


class Inbox:
    """The signals of a TrialEngine as last seen, from the grant on.

    `look` reads the TrialEngine until the API server answers; it returns it and whether it answered
    at once.
    """

    def __init__(self, granted: TrialEngine, look: Callable[[], Awaitable[tuple[TrialEngine, bool]]]) -> None:
        self._plan: Plan = granted.spec
        self._first_grant = first_grant(granted.status)
        self._signals = granted.status.signals
        self._look = look
        self._changed = asyncio.Event()

    def observe(self, engine: TrialEngine) -> None:
        """Take the signals of this version of the TrialEngine."""
        self._signals = engine.status.signals
        self._changed.set()

    async def receive(self, activity: Activity, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Return the IDs of the signals that a wait consumes: the first that counts, and all earlier ones.

        Signals are read once more before it times out. If the API server was away then, no signal could be
        stored, and the time-out starts again. Raises ActivityFailedError if none was received in time.
        """
        wait = activity.wait
        assert wait is not None  # noqa: S101 - steps asks for no other kind
        take = self._take(wait.signal, counted_since(self._plan, checkpoint.activity, activity), checkpoint)
        while True:
            try:
                async with within(wait.timeout_seconds):
                    return await self._taken(take)
            except TimeoutError:
                engine, at_once = await self._look()
                self.observe(engine)
                if taken := take(self._signals):
                    return taken
                if at_once:
                    raise ActivityFailedError(
                        f"expected the signal {wait.signal} within {wait.timeout_seconds:g} s, got none"
                    ) from None

    async def _taken(self, take: Take) -> tuple[str, ...]:
        while not (taken := take(self._signals)):
            self._changed.clear()
            await self._changed.wait()
        return taken

    def _take(self, name: str, since: str | None, checkpoint: Checkpoint) -> Take:
        """Return how a wait for that name, which counts since the start of `since`, chooses signals."""
        consumed = {taken.id for taken in checkpoint.consumed}
        noted = checkpoint.activity(since).earlier_signals if since is not None else ()

        def is_early(signal: Signal) -> bool:
            if since is not None:
                return signal.id in noted
            return self._first_grant is not None and signal.received_time < self._first_grant

        def take(signals: tuple[Signal, ...]) -> tuple[str, ...]:
            mine = [signal for signal in signals if signal.name == name and signal.id not in consumed]
            first = next((signal.id for signal in mine if not is_early(signal)), None)
            return () if first is None else (*(s.id for s in mine if is_early(s)), first)

        return take


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
