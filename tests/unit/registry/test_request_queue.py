"""So many requests at a time: who hangs holds up nobody else."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TypeVar

import pytest
from tests.harness.waiting import until

from lcm_operator.registry.errors import RegistryError, UnreachableError
from lcm_operator.registry.request_queue import Bounds, RequestQueue

T = TypeVar("T")
BOUNDS = Bounds(unproven=4, proven=5, wanted=6, total=7)


class Hanging:
    """Requests that hang until the test ends."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.begun = 0

    def __call__(self) -> None:
        self.begun += 1
        self.over.wait(20)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    made = Hanging()
    yield made
    made.over.set()


async def begin(
    queue: RequestQueue, hanging: Hanging, namespace: str, count: int, *, wanted: bool = False
) -> list[asyncio.Task[None]]:
    asking = [
        asyncio.create_task(queue.ask((namespace, f"bad-{number}"), hanging, proven=False, wanted=wanted))
        for number in range(count)
    ]
    await asyncio.sleep(0)  # each task has asked, and has its thread or its place in the queue
    return asking


async def until_answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the queue has room again: threads give their slots back in their own time."""
    async with asyncio.timeout(30):
        while True:
            with suppress(UnreachableError, TimeoutError):
                return await ask()
            await asyncio.sleep(0.01)


def answers(queue: RequestQueue, namespace: str, *, proven: bool) -> Callable[[], object]:
    return lambda: asyncio.wait_for(queue.ask((namespace, "good"), lambda: "list", proven=proven), 0.2)


@pytest.mark.parametrize(
    ("namespace", "proven", "answered"),
    [
        pytest.param("bad", True, True, id="one that answered before, of the same namespace"),
        pytest.param("good", True, True, id="one that answered before"),
        pytest.param("good", False, True, id="a new one of another namespace"),
        pytest.param("bad", False, False, id="a new one of the same namespace waits"),
    ],
)
def test_registries_that_hang_leave_a_slot_for(
    hanging: Hanging, namespace: str, proven: bool, answered: bool
):
    async def scenario() -> bool:
        queue = RequestQueue(BOUNDS)
        await begin(queue, hanging, "bad", 10)
        await until(lambda: hanging.begun >= 3)
        try:
            return await answers(queue, namespace, proven=proven)() == "list"
        except TimeoutError:
            return False
        finally:
            hanging.over.set()

    assert asyncio.run(scenario()) is answered


def test_whoever_waits_gets_the_slot_that_is_given_back(hanging: Hanging):
    async def scenario() -> int:
        queue = RequestQueue(BOUNDS)
        asking = await begin(queue, hanging, "bad", 10)
        hanging.over.set()
        await asyncio.gather(*asking)
        return hanging.begun

    assert asyncio.run(scenario()) == 10


def test_a_request_that_hangs_beyond_its_time_is_reported_and_not_repeated(hanging: Hanging):
    async def scenario() -> None:
        queue = RequestQueue(Bounds(5, 5, 5, 5, longest_seconds=0.05))
        for why in ("did not end within 0.05 s", "an earlier request has not ended"):
            with pytest.raises(UnreachableError, match=why):
                await queue.ask(("lab", "bad"), hanging, proven=True)
        assert await queue.ask(("lab", "good"), lambda: 1, proven=True) == 1
        hanging.over.set()
        assert await until_answered(lambda: queue.ask(("lab", "bad"), lambda: 2, proven=True)) == 2

    asyncio.run(scenario())


def test_what_a_request_raises_is_raised():
    def fails() -> None:
        raise RegistryError("no")

    async def scenario() -> None:
        with pytest.raises(RegistryError, match="no"):
            await RequestQueue(BOUNDS).ask(("lab", "bad"), fails, proven=True)

    asyncio.run(scenario())


def test_whoever_gives_up_waiting_leaves_no_slot_taken(hanging: Hanging):
    async def scenario() -> object:
        queue = RequestQueue(BOUNDS)
        asking = await begin(queue, hanging, "bad", 5)
        for task in asking:
            task.cancel()
        hanging.over.set()
        await asyncio.gather(*asking, return_exceptions=True)
        return await until_answered(answers(queue, "bad", proven=False))

    assert asyncio.run(scenario()) == "list"


@pytest.mark.parametrize("proven", [False, True])
def test_one_that_a_trial_waits_for_is_asked_though_others_hang(hanging: Hanging, proven: bool):
    async def scenario() -> str:
        queue = RequestQueue(BOUNDS)
        for namespace in ("a", "b", "c", "d"):
            await begin(queue, hanging, namespace, 10)
        asked = queue.ask(("good", "good"), lambda: "list", proven=proven, wanted=True)
        return await asyncio.wait_for(asked, 1)

    assert asyncio.run(scenario()) == "list"


def test_one_in_the_queue_is_asked_at_once_when_a_trial_waits_for_it(hanging: Hanging):
    async def scenario() -> tuple[str, list[int]]:
        queue, queued = RequestQueue(BOUNDS), list[int]()
        for namespace in ("a", "b", "c", "d"):
            await begin(queue, hanging, namespace, 10)
        sent: list[str] = []
        request = queue.ask(
            ("good", "good"),
            lambda: "list",
            proven=False,
            queued=queued.append,
            sent=lambda: sent.append("sent"),
        )
        asking = asyncio.create_task(request)
        await until(lambda: queued)
        assert sent == []
        queue.hurry(("good", "good"))
        answer = await asyncio.wait_for(asking, 1)
        assert sent == ["sent"]
        return answer, queued

    assert asyncio.run(scenario()) == ("list", [4])


def test_hanging_ones_that_trials_wait_for_leave_room_for_others(hanging: Hanging):
    async def scenario() -> str:
        queue = RequestQueue(BOUNDS)
        for namespace in ("a", "b"):
            await begin(queue, hanging, namespace, 20, wanted=True)
        asked = queue.ask(("good", "good"), lambda: "list", proven=True, wanted=True)
        return await asyncio.wait_for(asked, 1)

    assert asyncio.run(scenario()) == "list"


def test_namespaces_take_turns_however_many_registries_each_has():
    order: list[str] = []

    async def scenario() -> None:
        queue = RequestQueue(Bounds(1, 1, 1, 1))
        asked = [("many", f"r{number}") for number in range(20)] + [("few", "r0"), ("few", "r1")]

        def request(place: tuple[str, str]) -> Callable[[], None]:
            return lambda: order.append(place[0])

        await asyncio.gather(*(queue.ask(place, request(place), proven=False) for place in asked))

    asyncio.run(scenario())

    assert order[:5] == ["many", "few", "many", "few", "many"]
    assert len(order) == 22
