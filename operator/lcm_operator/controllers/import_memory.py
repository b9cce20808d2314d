"""Notes on a TrialRegistry what becomes of its imports: without a pull, which may fail.

So it is when an imported Trial is deleted, before the operator removes one that was kept for its time, and
before a finalizer of earlier versions is taken off. Whoever comes while a write is under way is part of the
next one: thousands of Trials can go at once.
"""

import asyncio
from collections import defaultdict

from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.storage import parse, serialise, status_patch
from lcm_operator.domain.importing import Note, with_notes
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import Conflict, NotFound
from lcm_operator.kube.resources import TRIAL_REGISTRIES

_ATTEMPTS = 10
Place = tuple[str, str]


class ImportMemory:
    """What stands in `status.imports` and `status.ignored` of TrialRegistries."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = asyncio.Lock()
        self._waiting: defaultdict[Place, list[Note]] = defaultdict(list)

    async def note(self, place: Place, note: Note) -> None:
        """Return when it is noted what has become of an import. Raises ApiError, Malformed.

        Nothing is noted on a TrialRegistry that is gone.
        """
        waiting = self._waiting[place]
        waiting.append(note)
        async with self._lock:
            if note not in waiting:  # somebody has taken it along
                return
            taken = tuple(waiting)
            await self._write(place, taken)
            del waiting[: len(taken)]

    async def _write(self, place: Place, notes: tuple[Note, ...]) -> None:
        namespace, name = place
        for attempt in range(_ATTEMPTS):
            try:
                raw = await self._client.get(TRIAL_REGISTRIES, namespace, name)
                registry = parse(raw, TrialRegistry)
                status = registry.status
                new = with_notes(status, notes)
                if new == status:
                    return
                patch = status_patch(registry.metadata.resource_version, serialise(status), serialise(new))
                await self._client.json_patch(TRIAL_REGISTRIES, namespace, name, patch, subresource="status")
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
            except NotFound:
                return
            else:
                return
