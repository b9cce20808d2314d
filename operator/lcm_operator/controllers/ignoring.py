"""Notes on a TrialRegistry which imported trials were removed here, so that they are not imported again.

Called by `controllers.apply` before it lets an imported Trial go. Whoever comes while a write is under way is
part of the next one: thousands of Trials can be deleted at once.
"""

import asyncio
from collections import defaultdict

from msgspec.structs import replace

from lcm_operator.api.registry import TrialRegistry
from lcm_operator.api.storage import parse, serialise, status_patch
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import Conflict, NotFound
from lcm_operator.kube.resources import TRIAL_REGISTRIES

_KEPT = 1000
_ATTEMPTS = 10


class Ignoring:
    """The lists of ignored trial IDs."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = asyncio.Lock()
        self._waiting: defaultdict[tuple[str, str], list[str]] = defaultdict(list)

    async def note(self, namespace: str, registry: str, trial_id: str) -> None:
        """Return when the ID is on the list, or the TrialRegistry is gone. Raises ApiError, Malformed."""
        waiting = self._waiting[namespace, registry]
        waiting.append(trial_id)
        async with self._lock:
            if trial_id not in waiting:  # somebody has taken it along
                return
            taken = tuple(waiting)
            await self._write(namespace, registry, taken)
            del waiting[: len(taken)]

    async def _write(self, namespace: str, name: str, trial_ids: tuple[str, ...]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                raw = await self._client.get(TRIAL_REGISTRIES, namespace, name)
            except NotFound:
                return
            registry = parse(raw, TrialRegistry)
            status = registry.status
            kept = (*(known for known in status.ignored if known not in trial_ids), *dict.fromkeys(trial_ids))
            new = replace(status, ignored=kept[-_KEPT:])
            patch = status_patch(registry.metadata.resource_version, serialise(status), serialise(new))
            try:
                await self._client.json_patch(TRIAL_REGISTRIES, namespace, name, patch, subresource="status")
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
            except NotFound:
                return
            else:
                return
