"""Notes the fate of imported Trials on their TrialRegistry, without a pull, which may fail.

It does so when an imported Trial is deleted, before the operator deletes one whose time is over, and before
a finalizer of earlier versions is removed. Notes that arrive during a write share the next one: thousands of
Trials can be deleted at once.
"""

import asyncio
import contextlib
from collections import defaultdict

from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.storage import parse, serialise, status_patch
from lcm_operator.domain.imports import Note, with_notes
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.resources import TRIAL_REGISTRIES
from lcm_operator.kube.update import update

Place = tuple[str, str]


class ImportMemory:
    """`status.imports` and `status.ignored` of TrialRegistries."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = asyncio.Lock()
        self._waiting: defaultdict[Place, list[Note]] = defaultdict(list)

    async def note(self, place: Place, note: Note) -> None:
        """Return once the fate of an import is noted. Raises ApiError, MalformedError.

        Nothing is noted if the TrialRegistry was deleted.
        """
        waiting = self._waiting[place]
        waiting.append(note)
        async with self._lock:
            if note not in waiting:  # another call has written it
                return
            taken = tuple(waiting)
            await self._write(place, taken)
            del waiting[: len(taken)]

    async def _write(self, place: Place, notes: tuple[Note, ...]) -> None:
        def change(raw: Json) -> list[Json] | None:
            registry = parse(raw, TrialRegistry)
            status, new = registry.status, with_notes(registry.status, notes)
            if new == status:
                return None
            return status_patch(registry.metadata.resource_version, serialise(status), serialise(new))

        with contextlib.suppress(NotFoundError):
            await update(self._client, TRIAL_REGISTRIES, *place, change, subresource="status")
