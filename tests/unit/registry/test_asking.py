"""So many requests at a time: who hangs holds up nobody else."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from lcm_operator.registry.asking import Bounds, Slots
from lcm_operator.registry.errors import RegistryError, Unreachable

BOUNDS = Bounds(total=5, unproven=4, unproven_of_a_namespace=3)


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


async def begin(slots: Slots, hanging: Hanging, namespace: str, count: int) -> list[asyncio.Task[None]]:
    asking = [
        asyncio.create_task(slots.ask((namespace, f"bad-{number}"), hanging, proven=False))
        for number in range(count)
    ]
    await asyncio.sleep(0.05)
    return asking


def answers(slots: Slots, namespace: str, *, proven: bool) -> Callable[[], object]:
    return lambda: asyncio.wait_for(slots.ask((namespace, "good"), lambda: "list", proven=proven), 0.2)


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
        slots = Slots(BOUNDS)
        await begin(slots, hanging, "bad", 10)
        assert hanging.begun == 3
        try:
            return await answers(slots, namespace, proven=proven)() == "list"
        except TimeoutError:
            return False
        finally:
            hanging.over.set()

    assert asyncio.run(scenario()) is answered


def test_whoever_waits_gets_the_slot_that_is_given_back(hanging: Hanging):
    async def scenario() -> int:
        slots = Slots(BOUNDS)
        asking = await begin(slots, hanging, "bad", 10)
        hanging.over.set()
        await asyncio.gather(*asking)
        return hanging.begun

    assert asyncio.run(scenario()) == 10


def test_a_request_that_hangs_beyond_its_time_is_reported_and_not_repeated(hanging: Hanging):
    async def scenario() -> None:
        slots = Slots(Bounds(5, 5, 5, longest_seconds=0.05))
        for why in ("hangs for 0.05 s", "an earlier request still hangs"):
            with pytest.raises(Unreachable, match=why):
                await slots.ask(("lab", "bad"), hanging, proven=True)
        assert await slots.ask(("lab", "good"), lambda: 1, proven=True) == 1
        hanging.over.set()
        while True:
            with suppress(Unreachable):
                assert await slots.ask(("lab", "bad"), lambda: 2, proven=True) == 2
                return
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_what_a_request_raises_is_raised():
    def fails() -> None:
        raise RegistryError("no")

    async def scenario() -> None:
        with pytest.raises(RegistryError, match="no"):
            await Slots(BOUNDS).ask(("lab", "bad"), fails, proven=True)

    asyncio.run(scenario())


def test_whoever_gives_up_waiting_leaves_no_slot_taken(hanging: Hanging):
    async def scenario() -> object:
        slots = Slots(BOUNDS)
        asking = await begin(slots, hanging, "bad", 5)
        for task in asking:
            task.cancel()
        hanging.over.set()
        await asyncio.gather(*asking, return_exceptions=True)
        await asyncio.sleep(0.1)
        return await answers(slots, "bad", proven=False)()

    assert asyncio.run(scenario()) == "list"
