"""Calls for one trial ID one after the other: in this sidecar; among several the API server decides.

Used by `scheduling` and `signals`, each with locks of its own.
"""

import asyncio
from weakref import WeakValueDictionary


class Locks:
    """One lock for each trial ID."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, trial_id: str) -> asyncio.Lock:
        """Return the lock of a trial ID; it lives as long as somebody holds it or waits for it."""
        lock = self._locks.get(trial_id)
        if lock is None:
            lock = self._locks[trial_id] = asyncio.Lock()
        return lock
