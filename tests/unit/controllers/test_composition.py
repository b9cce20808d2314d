"""In which order the operator's parts end, and that none of them keeps the others from ending."""

import asyncio

import pytest

from lcm_operator.controllers import composition
from lcm_operator.process import Stopping


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(composition, "_WORK_ENDS_SECONDS", 0.1)
    monkeypatch.setattr(composition, "_KOPF_ENDS_SECONDS", 0.1)


async def forever():
    await asyncio.Event().wait()


async def stubborn(ended):
    """Hang as kopf did once a watcher of its had failed: deaf to cancellation."""
    while not ended.is_set():
        try:
            await ended.wait()
        except asyncio.CancelledError:
            continue


async def broken():
    raise RuntimeError("broken")


async def until(flag):
    await flag.wait()


def run_until(working, watching, *, stop=False):
    async def running():
        stopping, settled, ended = Stopping(60), [], asyncio.Event()
        if stop:
            stopping.requested.set()

        async def settle():
            settled.append(True)

        try:
            async with asyncio.timeout(5):
                await composition._run_until(
                    stopping,
                    stubborn(ended) if working is stubborn else working(),
                    (lambda _: stubborn(ended)) if watching is stubborn else watching,
                    settle,
                )
        finally:
            ended.set()
        return settled

    return asyncio.run(running())


@pytest.mark.parametrize("working", [forever, stubborn])
@pytest.mark.parametrize("watching", [until, stubborn])
def test_stop_is_met_whatever_hangs(working, watching):
    assert run_until(working, watching, stop=True) == [True]


@pytest.mark.parametrize("working", [forever, stubborn])
def test_fault_of_kopf_ends_the_operator(working):
    with pytest.raises(RuntimeError, match="broken"):
        run_until(working, lambda _: broken())


@pytest.mark.parametrize("watching", [until, stubborn])
def test_fault_of_the_work_ends_the_operator(watching):
    with pytest.raises(RuntimeError, match="broken"):
        run_until(broken, watching)


def test_part_that_ends_by_itself_is_a_fault():
    with pytest.raises(RuntimeError, match="ended without being asked"):
        run_until(forever, lambda _: asyncio.sleep(0))
