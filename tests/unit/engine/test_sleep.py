"""How long is waited."""

import asyncio

from tests.unit.engine.performing import perform


def test_a_sleep_sleeps():
    async def scenario():
        loop = asyncio.get_running_loop()
        began = loop.time()
        await perform({"name": "nap", "sleep": {"seconds": 0.2}})
        return loop.time() - began

    assert asyncio.run(scenario()) >= 0.19
