"""How long is waited."""

import asyncio

import pytest
from tests.unit.engine.performing import perform

from lcm_operator.plan.values import TemplateError


def test_a_sleep_sleeps():
    async def scenario():
        loop = asyncio.get_running_loop()
        began = loop.time()
        await perform({"name": "nap", "sleep": {"seconds": 0.2}})
        return loop.time() - began

    assert asyncio.run(scenario()) >= 0.19


@pytest.mark.parametrize("field", ["seconds", "untilSeconds"])
def test_duration_of_a_sleep_is_rendered_and_checked(field):
    activity = {"name": "nap", "sleep": {field: "{{ parameters.s | number - 2 }}"}}
    asyncio.run(perform(activity, {"parameters": {"s": "2"}}))
    with pytest.raises(TemplateError, match=f"sleep.{field}: expected a number from 0 .* got `-1`"):
        asyncio.run(perform(activity, {"parameters": {"s": "1"}}))
