"""Requests to registries from an event loop: each in its own thread, in a bounded number.

A registry has one request at a time, and one that hangs blocks only its own thread: some places are reserved
for registries that answered last time and for those that a trial waits for, and no namespace can take all
places of a kind. Threads are daemons: one that hangs in name resolution does not keep a process alive.
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
    """Limits of requests in flight: each includes the kinds before it."""

    unproven: int
    """Requests to registries that did not answer the last one."""
    proven: int
    wanted: int
    """Including registries that a trial waits for."""
    total: int
    """Including registries that a trial waits for and that answered the last one."""
    longest_seconds: float = 180.0
    """Then a request counts as failed; its thread continues."""

    @property
    def limits(self) -> tuple[int, ...]:
        """Return the limits by `_Turn.level`."""
        return self.unproven, self.proven, self.wanted, self.total


@dataclass
class _Turn:
    """A request that waits for a place."""

    registry: RegistryKey
    proven: bool
    wanted: bool
    come: asyncio.Future[None]

    @property
    def level(self) -> int:
        return 2 * self.wanted + self.proven


def _ignore(_: int = 0) -> None:
    """Do nothing."""


class RequestQueue:
    """A bounded number of requests in flight.

    Registries that a trial waits for come first; then the namespace with the fewest requests in flight is
    next. No namespace may take more than three quarters of the places that the others leave free.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._waiting: dict[tuple[str, int], dict[RegistryKey, _Turn]] = {}
        """By namespace and level; no group is empty."""
        self._in_flight: dict[RegistryKey, int] = {}
        """The level of each registry with a request in flight."""
        self._counts: dict[str, list[int]] = {}
        """The number in flight of each level, by namespace."""
        self._all = [0] * len(bounds.limits)
        self._served: dict[str, int] = {}
        """The last turn of each namespace."""
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
        queued: Callable[[int], None] = _ignore,
        sent: Callable[[], None] = _ignore,
    ) -> T:
        """Make the request in a thread. Raises what it raises, and UnreachableError if it hangs.

        `proven`: the registry answered the last one. `wanted`: a trial waits for it. If there is no place,
        `queued` is called with the number of requests in flight; `sent` is called when the request starts.
        """
        if registry in self._asked:
            raise UnreachableError(registry[1], "an earlier request has not ended")
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
            raise UnreachableError(
                registry[1], f"the request did not end within {self._bounds.longest_seconds:g} s"
            )
        await ending
        return answer.result()

    def hurry(self, registry: RegistryKey) -> None:
        """Move the waiting request of a registry forward, because a trial waits for it."""
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
        """Start waiting requests while there are places."""
        while found := [key for key in self._waiting if self._has_room(*key)]:
            namespace, level = min(found, key=self._rank)
            turn = next(iter(self._waiting[namespace, level].values()))
            self._leave(turn)
            self._in_flight[turn.registry] = level
            self._all[level] += 1
            self._counts.setdefault(namespace, [0] * len(self._all))[level] += 1
            self._turns += 1
            self._served[namespace] = self._turns
            if not turn.come.done():  # a cancelled caller gives its place back
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
        """Give the place back, but only when the thread has ended."""
        await asyncio.wait({answer})
        answer.exception()  # the caller may have been cancelled
        self._end(registry)


def in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run `work` in a daemon thread; return its result."""
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
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="registry", daemon=True).start()
    return answer
