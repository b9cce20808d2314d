"""Requests to registries from an event loop: each in a thread of its own, so many at a time and no more.

A registry has one request at a time. One that hangs holds its own thread, nothing else: those that answered
last time always find a slot, and no namespace takes all of the others. Threads are daemons: one that hangs
in the system's resolver, which nobody can end, keeps no process from ending.
"""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

from lcm_operator.registry.errors import Unreachable

Place = tuple[str, str]
"""Namespace and name of a TrialRegistry."""
T = TypeVar("T")


@dataclass(frozen=True)
class Bounds:
    """How many requests may be in flight. `unproven`: to registries that did not answer the last one."""

    total: int
    unproven: int
    unproven_of_a_namespace: int
    longest_seconds: float = 180.0
    """After that a request counts as failed, and its thread is left alone."""


class Slots:
    """A bounded number of requests in flight. The waiting are served in turn."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._total = asyncio.Semaphore(bounds.total)
        self._unproven = asyncio.Semaphore(bounds.unproven)
        self._namespaces: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()
        self._asked: set[Place] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def ask(self, place: Place, request: Callable[[], T], *, proven: bool) -> T:
        """Make the request in a thread. Raises what it raises, and Unreachable if it hangs.

        `proven`: the registry has answered the last one.
        """
        if place in self._asked:
            raise Unreachable(place[1], "an earlier request still hangs")
        self._asked.add(place)
        slot = contextlib.AsyncExitStack()
        try:
            if not proven:
                await slot.enter_async_context(self._of_namespace(place[0]))
                await slot.enter_async_context(self._unproven)
            await slot.enter_async_context(self._total)
        except BaseException:
            await slot.aclose()
            self._asked.discard(place)
            raise
        answer = in_thread(request)
        ending = asyncio.create_task(self._free(place, slot, answer))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        done, _ = await asyncio.wait({answer}, timeout=self._bounds.longest_seconds)
        if not done:
            raise Unreachable(place[1], f"the request hangs for {self._bounds.longest_seconds:g} s")
        await ending
        return answer.result()

    async def _free(self, place: Place, slot: contextlib.AsyncExitStack, answer: asyncio.Future[T]) -> None:
        """Give the slot back when the thread has ended, not before."""
        await asyncio.wait({answer})
        answer.exception()  # whoever asked may have given up
        await slot.aclose()
        self._asked.discard(place)

    @contextlib.asynccontextmanager
    async def _of_namespace(self, namespace: str) -> AsyncIterator[None]:
        bound = asyncio.Semaphore(self._bounds.unproven_of_a_namespace)
        share = self._namespaces.setdefault(namespace, bound)
        self._users[namespace] += 1
        try:
            async with share:
                yield
        finally:
            self._users[namespace] -= 1
            if not self._users[namespace]:
                del self._users[namespace], self._namespaces[namespace]


def in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Return what `work` returns or raises, done in a thread that keeps no process from ending."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="registry", daemon=True).start()
    return answer
