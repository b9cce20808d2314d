"""Renews the Lease that the operator created for the engine's pod, from the grant to the end.

It runs in the event loop of the activities, so that a loop that hangs renews nothing. No outside call may
begin unless the Lease was `renewed` recently, and a program without a time-out is ended when contact is
`lost`. The operator only observes that the Lease changes; it creates a deleted one again.
"""

import asyncio
from collections.abc import Awaitable, Callable

from lcm_operator import logs
from lcm_operator.kube import leases
from lcm_operator.kube.backoff import Backoff
from lcm_operator.kube.client import Client
from lcm_operator.kube.clock import Clock, pause
from lcm_operator.kube.errors import ApiError, UnavailableError

log = logs.get(__name__)
_SHORTEST_SECONDS = 1.0
_LONGEST_SECONDS = 10.0
_RENEWALS_IN_TIMEOUT = 6


class LeaseRenewer:
    """The Lease of one pod.

    `confirm` reads whether this pod is still granted, after a silence that may have cost it the grant.
    """

    def __init__(
        self,
        client: Client,
        pod_name: str,
        pod_uid: str,
        timeout_seconds: float,
        confirm: Callable[[], Awaitable[bool]],
        clock: Clock,
    ) -> None:
        self._client = client
        self._clock = clock
        self._pod_name = pod_name
        self._pod_uid = pod_uid
        self._confirm = confirm
        self._timeout = timeout_seconds
        self._valid = timeout_seconds / 2
        self._interval = min(max(timeout_seconds / _RENEWALS_IN_TIMEOUT, _SHORTEST_SECONDS), _LONGEST_SECONDS)
        self._last: float | None = None
        self._acknowledged = asyncio.Event()

    async def run(self) -> None:
        """Renew until cancelled."""
        backoff = Backoff(self._interval)
        while True:
            sent = self._clock.elapsed()
            silent = self._last is not None and not self._is_recent()
            try:
                await self._renew()
                granted = not silent or await self._confirm()
            except ApiError as error:
                await backoff.wait(f"renewing the Lease {self._pod_name}", error)
                continue
            backoff.reset()
            if granted:
                self._last = sent
                self._acknowledged.set()
            await asyncio.sleep(self._interval)

    async def renewed(self) -> None:
        """Return once a renewal sent within the last half time-out was acknowledged."""
        while not self._is_recent():
            log.info("waiting until the Lease is renewed")
            self._acknowledged.clear()
            await self._acknowledged.wait()

    async def lost(self) -> None:
        """Return once the last acknowledged renewal is older than the time-out: another attempt may begin."""
        while self._last is not None:
            left = self._last + self._timeout - self._clock.elapsed()
            if left <= 0:
                return
            await pause(left, self._clock)

    def _is_recent(self) -> bool:
        return self._last is not None and self._clock.elapsed() - self._last <= self._valid

    async def _renew(self) -> None:
        """Renew the Lease, if it is this pod's and not a leftover of that name."""
        renewing = leases.renew_unread(
            self._client, self._client.access.namespace, self._pod_name, self._pod_uid, self._clock.now()
        )
        try:
            await asyncio.wait_for(renewing, max(self._valid, _SHORTEST_SECONDS))
        except TimeoutError as error:
            raise UnavailableError(0, "Timeout", f"no answer within {self._valid:g} s") from error
