"""The queue of due work: keys that wait for a time, and keys that wait for a worker.

    add(key, urgency, at) ──> waits for its time ──time has come──> examine(key)
    examine(key) ── with the urgency of what is due there ──┐
    add(key, urgency) ── with the urgency as decided ───────┴──> a lane ──> take() ──> done(key)

    START    due now                      namespaces take turns
    FOLLOW   due within seconds, and what follows a start: at the latest after 0.8 s, then by turns with START
    RETRY    rejected before              few at a time; one of a namespace that rejects, with pauses
    ROUTINE  nobody waits for it          held back up to 5 s while something is due

A key has one worker at a time; what is added meanwhile is done afterwards. Workers pull: a task for each key
would take a thousand of them at one start time. No namespace, no lane and no number of slow namespaces can
take all workers: a webhook that hangs for 30 s must not keep the trials of others from starting.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from lcm_operator.controllers.due_times import DueTimes
from lcm_operator.controllers.key import Due, Key
from lcm_operator.controllers.lanes import Entry, Lane
from lcm_operator.controllers.pace import Pace
from lcm_operator.domain.actions import Urgency
from lcm_operator.kube.clock import Clock

WORKERS = 144
"""A key that hangs holds a worker and a connection; enough others are left for those that move."""
_MOVING_AT_ONCE = 48
_CROWDED = 96
"""From so many in work on, the other workers are for namespaces that are not slow: one each, in each lane."""
_SHARE_OF_ONE_NAMESPACE = 24
_ROUTINE_AT_ONCE = 24
_ROUTINE_OF_ONE_NAMESPACE = 12
_RETRIES_AT_ONCE = 12
_RETRY_PAUSE_SECONDS = 0.01
_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 5.0
_PATIENCE_SECONDS = (0.0, 0.8, 1.0, 5.0)
_LOOK_AGAIN_SECONDS = 0.05
_READ_CLOCK_SECONDS = 1.0
"""The wall clock may step, and a machine may be suspended: so it is read at least this often."""
_NOW_SECONDS = 0.05
_NEAR_SECONDS = 1.0
_RELEASED_AT_ONCE = 64
"""Keys whose time has come, for each key that is taken: a thousand at once would stall the event loop."""


class DueQueue:
    """`due(key)` returns what is due in a slot; it must not raise."""

    def __init__(self, due: Callable[[Key], Due], clock: Clock) -> None:
        self._due = due
        self._clock = clock
        self._times = DueTimes()
        self._queued: dict[Key, tuple[int, int]] = {}
        self._working: dict[Key, int] = {}
        self._again: dict[Key, tuple[Urgency, float]] = {}
        self._backoffs: dict[Key, float] = {}
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
        self._timer: asyncio.TimerHandle | None = None
        self._timer_pause = 0.0
        self._calm = asyncio.Event()
        """Not set while somebody waits for a quiet moment."""
        self._calm.set()

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
        """Return how many keys wait for a worker or have one."""
        return len(self._queued) + len(self._working)

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._times)

    def next_start(self) -> float | None:
        """Return the time (Unix time, seconds) of the next start that lies ahead, None if there is none."""
        return self._times.next(Urgency.START)

    def overdue(self) -> float:
        """Return by how many seconds the most overdue urgent key is late; 0 if none is."""
        now, start = self._clock.elapsed(), self.next_start()
        late = [now - head.due for head in (self._start.head(), self._follow.head()) if head is not None]
        if start is not None:
            late.append(self._clock.now().timestamp() - start)
        return max(0.0, *late) if late else 0.0

    def is_busy(self) -> bool:
        """Return whether a start is under way or near: other work waits for a while."""
        urgent = any(self._waiting[:2]) or self._start.in_work > 0 or self._follow.in_work > 0
        return urgent or self._start_is_near()

    def _start_is_near(self) -> bool:
        start = self.next_start()
        return start is not None and start - self._clock.now().timestamp() < _NEAR_SECONDS

    async def quiet(self, limit: float) -> float:
        """Wait until no start is under way or near, at most `limit` seconds; return how many it took."""
        began = self._clock.elapsed()
        try:
            async with asyncio.timeout(limit):
                while limit > 0 and self.is_busy():
                    self._calm.clear()
                    await self._calm.wait()
        except TimeoutError:
            return limit
        return self._clock.elapsed() - began

    def _calm_down(self) -> None:
        """Let those go on who wait for a quiet moment, if this is one."""
        if not self._calm.is_set() and not self.is_busy():
            self._calm.set()

    def add(self, key: Key, urgency: Urgency, at: datetime | None = None) -> None:
        """Queue `key` with this urgency; `at` a time: instead of the one that it waits for."""
        if at is None:
            self._add(key, urgency)
            return
        if self._times.set(key, at, urgency):
            self._stop_timer()
            self._wake()
        self._calm_down()

    def clear(self, key: Key) -> None:
        """Let `key` wait for no time."""
        self._times.clear(key)
        self._calm_down()

    def examine(self, key: Key, urgency: Urgency = Urgency.ROUTINE) -> None:
        """Queue `key` with the urgency of what is due there, or with `urgency` if that is higher.

        What has failed more than once is tried again beside the starts of others, never before them.
        """
        if urgency is Urgency.START and key not in self._backoffs:
            self._add(key, urgency)
            return
        due, backoff = self._due(key), self._backoffs.get(key, 0.0)
        urgency = min(urgency, due.urgency)
        if urgency < Urgency.RETRY and backoff > _FIRST_BACKOFF_SECONDS:
            urgency = Urgency.RETRY
        ahead = 0.0
        if due.start_time is not None and urgency is Urgency.START:
            ahead = (due.start_time - self._clock.now()).total_seconds()
        self._add(key, urgency, ahead)

    def retry(self, key: Key, urgency: Urgency, *, at_least: float = 0.0, at_once: bool = False) -> float:
        """Queue `key` after a pause that doubles, up to 5 s, and return it in seconds.

        `at_once`: the first time without a pause. `at_least`: what the API server asked for. A start time
        that comes earlier is not slept through, nor is the last chance of a start.
        """
        before = self._backoffs.get(key)
        pause = 0.0 if before is None and at_once else _FIRST_BACKOFF_SECONDS
        if before:
            pause = min(before * 2, _LONGEST_BACKOFF_SECONDS)
        self._backoffs[key] = pause or _FIRST_BACKOFF_SECONDS / 2
        pause = max(pause, at_least)
        if pause > _FIRST_BACKOFF_SECONDS:
            self.tried(key.namespace, refused=True)
        now, due = self._clock.now(), self._due(key)
        again = now + timedelta(seconds=pause)
        if due.start_time is not None and now < due.start_time < again:
            again, urgency = due.start_time, Urgency.START
        if due.last_try is not None and now < due.last_try < again:
            again = due.last_try
        self.add(key, urgency, again)
        return pause

    def succeeded(self, key: Key) -> None:
        """Forget that `key` has failed before."""
        self._backoffs.pop(key, None)

    def forget_failures(self) -> None:
        """Forget that anything has failed before."""
        self._backoffs.clear()

    def tried(self, namespace: str, *, refused: bool) -> None:
        """Note an attempt to start a trial: a namespace that rejects again and again gets a smaller share."""
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

    def _add(self, key: Key, urgency: Urgency, ahead: float = 0.0) -> None:
        """Queue `key`, whose start is `ahead` seconds away; a queued one keeps the more urgent of both."""
        due = self._clock.elapsed() + max(ahead, 0.0)
        if key in self._working:
            self._again[key] = min((urgency, due), self._again.get(key, (Urgency.ROUTINE, due)))
            return
        known = self._queued.get(key)
        if known is None or _rank(urgency, max(ahead, 0.0)) < known[1]:
            self._push(key, urgency, due)

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
            if self._timer is None or (self._queued and self._timer_pause > _LOOK_AGAIN_SECONDS):
                self._set_timer()
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

    def _set_timer(self) -> None:
        """Have a worker look again at the next time that is waited for, or when patience may be over."""
        self._stop_timer()
        longest = _LOOK_AGAIN_SECONDS if self._queued else _READ_CLOCK_SECONDS
        self._timer_pause = max(min(longest, self._times.earliest - self._clock.now().timestamp()), 0.0)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._timer_pause, self._time_has_passed)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_has_passed(self) -> None:
        self._timer = None
        self._look_at_pace(self._clock.elapsed())
        if self._was_slow:
            for lane in self._lanes:
                lane.offer_all()
        self._was_slow = self._pace.slow > 0
        self._calm_down()
        self._wake()

    def _look_at_pace(self, now: float) -> None:
        self._was_slow |= self._pace.slow > 0
        self._pace.look(now)
        self._was_slow |= self._pace.slow > 0

    def _release(self) -> None:
        """Queue keys whose time has come; more of them with the next key that is taken."""
        now = self._clock.now().timestamp()
        for _ in range(_RELEASED_AT_ONCE):
            found = self._times.pop(now)
            if found is None:
                return
            self.examine(*found)

    def _pop(self) -> Entry | None:
        if self._timer is None:  # otherwise no time has come yet
            self._release()
        now = self._clock.elapsed()
        self._look_at_pace(now)
        if self._pace.moving >= _MOVING_AT_ONCE or len(self._working) >= WORKERS:
            return None
        for rank, lane in self._order(now):
            entry = lane.pop()
            if entry is not None:
                self._started_last = rank == Urgency.START
                self._waiting[rank] -= 1
                del self._queued[entry.key]
                self._working[entry.key] = rank
                self._pace.begin(entry.key, rank, now)
                return entry
        return None

    def _order(self, now: float) -> list[tuple[int, Lane]]:
        """Return the lanes that may be worked on, the first first."""
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
            if routine.due <= now or not (busy or self._start_is_near()):
                lanes.append((Urgency.ROUTINE, self._routine))
        return lanes

    def done(self, key: Key) -> None:
        """Give back a key; it is queued again if it was added meanwhile."""
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
        self._calm_down()

    def _free(self, rank: int, namespace: str) -> None:
        self._lanes[rank].done(namespace)
        self._wake()

    def _is_current(self, entry: Entry) -> bool:
        known = self._queued.get(entry.key)
        return known is not None and known[0] == entry.sequence


def _rank(urgency: Urgency, ahead: float) -> int:
    """Return the lane of a key: a start that is still seconds away comes after those that are due."""
    return Urgency.FOLLOW if urgency is Urgency.START and ahead > _NOW_SECONDS else urgency
