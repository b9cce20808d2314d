"""Liveness of kopf's watches and of the event loop, for `health`.

kopf does not report bookmarks. So it also watches the operator's own Lease, which the leader renews every
2 s: each renewal passes from the API server through kopf to a handler, in leader and standby alike.
"""

import asyncio
from typing import Any

import kopf

from lcm_operator.controllers.settings import LEASE_NAME
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.resources import LEASES

DEAF_SECONDS = 15.0
_TICK_SECONDS = 0.5
_REMEMBER_SECONDS = 15.0


class Heartbeat:
    """When kopf last reported an event, and how late the loop was. Call `register` before kopf starts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard_at = self._clock.elapsed()
        self._next_tick = self._heard_at + _TICK_SECONDS
        self._lag, self._lagged_at = 0.0, 0.0

    def register(self, registry: kopf.OperatorRegistry, settings: kopf.OperatorSettings) -> None:
        """Have kopf watch the Lease, and nothing else of its kind."""
        group, version = LEASES.api.split("/")
        settings.watching.field_selectors[group, version, LEASES.plural] = f"metadata.name={LEASE_NAME}"

        @kopf.on.event(group, version, LEASES.plural, registry=registry)
        async def renewed(**_: Any) -> None:
            self.heard()

    def heard(self) -> None:
        """Note an event."""
        self._heard_at = self._clock.elapsed()

    def silence(self) -> float:
        """Return for how many seconds kopf has reported no event."""
        return self._clock.elapsed() - self._heard_at

    def is_deaf(self) -> bool:
        """Return whether kopf has been silent for longer than any renewal of the Lease explains."""
        return self.silence() > DEAF_SECONDS

    def lag(self) -> float:
        """Return by how many seconds the loop is late, or was at worst in the last 15 s."""
        now = self._clock.elapsed()
        recent = self._lag if now - self._lagged_at < _REMEMBER_SECONDS else 0.0
        return max(recent, now - self._next_tick)

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            self._next_tick = self._clock.elapsed() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            now = self._clock.elapsed()
            late = now - self._next_tick
            if late > self._lag or now - self._lagged_at > _REMEMBER_SECONDS:
                self._lag, self._lagged_at = late, now
