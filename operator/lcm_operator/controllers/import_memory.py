"""Notes on a TrialRegistry what earlier versions have imported, before their finalizer is taken off a Trial.

Called by `controllers.apply`. Whoever comes while a write is under way is part of the next one: thousands of
Trials can be released at once.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.storage import parse, serialise, status_patch
from lcm_operator.domain.importing import ignored, remembered
from lcm_operator.domain.importing import noted as with_noted
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import Conflict, NotFound
from lcm_operator.kube.resources import TRIAL_REGISTRIES

_ATTEMPTS = 10
Place = tuple[str, str]


@dataclass(frozen=True)
class _Note:
    trial_id: str
    start: datetime
    deleted: bool


class ImportMemory:
    """What stands in `status.imports` and `status.ignored` of TrialRegistries."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = asyncio.Lock()
        self._waiting: defaultdict[Place, list[_Note]] = defaultdict(list)

    async def note(self, place: Place, trial_id: str, start: datetime, *, deleted: bool) -> None:
        """Return when it is noted that a Trial was imported, or is being deleted. Raises ApiError, Malformed.

        Nothing is noted on a TrialRegistry that is gone.
        """
        waiting, note = self._waiting[place], _Note(trial_id, start, deleted)
        waiting.append(note)
        async with self._lock:
            if note not in waiting:  # somebody has taken it along
                return
            taken = tuple(waiting)
            await self._write(place, taken)
            del waiting[: len(taken)]

    async def _write(self, place: Place, notes: tuple[_Note, ...]) -> None:
        namespace, name = place
        for attempt in range(_ATTEMPTS):
            try:
                raw = await self._client.get(TRIAL_REGISTRIES, namespace, name)
                registry = parse(raw, TrialRegistry)
                status = registry.status
                new = replace(
                    status,
                    ignored=ignored(status.ignored, [note.trial_id for note in notes if note.deleted], ()),
                    imports=with_noted(remembered(status.imports), [(n.trial_id, n.start) for n in notes]),
                )
                patch = status_patch(registry.metadata.resource_version, serialise(status), serialise(new))
                await self._client.json_patch(TRIAL_REGISTRIES, namespace, name, patch, subresource="status")
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
            except NotFound:
                return
            else:
                return
