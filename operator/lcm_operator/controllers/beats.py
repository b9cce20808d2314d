"""Follows the signs of life of engines: one list of all their Leases every few seconds, by the leader.

A beat is judged by when we saw it change, not by the engine's clock. Silence counts only over time in which
our own reads succeeded, and from zero after this process became the leader.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from lcm_operator.api import names
from lcm_operator.controllers.key import Key
from lcm_operator.controllers.store import Store
from lcm_operator.domain.observation import value_of
from lcm_operator.domain.outcome import heartbeat_timeout
from lcm_operator.domain.snapshot import Beat
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.clock import Clock
from lcm_operator.kube.errors import ApiError
from lcm_operator.kube.resources import LEASES

_EVERY_SECONDS = 2.0
_LONGEST_GAP_SECONDS = 3 * _EVERY_SECONDS
log = logging.getLogger(__name__)


class Beats:
    """Puts what is known of each engine's beats into the store; `look(key)` when that may matter."""

    def __init__(self, client: Client, store: Store, look: Callable[[Key], None], clock: Clock) -> None:
        self._client = client
        self._store = store
        self._look = look
        self._clock = clock
        self._renewals: dict[str, str | None] = {}
        self._read_at: float | None = None

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                leases, _ = await self._client.list(LEASES, label_selector=names.LABEL_TRIAL)
            except ApiError as error:
                log.warning("the engines' Leases can't be read: %s", error)
                self._read_at = None
            else:
                self._take(leases)
            await asyncio.sleep(_EVERY_SECONDS)

    def _take(self, leases: list[Json]) -> None:
        now = self._clock.elapsed()
        gap = now - self._read_at if self._read_at is not None else 0.0
        passed = timedelta(seconds=gap if gap <= _LONGEST_GAP_SECONDS else 0)
        self._read_at = now
        seen = {
            lease["spec"]["holderIdentity"]: lease for lease in leases if "holderIdentity" in lease["spec"]
        }
        for uid, lease in seen.items():
            self._follow(uid, lease, passed)
        self._renewals = {uid: lease["spec"].get("renewTime") for uid, lease in seen.items()}

    def _follow(self, uid: str, lease: Json, passed: timedelta) -> None:
        key = Key(lease["metadata"]["namespace"], lease["metadata"]["labels"][names.LABEL_TRIAL])
        engine = self._store.engine(key)
        if engine is None or engine.status.pod_ref is None or engine.status.pod_ref.uid != uid:
            return
        renewed = lease["spec"].get("renewTime")
        before = value_of(self._store.slot(key).beat)
        known = before is not None and before.pod_uid == uid and self._renewals.get(uid, "") == renewed
        silent = before.silent + passed if before is not None and known else timedelta(0)
        beat = Beat(pod_uid=uid, begun=renewed is not None, silent=silent)
        self._store.slot(key).beat = self._store.observed(beat)
        if renewed is not None and silent > heartbeat_timeout(engine):
            self._look(key)
