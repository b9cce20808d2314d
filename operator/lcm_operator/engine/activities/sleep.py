"""The activity `sleep`: waits. Repeated in full when it was in flight."""

import asyncio

from lcm_operator.api.plan import Sleep
from lcm_operator.engine.activities.results import Performed


async def perform(sleep: Sleep) -> Performed:
    """Wait `sleep.seconds`."""
    await asyncio.sleep(sleep.seconds or 0)
    return Performed()
