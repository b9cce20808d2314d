"""Gather, decide, apply: the loop that moves every trial on. Fed by watches, the alarm and its own results.

Workers take keys from the queue, one step at a time, so that at a start time all pods are created before any
of the writes that follow. A step that fails is repeated from what then stands in the API server.

The leader runs `lead`, a standby `follow`: it decides too, so that its heap is warm, but does nothing of it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar, assert_never

from lcm_operator import logs
from lcm_operator.api import reasons
from lcm_operator.api.metadata import Metadata
from lcm_operator.controllers.alarm import Alarm
from lcm_operator.controllers.apply import Apply, StepRejectedError
from lcm_operator.controllers.deleted_trials import DeletedTrials
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.lease_monitor import LeaseMonitor
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.pod_monitor import PodMonitor
from lcm_operator.controllers.recorder import Recorder
from lcm_operator.controllers.store import Store
from lcm_operator.controllers.time_slice import TimeSlice
from lcm_operator.controllers.work import WORKERS, WorkQueue
from lcm_operator.domain.actions import Act, CreateEngine, CreatePod, Urgency, Wait
from lcm_operator.domain.decide import decide
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import ApiError, ConflictError, UnavailableError

_HOLD_BEFORE_START_SECONDS = 1.0
_LONGEST_SETTLING_SECONDS = 1.0  # a pod deleted by force has two
_SETTLING_LOOK_SECONDS = 0.02
_FIRST_RETRY_SECONDS = 0.1
_LONGEST_RETRY_SECONDS = 5.0
T = TypeVar("T")
log = logs.get(__name__)


class Reconciler:
    """The operator's loop over all slots of a store. `may_act()` is asked before each action."""

    def __init__(
        self,
        client: Client,
        store: Store,
        *,
        may_act: Callable[[], bool],
        observer: Observer,
        clock: Clock,
    ) -> None:
        self.store = store
        self.alarm = Alarm(self.enqueue, clock)
        self.queue = WorkQueue(hold=self._start_is_near, clock=clock)
        self._client = client
        self._may_act = may_act
        self.clock = self._clock = clock
        self._observer = observer
        self._recorder = Recorder(client, hold=self._start_is_near, clock=clock)
        self._apply = Apply(client, store, self._recorder, clock)
        self._retries: dict[Key, float] = {}
        self.leases = LeaseMonitor(client, store, self.enqueue, clock)
        self._pods = PodMonitor(client, store, self.enqueue, clock)
        self._slice = TimeSlice()
        self._blamed: dict[Key, str] = {}
        """What was reported of slots whose objects nobody can decide about."""
        self._left: dict[Key, None] = {}
        """Slots in which a standby has left something urgent to its leader."""
        self._deleted = DeletedTrials(store, self._recorder, may_act, clock)

    def enqueue(self, key: Key, urgency: Urgency = Urgency.ROUTINE) -> None:
        """Have a look at `key`: soon, and first if something is due there within seconds.

        What has failed more than once is tried again beside the starts of others, never before them.
        """
        now = self._clock.now()
        if urgency is Urgency.START and key not in self._retries and not self.store.was_refused(key):
            self.queue.add(key, urgency)
            return
        nothing: tuple[Urgency, datetime | None] = (Urgency.ROUTINE, None)
        due, start_time = self._guarded(key, lambda: self.store.due(key, now), nothing)
        urgency = min(urgency, due)
        if urgency < Urgency.RETRY and self._retries.get(key, 0.0) > _FIRST_RETRY_SECONDS:
            urgency = Urgency.RETRY
        ahead = (
            (start_time - now).total_seconds() if start_time is not None and urgency is Urgency.START else 0.0
        )
        self.queue.add(key, urgency, ahead)

    async def enqueue_each(self, keys: Iterable[Key]) -> None:
        """Have a look at many slots, without keeping the loop from what is due."""
        for key in keys:
            self.enqueue(key)
            await self._slice.rest()

    def take_trial(self, raw: Mapping[str, Any]) -> None:
        """Put a Trial into the store and have a look at its slot."""
        self.take(self.store.put_trial, raw)

    def take_engine(self, raw: Mapping[str, Any]) -> None:
        """Put a TrialEngine into the store and have a look at its slot."""
        self.take(self.store.put_engine, raw)

    async def take_plan(self, raw: Mapping[str, Any]) -> None:
        """Put a TrialPlan into the store and have a look at the slots that may wait for it."""
        keys = self.store.put_plan(raw)
        self._report()
        await self.enqueue_each(keys)

    async def lose_plan(self, namespace: str, name: str, uid: str) -> None:
        """Forget a TrialPlan that is gone and have a look at the slots that may have used it."""
        if self.store.drop_plan(namespace, name, uid):
            await self.enqueue_each(self.store.keys_in(namespace))

    def lose_engine(self, namespace: str, name: str, uid: str, last: Mapping[str, Any] | None = None) -> None:
        """Forget a TrialEngine that is gone and have a look at its slot; `last`: how it was when it went."""
        if last is not None:
            self.store.put_engine(last)
            self._deleted.look()
        key = self.store.drop_engine(namespace, name, uid)
        self._deleted.look()
        if key is not None:
            self.enqueue(key)

    def take(self, put: Callable[[Mapping[str, Any]], list[Key]], raw: Mapping[str, Any]) -> None:
        """Put an object into the store and have a look at its slot; one that can't be read stops no other."""
        for key in put(raw):
            self.enqueue(key)
        self._report()

    def _report(self) -> None:
        """Have people told what the store has come across."""
        while self.store.replaced:
            self._deleted.add(self.store.replaced.popleft())
        self._deleted.look()
        if self._may_act():
            self.store.complaints.report(self._recorder.tell)

    def lose_trial(self, namespace: str, name: str, uid: str) -> None:
        """Forget a Trial that is gone; one that was never to have an outcome leaves an Event."""
        before = self.store.trial(namespace, name)
        key = self.store.drop_trial(namespace, name, uid)
        if key is None:
            return
        self.enqueue(key)
        if before is not None and before.metadata.uid == uid:
            self._deleted.add(before)

    def tell(self, kind: str, about: Metadata, reason: str, message: str, *, warning: bool) -> None:
        """Have people told about an object, when nothing urgent is under way."""
        self._recorder.tell(kind, about, reason, message, warning=warning)

    @property
    def events_waiting(self) -> int:
        """How many Events are not recorded yet."""
        return len(self._recorder)

    def is_busy(self) -> bool:
        """Return whether a start is under way or near: what can wait waits."""
        return self.queue.is_urgent() or self._start_is_near()

    async def follow(self) -> None:
        """Keep the heap warm until cancelled, without a write."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.alarm.run(), name="alarm")
            tasks.create_task(self._work(), name="worker")

    async def lead(self) -> None:
        """Take over and work until cancelled; a fault in the loop itself ends it (and so the process)."""
        self._take_over()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.enqueue_each(self._due_first()), name="take-over")
            tasks.create_task(self.alarm.run(), name="alarm")
            tasks.create_task(self.leases.run(), name="leases")
            tasks.create_task(self._pods.run(), name="pods")
            for number in range(WORKERS):
                tasks.create_task(self._work(), name=f"worker-{number}")

    async def record(self) -> None:
        """Send Events until cancelled, whoever leads by now: what they tell of has happened."""
        await self._recorder.run()

    async def settle(self) -> None:
        """Wait until no start is under way or near, at most 1 s: no time to hand over to a standby."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_SETTLING_SECONDS):
                while self._may_act() and self.is_busy():  # noqa: ASYNC110
                    await asyncio.sleep(_SETTLING_LOOK_SECONDS)

    def _take_over(self) -> None:
        """Begin a term: what another leader may have changed is in doubt."""
        self.store.begin_term()
        self.store.complaints.begin_term()
        self.store.complaints.report(self._recorder.tell)
        self._retries.clear()
        self._deleted.take_over()

    def _due_first(self) -> list[Key]:
        """Return all keys, those first for which a leader would have done something urgent by now."""
        left, self._left = self._left, {}
        return [*left, *self.store.all_keys()]

    async def time_has_jumped(self) -> None:
        """Decide everything anew: pauses and observations go by a time that was not the right one."""
        self.store.begin_term()
        self._retries.clear()
        await self.enqueue_each(self._due_first())

    def _start_is_near(self) -> bool:
        head = self.alarm.next(Urgency.START)
        return head is not None and head - self._clock.now().timestamp() < _HOLD_BEFORE_START_SECONDS

    async def _work(self) -> None:
        while True:
            await self._slice.rest()
            key, urgency = await self.queue.take()
            try:
                await self._step(key, urgency)
            except Exception as fault:  # noqa: BLE001 - it is reported, and keeps no other slot from its turn
                self._blame(key, fault)
                self._retry(key, Urgency.ROUTINE, fault)
            finally:
                self.queue.done(key)

    async def _step(self, key: Key, urgency: Urgency) -> None:
        """Do the next step of a slot, unless it is less urgent than what the worker was given it for."""
        now = self._clock.now()
        decision = decide(self.store.snapshot(key, now), now)
        self.store.slot(key).trials.settle(decision.rests)
        self._left.pop(key, None)
        self._blamed.pop(key, None)
        match decision:
            case Wait():
                self._rest(key, decision)
            case Act() if urgency < decision.urgency:
                self._put_off(key, decision)
            case Act():
                await self._act(key, decision)
            case _:
                assert_never(decision)

    async def _act(self, key: Key, decision: Act) -> None:
        """Do what was decided, and see to what follows: the next step, or another try."""
        try:
            for action in decision.actions:
                if not self._may_act():
                    self._leave(key, decision)
                    return
                await self._apply(key, action)
                self._observer.applied(action)
        except StepRejectedError as error:
            log.warning(
                "step towards a grant rejected; deciding again",
                namespace=key.namespace,
                name=key.engine,
                error=error,
            )
            self.enqueue(key, decision.urgency)
        except ConflictError:
            await self._read_again(key, decision)
        except UnavailableError as error:
            self._retry(key, decision.urgency, error)
        except ApiError as error:
            log.warning(
                "step rejected; reading the objects again",
                namespace=key.namespace,
                name=key.engine,
                error=error,
            )
            await self._read_again(key, replace(decision, urgency=Urgency.ROUTINE))
        else:
            self._go_on(key, decision)

    def _guarded(self, key: Key, judge: Callable[[], T], default: T) -> T:
        """Return what `judge` makes of a slot; what is wrong in one slot must keep no other from its turn."""
        try:
            return judge()
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is this slot's alone
            self._blame(key, fault)
            return default

    def _blame(self, key: Key, fault: Exception) -> None:
        """Report, once as long as it stays the same, that the objects of a slot can't be decided about."""
        text = f"{type(fault).__name__}: {fault}"
        if self._blamed.get(key) == text:
            return
        self._blamed[key] = text
        log.failure("unexpected error while reconciling", fault, namespace=key.namespace, name=key.engine)
        if self._may_act():
            why = f"the operator cannot process this trial and leaves it alone: {text}"
            for trial in islice(self.store.slot(key).trials.values(), 1):
                self._recorder.tell("Trial", trial.metadata, reasons.MALFORMED, why, warning=True)

    def _leave(self, key: Key, decision: Act) -> None:
        """Leave a step to the leader; this process may be that by the start time."""
        if decision.urgency is not Urgency.ROUTINE:
            self._left[key] = None
        self._ring_at_start(key)

    def _go_on(self, key: Key, decision: Act) -> None:
        self._retries.pop(key, None)
        created = any(isinstance(action, CreatePod) for action in decision.actions)
        if created or any(isinstance(action, CreateEngine) for action in decision.actions):
            self.queue.tried(key.namespace, refused=self.store.slot(key).refusal is not None)
        next_urgency = max(decision.urgency, Urgency.FOLLOW) if created else decision.urgency
        if next_urgency is Urgency.FOLLOW:  # it comes after the creates of the same instant
            self.queue.add(key, next_urgency)
        else:
            self.enqueue(key, next_urgency)

    def _put_off(self, key: Key, decision: Act) -> None:
        """Leave a step to those who have time for it; what time brings comes whether or not it is done."""
        if decision.wake_at is not None:
            self.alarm.set(key, decision.wake_at, decision.wake_urgency)
        else:
            self._ring_at_start(key)
        self.queue.add(key, decision.urgency)

    def _rest(self, key: Key, decision: Wait) -> None:
        members = self.store.slot(key).trials
        others = members.next_wake()
        if others is not None and (decision.wake_at is None or others < decision.wake_at):
            self.alarm.set(key, others, Urgency.ROUTINE)
        elif decision.wake_at is not None:
            self.alarm.set(key, decision.wake_at, decision.wake_urgency)
        else:
            self.alarm.clear(key)
            self.store.forget_if_empty(key)
        if members.has_unsettled():
            self.queue.add(key, Urgency.ROUTINE)

    def _ring_at_start(self, key: Key) -> None:
        """Ring at the start time, whatever is done or not done before it."""
        start_time = self._guarded(key, lambda: self.store.start_time(key), None)
        if start_time is not None and start_time > self._clock.now():
            self.alarm.set(key, start_time, Urgency.START)

    async def _read_again(self, key: Key, decision: Act) -> None:
        """Read what a decision was about, which has turned out to be old, and retry."""
        try:
            await self._apply.read(key, decision.about())
        except ApiError as error:
            self._retry(key, decision.urgency, error)
        else:
            self._retry(key, decision.urgency, None)

    def _retry(self, key: Key, urgency: Urgency, error: Exception | None) -> None:
        """Look again after a pause that doubles, up to 5 s; the first time at once if we know why.

        It is no shorter than the API server asked for. A start time that comes earlier is not slept through,
        nor is the last chance of a start.
        """
        before = self._retries.get(key)
        pause = 0.0 if before is None and error is None else _FIRST_RETRY_SECONDS
        if before:
            pause = min(before * 2, _LONGEST_RETRY_SECONDS)
        self._retries[key] = pause or _FIRST_RETRY_SECONDS / 2
        if isinstance(error, UnavailableError):
            pause = max(pause, error.retry_after or 0.0)
        if error is not None:
            log.warning(
                "step failed; retrying",
                namespace=key.namespace,
                name=key.engine,
                after_seconds=round(pause, 1),
                error=error,
            )
        if pause > _FIRST_RETRY_SECONDS:
            self.queue.tried(key.namespace, refused=True)
        now = self._clock.now()
        again = now + timedelta(seconds=pause)
        start_time = self._guarded(key, lambda: self.store.start_time(key), None)
        if start_time is not None and now < start_time < again:
            again, urgency = start_time, Urgency.START
        last = self._guarded(key, lambda: self.store.last_try(key), None)
        if last is not None and now < last < again:
            again = last
        self.alarm.set(key, again, urgency)
