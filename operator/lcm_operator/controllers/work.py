"""The work queue: starts first, then what follows them, then refused starts, and the rest when there is time.

    START    due now                      namespaces take turns
    FOLLOW   due within seconds, and what follows a start: at the latest after 0.8 s, then by turns with START
    RETRY    what was refused before      few at a time; while a namespace is refused, one of it, with pauses
    ROUTINE  nobody waits for it          held back up to 5 s while something is due

A key is worked on by one worker at a time; what comes meanwhile is done after it. No task per key: workers
pull, which takes less than a thousand gathered tasks. No namespace, no lane and no number of slow namespaces
can take all the workers: a webhook that hangs for 30 s must not keep the trials of others from starting.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable

from lcm_operator.controllers.key import Key
from lcm_operator.controllers.lanes import Entry, Lane
from lcm_operator.controllers.pace import Pace
from lcm_operator.domain.actions import Urgency
from lcm_operator.kube.clock import Clock

WORKERS = 144
"""What hangs holds a worker, a connection and little else; there are as many more for what moves."""
_MOVING_AT_ONCE = 48
_CROWDED = 96
"""From so many in work on, the other workers are for namespaces that are not slow: one each, in each lane."""
_SHARE_OF_ONE_NAMESPACE = 24
_ROUTINE_AT_ONCE = 24
_ROUTINE_OF_ONE_NAMESPACE = 12
_RETRIES_AT_ONCE = 12
_RETRY_PAUSE_SECONDS = 0.01
_PATIENCE_SECONDS = (0.0, 0.8, 1.0, 5.0)
_LOOK_AGAIN_SECONDS = 0.05
_NOW_SECONDS = 0.05


class WorkQueue:
    """`hold()` says whether something is due so soon that routine work should wait (at most 5 s)."""

    def __init__(self, hold: Callable[[], bool], clock: Clock) -> None:
        self._hold = hold
        self._clock = clock
        self._queued: dict[Key, tuple[int, int]] = {}
        self._working: dict[Key, int] = {}
        self._again: dict[Key, tuple[Urgency, float]] = {}
        self._windows: dict[str, int] = {}
        self._pace = Pace()
        self._was_slow = False
        """Whether a namespace was slow since all were offered last: it may have been passed over."""
        self._lanes = (
            self._lane(Urgency.START, most=_MOVING_AT_ONCE, share=lambda _: _SHARE_OF_ONE_NAMESPACE),
            self._lane(Urgency.FOLLOW, most=_MOVING_AT_ONCE, share=lambda _: _SHARE_OF_ONE_NAMESPACE),
            self._lane(Urgency.RETRY, most=_RETRIES_AT_ONCE, share=self._window),
            self._lane(Urgency.ROUTINE, most=_ROUTINE_AT_ONCE, share=lambda _: _ROUTINE_OF_ONE_NAMESPACE),
        )
        self._start, self._follow, self._retry, self._routine = self._lanes
        self._waiting = [0] * len(self._lanes)
        self._started_last = False
        self._sequence = itertools.count()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._look_again: asyncio.TimerHandle | None = None

    def _lane(self, rank: Urgency, *, most: int, share: Callable[[str], int]) -> Lane:
        return Lane(
            most=most,
            share=lambda namespace: self._share(namespace, rank, most // 2, share(namespace)),
            hanging=lambda: self._pace.hanging[rank],
            is_current=self._is_current,
            fair=rank is not Urgency.ROUTINE,
        )

    def _share(self, namespace: str, rank: int, most_slow: int, own: int) -> int:
        """Return how many of a namespace a lane may have in work; all slow ones together: half of it."""
        crowded = len(self._working) >= _CROWDED
        if not self._pace.is_slow(namespace):
            return min(own, 1) if crowded else own
        if crowded or self._lanes[rank].in_work_of(self._pace.is_slow) >= most_slow:
            return 0
        return min(own, max(most_slow // self._pace.slow, 1))

    def __len__(self) -> int:
        return len(self._queued) + len(self._working)

    def is_urgent(self) -> bool:
        """Return whether something urgent is queued or worked on."""
        return any(self._waiting[:2]) or self._start.in_work > 0 or self._follow.in_work > 0

    def longest_wait(self) -> float:
        """Return for how many seconds the first of the urgent keys waits beyond its time."""
        heads = (self._start.head(), self._follow.head())
        now = self._clock.elapsed()
        return max((now - head.due for head in heads if head is not None), default=0.0)

    def add(self, key: Key, urgency: Urgency, ahead: float = 0.0) -> None:
        """Queue `key`, whose start is `ahead` seconds away; a queued one keeps the more urgent of both."""
        due = self._clock.elapsed() + max(ahead, 0.0)
        if key in self._working:
            self._again[key] = min((urgency, due), self._again.get(key, (Urgency.ROUTINE, due)))
            return
        known = self._queued.get(key)
        if known is None or _rank(urgency, max(ahead, 0.0)) < known[1]:
            self._push(key, urgency, due)

    def tried(self, namespace: str, *, refused: bool) -> None:
        """Take note of an attempt to start a trial: what is refused again and again gets a smaller share."""
        if refused:
            self._windows[namespace] = 1
            return
        window = 2 * self._windows.pop(namespace, _RETRIES_AT_ONCE)
        if window < _RETRIES_AT_ONCE:
            self._windows[namespace] = window
        self._retry.offer(namespace)
        self._wake()

    def _window(self, namespace: str) -> int:
        return self._windows.get(namespace, _RETRIES_AT_ONCE)

    def _push(self, key: Key, urgency: Urgency, due: float) -> None:
        now, sequence = self._clock.elapsed(), next(self._sequence)
        rank = _rank(urgency, due - now)
        patience = _PATIENCE_SECONDS[rank]
        if urgency is Urgency.START:
            patience = min(patience, max(due - now, 0.0))
        if known := self._queued.get(key):
            self._waiting[known[1]] -= 1
        self._waiting[rank] += 1
        self._queued[key] = (sequence, rank)
        self._lanes[rank].add(sequence, key, urgency, now + patience)
        self._wake()

    async def take(self) -> tuple[Key, Urgency]:
        """Return the next key to work on; give it back with `done`."""
        while (entry := self._pop()) is None:
            if self._queued and self._look_again is None:
                loop = asyncio.get_running_loop()
                self._look_again = loop.call_later(_LOOK_AGAIN_SECONDS, self._time_has_passed)
            await self._work()
        if self._queued:
            self._wake()
        return entry.key, entry.urgency

    async def _work(self) -> None:
        """Wait until there may be work."""
        waiter = asyncio.get_running_loop().create_future()
        self._idle.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._wake()
            raise

    def _wake(self) -> None:
        """Wake one idle worker; it wakes the next if there is more to do."""
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _time_has_passed(self) -> None:
        self._look_again = None
        self._look_at_pace(self._clock.elapsed())
        if self._was_slow:
            for lane in self._lanes:
                lane.offer_all()
        self._was_slow = self._pace.slow > 0
        self._wake()

    def _look_at_pace(self, now: float) -> None:
        self._was_slow |= self._pace.slow > 0
        self._pace.look(now)
        self._was_slow |= self._pace.slow > 0

    def _pop(self) -> Entry | None:
        now = self._clock.elapsed()
        self._look_at_pace(now)
        if self._pace.moving >= _MOVING_AT_ONCE or len(self._working) >= WORKERS:
            return None
        for rank, lane in self._order():
            entry = lane.pop()
            if entry is not None:
                self._started_last = rank == Urgency.START
                self._waiting[rank] -= 1
                del self._queued[entry.key]
                self._working[entry.key] = rank
                self._pace.begin(entry.key, rank, now)
                return entry
        return None

    def _order(self) -> list[tuple[int, Lane]]:
        """Return the lanes that may be worked on, the first first."""
        now = self._clock.elapsed()
        lanes: list[tuple[int, Lane]] = [(Urgency.START, self._start)]
        starts_wait = self._waiting[Urgency.START] > 0
        for rank, lane in ((Urgency.FOLLOW, self._follow), (Urgency.RETRY, self._retry)):
            head = lane.head()
            if head is None or (starts_wait and head.due > now):
                continue
            overdue = rank == Urgency.FOLLOW and head.due <= now
            lanes.insert(0 if overdue and self._started_last else len(lanes), (rank, lane))
        routine = self._routine.head()
        if routine is not None:
            busy = self._start.moving > 0 or self._follow.moving > 0
            if routine.due <= now or not (busy or self._hold()):
                lanes.append((Urgency.ROUTINE, self._routine))
        return lanes

    def done(self, key: Key) -> None:
        """Give back a key; it is queued again if something came for it meanwhile."""
        rank = self._working.pop(key)
        self._pace.end(key, self._clock.elapsed())
        if rank == Urgency.RETRY and self._window(key.namespace) == 1:
            pause = _RETRY_PAUSE_SECONDS * max(self._retry.in_work, 1)
            asyncio.get_running_loop().call_later(pause, self._free, rank, key.namespace)
        else:
            self._free(rank, key.namespace)
        again = self._again.pop(key, None)
        if again is not None:
            self._push(key, *again)

    def _free(self, rank: int, namespace: str) -> None:
        self._lanes[rank].done(namespace)
        self._wake()

    def _is_current(self, entry: Entry) -> bool:
        known = self._queued.get(entry.key)
        return known is not None and known[0] == entry.sequence


def _rank(urgency: Urgency, ahead: float) -> int:
    """Return the lane of a key: a start that is still seconds away comes after those that are due."""
    return Urgency.FOLLOW if urgency is Urgency.START and ahead > _NOW_SECONDS else urgency
