"""Gather, decide, apply: the loop that moves every trial on. Fed by watches, due times and its own results.

Workers take keys from the queue, one step at a time, so that at a start time all pods are created before any
of the writes that follow. A step that fails is repeated from what the API server then holds.

The leader runs `lead`, a standby `follow`: it decides as well, so that it knows all due times, but acts on
nothing.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, assert_never

from lcm_operator import logs
from lcm_operator.api import reasons
from lcm_operator.controllers.apply import Apply, StepRejectedError
from lcm_operator.controllers.deleted_trials import DeletedTrials
from lcm_operator.controllers.due_queue import WORKERS, DueQueue
from lcm_operator.controllers.key import Due, Key
from lcm_operator.controllers.lease_monitor import LeaseMonitor
from lcm_operator.controllers.observer import Observer
from lcm_operator.controllers.pending_pods import PendingPods
from lcm_operator.controllers.pod_monitor import PodMonitor
from lcm_operator.controllers.recorder import Recorder
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.controllers.time_slice import TimeSlice
from lcm_operator.domain.actions import Act, CreateEngine, CreatePod, Urgency, Wait
from lcm_operator.domain.decide import decide
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import ApiError, ConflictError, UnavailableError

_LONGEST_SETTLING_SECONDS = 1.0  # a pod deleted by force has two
log = logs.get(__name__)


class Reconciler:
    """The operator's loop over all slots of a cache. `may_act()` is asked before each action."""

    def __init__(
        self,
        client: Client,
        cache: SlotCache,
        *,
        may_act: Callable[[], bool],
        observer: Observer,
        clock: Clock,
    ) -> None:
        self.cache = cache
        self.clock = clock
        self.queue = DueQueue(self._due, clock)
        self.recorder = Recorder(client, self.queue.quiet, clock)
        self.leases = LeaseMonitor(client, cache, self.queue.examine, clock)
        self._may_act = may_act
        self._observer = observer
        self._apply = Apply(client, cache, self.recorder, clock)
        self._pods = PodMonitor(client, cache, self.queue.examine, clock)
        self._pending = PendingPods(client, cache, self.queue.examine, self.queue.quiet, clock)
        self._slice = TimeSlice()
        self._blamed: dict[Key, str] = {}
        """What was reported of slots about which nothing can be decided."""
        self._left: dict[Key, None] = {}
        """Slots in which a standby has left something urgent to its leader."""
        self._deleted = DeletedTrials(cache, self.recorder, may_act, clock)

    async def examine_each(self, keys: Iterable[Key]) -> None:
        """Queue many slots to be examined, without keeping the loop from what is due."""
        for key in keys:
            self.queue.examine(key)
            await self._slice.rest()

    def take_trial(self, raw: Mapping[str, Any]) -> None:
        """Put a Trial into the cache and examine its slot."""
        self.take(self.cache.put_trial, raw)

    def take_engine(self, raw: Mapping[str, Any]) -> None:
        """Put a TrialEngine into the cache and examine its slot."""
        self.take(self.cache.put_engine, raw)

    async def take_plan(self, raw: Mapping[str, Any]) -> None:
        """Put a TrialPlan into the cache and examine the slots that may wait for it."""
        keys = self.cache.put_plan(raw)
        self._report()
        await self.examine_each(keys)

    async def lose_plan(self, namespace: str, name: str, uid: str) -> None:
        """Forget a deleted TrialPlan and examine the slots that may have used it."""
        if self.cache.drop_plan(namespace, name, uid):
            await self.examine_each(self.cache.keys_in(namespace))

    def lose_engine(self, namespace: str, name: str, uid: str, last: Mapping[str, Any] | None = None) -> None:
        """Forget a deleted TrialEngine and examine its slot; `last`: its last state."""
        if last is not None:
            self.cache.put_engine(last)
            self._deleted.look()
        key = self.cache.drop_engine(namespace, name, uid)
        self._deleted.look()
        if key is not None:
            self.queue.examine(key)

    def take(self, put: Callable[[Mapping[str, Any]], list[Key]], raw: Mapping[str, Any]) -> None:
        """Put an object into the cache and examine its slot; one that can't be parsed stops no other."""
        for key in put(raw):
            self.queue.examine(key)
        self._report()

    def _report(self) -> None:
        """Report what the cache has come across."""
        while self.cache.replaced:
            self._deleted.add(self.cache.replaced.popleft())
        self._deleted.look()
        if self._may_act():
            self.cache.complaints.report(self.recorder.tell)

    def lose_trial(self, namespace: str, name: str, uid: str) -> None:
        """Forget a deleted Trial; one that had no outcome leaves an Event."""
        before = self.cache.trial(namespace, name)
        key = self.cache.drop_trial(namespace, name, uid)
        if key is None:
            return
        self.queue.examine(key)
        if before is not None and before.metadata.uid == uid:
            self._deleted.add(before)

    async def follow(self) -> None:
        """Decide until cancelled, so that all due times are known, without a write."""
        await self._work()

    async def lead(self) -> None:
        """Take over and work until cancelled; a fault in the loop itself ends it (and so the process)."""
        self._take_over()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.examine_each(self._due_first()), name="take-over")
            tasks.create_task(self.leases.run(), name="leases")
            tasks.create_task(self._pods.run(), name="pods")
            tasks.create_task(self._apply.references.run(self.examine_each), name="references")
            tasks.create_task(self._pending.run(), name="pending-pods")
            for number in range(WORKERS):
                tasks.create_task(self._work(), name=f"worker-{number}")

    async def settle(self) -> None:
        """Wait until no start is under way or near, at most 1 s: no time to hand over to a standby."""
        if self._may_act():
            await self.queue.quiet(_LONGEST_SETTLING_SECONDS)

    def _take_over(self) -> None:
        """Begin a term: another leader may have changed what was known."""
        self.cache.begin_term()
        self.cache.complaints.begin_term()
        self.cache.complaints.report(self.recorder.tell)
        self.queue.forget_failures()
        self._deleted.take_over()

    def _due_first(self) -> list[Key]:
        """Return all keys, those first for which a leader would have done something urgent by now."""
        left, self._left = self._left, {}
        return [*left, *self.cache.all_keys()]

    async def time_has_jumped(self) -> None:
        """Decide everything anew: pauses and observations were based on a wrong time."""
        self.cache.begin_term()
        self.queue.forget_failures()
        await self.examine_each(self._due_first())

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
        now = self.clock.now()
        decision = decide(self.cache.snapshot(key, now), now)
        self.cache.slot(key).trials.settle(decision.rests)
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
                self._observer.applied(action, self.cache.holder(key), self.clock.now())
        except StepRejectedError as error:
            log.warning(
                "step towards a grant rejected; deciding again",
                namespace=key.namespace,
                name=key.name,
                error=error,
            )
            self.queue.examine(key, decision.urgency)
        except ConflictError:
            await self._read_again(key, decision)
        except UnavailableError as error:
            self._retry(key, decision.urgency, error)
        except ApiError as error:
            log.warning(
                "step rejected; reading the objects again",
                namespace=key.namespace,
                name=key.name,
                error=error,
            )
            await self._read_again(key, replace(decision, urgency=Urgency.ROUTINE))
        else:
            self._go_on(key, decision)

    def _due(self, key: Key) -> Due:
        """Return what is due in a slot; a fault in one slot must keep no other from its turn."""
        try:
            return self.cache.due(key, self.clock.now())
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is this slot's alone
            self._blame(key, fault)
            return Due()

    def _blame(self, key: Key, fault: Exception) -> None:
        """Report a fault in the decision about a slot, once as long as it stays the same."""
        text = f"{type(fault).__name__}: {fault}"
        if self._blamed.get(key) == text:
            return
        self._blamed[key] = text
        log.failure("unexpected error while reconciling", fault, namespace=key.namespace, name=key.name)
        if self._may_act():
            why = f"the operator cannot process this trial and leaves it alone: {text}"
            for trial in islice(self.cache.slot(key).trials.values(), 1):
                self.recorder.tell("Trial", trial.metadata, reasons.MALFORMED, why, warning=True)

    def _leave(self, key: Key, decision: Act) -> None:
        """Leave a step to the leader; this process may be that by the start time."""
        if decision.urgency is not Urgency.ROUTINE:
            self._left[key] = None
        self._wait_for_start(key)

    def _go_on(self, key: Key, decision: Act) -> None:
        self.queue.succeeded(key)
        created = any(isinstance(action, CreatePod) for action in decision.actions)
        if created or any(isinstance(action, CreateEngine) for action in decision.actions):
            self.queue.tried(key.namespace, refused=self.cache.slot(key).refusal is not None)
        next_urgency = max(decision.urgency, Urgency.FOLLOW) if created else decision.urgency
        if next_urgency is Urgency.FOLLOW:  # after the creates of the same instant, though its start is due
            self.queue.add(key, next_urgency)
        else:
            self.queue.examine(key, next_urgency)

    def _put_off(self, key: Key, decision: Act) -> None:
        """Leave a step to a worker that has time for it, and don't miss what time brings meanwhile."""
        if decision.wake_at is not None:
            self.queue.add(key, decision.wake_urgency, decision.wake_at)
        else:
            self._wait_for_start(key)
        self.queue.add(key, decision.urgency)

    def _rest(self, key: Key, decision: Wait) -> None:
        members = self.cache.slot(key).trials
        others = members.next_wake()
        if others is not None and (decision.wake_at is None or others < decision.wake_at):
            self.queue.add(key, Urgency.ROUTINE, others)
        elif decision.wake_at is not None:
            self.queue.add(key, decision.wake_urgency, decision.wake_at)
        else:
            self.queue.clear(key)
            self.cache.forget_if_empty(key)
        if members.has_unsettled():
            self.queue.add(key, Urgency.ROUTINE)

    def _wait_for_start(self, key: Key) -> None:
        """Examine a slot at its start time, whatever is done or not done before."""
        start_time = self._due(key).start_time
        if start_time is not None and start_time > self.clock.now():
            self.queue.add(key, Urgency.START, start_time)

    async def _read_again(self, key: Key, decision: Act) -> None:
        """Read what a decision was about, which has turned out to be old, and retry."""
        try:
            await self._apply.read(key, decision.about())
        except ApiError as error:
            self._retry(key, decision.urgency, error)
        else:
            self._retry(key, decision.urgency, None)

    def _retry(self, key: Key, urgency: Urgency, error: Exception | None) -> None:
        """Try a step again after a pause; if no error but old knowledge was the cause, at once, but once."""
        asked = error.retry_after if isinstance(error, UnavailableError) else None
        pause = self.queue.retry(key, urgency, at_least=asked or 0.0, at_once=error is None)
        if error is not None:
            log.warning(
                "step failed; retrying",
                namespace=key.namespace,
                name=key.name,
                after_seconds=round(pause, 1),
                error=error,
            )
