"""Requests to registries from an event loop: each in a thread of its own, so many at a time and no more.

A registry has one request at a time. One that hangs holds its own thread, nothing else: there is room kept
for those that answered last time, and for those that a trial waits for, and no namespace takes all of any
kind. Threads are daemons: one that hangs in the system's resolver, which nobody can end, keeps no process
from ending.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lcm_operator.registry.errors import UnreachableError

RegistryKey = tuple[str, str]
"""Namespace and name of a TrialRegistry."""
_WANTED = 2
T = TypeVar("T")


@dataclass(frozen=True)
class Bounds:
    """How many requests may be in flight: each number counts the kinds before it as well."""

    unproven: int
    """To registries that did not answer the last one."""
    proven: int
    wanted: int
    """To registries that a trial waits for."""
    total: int
    """Beyond `wanted` only for those that a trial waits for and that answered the last one."""
    longest_seconds: float = 180.0
    """After that a request counts as failed, and its thread is left alone."""

    @property
    def limits(self) -> tuple[int, ...]:
        """Return the numbers by `_Turn.level`."""
        return self.unproven, self.proven, self.wanted, self.total


@dataclass
class _Turn:
    """A request that waits for its turn."""

    registry: RegistryKey
    proven: bool
    wanted: bool
    come: asyncio.Future[None]

    @property
    def level(self) -> int:
        return 2 * self.wanted + self.proven


def _nobody_minds(_: int = 0) -> None:
    """Tell nobody."""


class RequestQueue:
    """A bounded number of requests in flight.

    Those that a trial waits for come first, then namespaces take turns: whichever has the fewest in flight.
    No namespace takes more than three quarters of what the others leave free, so that another finds room.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._waiting: dict[tuple[str, int], dict[RegistryKey, _Turn]] = {}
        """By namespace and level, none of them empty."""
        self._in_flight: dict[RegistryKey, int] = {}
        """The level of each."""
        self._counts: dict[str, list[int]] = {}
        """How many of each level are in flight, by namespace."""
        self._all = [0] * len(bounds.limits)
        self._served: dict[str, int] = {}
        """When namespaces had their last turn."""
        self._turns = 0
        self._asked: set[RegistryKey] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def ask(
        self,
        registry: RegistryKey,
        request: Callable[[], T],
        *,
        proven: bool,
        wanted: bool = False,
        queued: Callable[[int], None] = _nobody_minds,
        sent: Callable[[], None] = _nobody_minds,
    ) -> T:
        """Make the request in a thread. Raises what it raises, and UnreachableError if it hangs.

        `proven`: the registry has answered the last one. `wanted`: a trial waits for it. `queued` is told,
        if there is no room, how many requests are in flight; `sent` is called when the request goes out.
        """
        if registry in self._asked:
            raise UnreachableError(registry[1], "an earlier request still hangs")
        self._asked.add(registry)
        turn = _Turn(registry, proven, wanted, asyncio.get_running_loop().create_future())
        self._enter(turn)
        self._serve()
        try:
            if not turn.come.done():
                queued(len(self._in_flight))
            await turn.come
            sent()
            answer = in_thread(request)
        except BaseException:
            self._leave(turn)
            self._end(registry)
            raise
        ending = asyncio.create_task(self._free(registry, answer))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        done, _ = await asyncio.wait({answer}, timeout=self._bounds.longest_seconds)
        if not done:
            raise UnreachableError(registry[1], f"the request hangs for {self._bounds.longest_seconds:g} s")
        await ending
        return answer.result()

    def hurry(self, registry: RegistryKey) -> None:
        """Serve a registry first whose request waits for its turn: a trial waits for it."""
        for group in self._waiting.values():
            if registry in group:
                turn = group[registry]
                self._leave(turn)
                turn.wanted = True
                self._enter(turn)
                self._serve()
                return

    def _enter(self, turn: _Turn) -> None:
        self._waiting.setdefault((turn.registry[0], turn.level), {})[turn.registry] = turn

    def _leave(self, turn: _Turn) -> None:
        key = (turn.registry[0], turn.level)
        group = self._waiting.get(key, {})
        group.pop(turn.registry, None)
        if not group:
            self._waiting.pop(key, None)

    def _serve(self) -> None:
        """Let those go that wait, as long as there is room for any."""
        while found := [key for key in self._waiting if self._has_room(*key)]:
            namespace, level = min(found, key=self._rank)
            turn = next(iter(self._waiting[namespace, level].values()))
            self._leave(turn)
            self._in_flight[turn.registry] = level
            self._all[level] += 1
            self._counts.setdefault(namespace, [0] * len(self._all))[level] += 1
            self._turns += 1
            self._served[namespace] = self._turns
            if not turn.come.done():  # whoever gave up gives the room back
                turn.come.set_result(None)

    def _rank(self, key: tuple[str, int]) -> tuple[bool, int, int, int]:
        namespace, level = key
        return level < _WANTED, sum(self._counts.get(namespace, ())), self._served.get(namespace, 0), -level

    def _has_room(self, namespace: str, level: int) -> bool:
        counts = self._counts.get(namespace, [])
        for number, limit in enumerate(self._bounds.limits[level:], level + 1):
            own = sum(counts[:number])
            left = limit - (sum(self._all[:number]) - own)
            if own >= left or 4 * own >= 3 * left:
                return False
        return True

    def _end(self, registry: RegistryKey) -> None:
        level = self._in_flight.pop(registry, None)
        if level is not None:
            self._all[level] -= 1
            self._counts[registry[0]][level] -= 1
        self._asked.discard(registry)
        if not any(self._counts.get(registry[0], ())):
            self._counts.pop(registry[0], None)
            if not any((registry[0], each) in self._waiting for each in range(len(self._all))):
                self._served.pop(registry[0], None)
        self._serve()

    async def _free(self, registry: RegistryKey, answer: asyncio.Future[T]) -> None:
        """Give the room back when the thread has ended, not before."""
        await asyncio.wait({answer})
        answer.exception()  # whoever asked may have given up
        self._end(registry)


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
