"""How a TrialRegistry shows what came of asking it: its condition Synced, its times, and Events.

Called by `controllers.registries`, once for each pull.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.registry import Sync, TrialRegistry, TrialRegistryStatus
from lcm_operator.api.storage import parse, serialise, status_patch
from lcm_operator.domain.importing import still_ignored
from lcm_operator.kube.client import Client
from lcm_operator.kube.errors import Conflict, NotFound
from lcm_operator.kube.resources import TRIAL_REGISTRIES
from lcm_operator.registry.replies import Listing

_ATTEMPTS = 10
_LONGEST_REQUEST = 253


class RegistryStatus:
    """Writes `status` of TrialRegistries; `tell` queues an Event."""

    def __init__(self, client: Client, tell: Callable[..., None]) -> None:
        self._client = client
        self._tell = tell

    async def told(
        self, registry: TrialRegistry, begun: datetime, listing: Listing, by_hand: set[str]
    ) -> None:
        """Show that the registry has told its trials. Raises ApiError, Malformed."""
        bad = f"; {listing.bad} can't be read: {'; '.join(listing.faults)}" if listing.bad else ""

        def new(now: TrialRegistry) -> TrialRegistryStatus:
            status = _with(now, "True", reasons.SYNCED, f"{listing.total} trials{bad}", begun)
            return replace(
                status,
                last_sync_time=begun,
                trials=listing.total,
                ignored=still_ignored(now, by_hand),
            )

        await self._write(registry, begun, new)
        if bad and _message(registry) != _message_of(new(registry)):
            self._tell(
                "TrialRegistry", registry.metadata, reasons.BAD_ENTRIES, bad.removeprefix("; "), warning=True
            )

    async def failed(self, registry: TrialRegistry, begun: datetime, reason: str, why: str) -> None:
        """Show why the registry told nothing. Raises ApiError, Malformed."""
        await self._write(registry, begun, lambda now: _with(now, "False", reason, why, begun))
        if conditions.reason(registry.status.conditions, reasons.SYNCED) != reason:
            self._tell("TrialRegistry", registry.metadata, reason, why, warning=True)

    async def suspended(self, registry: TrialRegistry) -> None:
        """Show, once, that the registry is not asked. Raises ApiError, Malformed."""
        if conditions.reason(registry.status.conditions, reasons.SYNCED) != reasons.SUSPENDED:
            at = datetime.now(UTC)
            why = "spec.suspend is true"
            await self._write(registry, None, lambda now: _with(now, "False", reasons.SUSPENDED, why, at))

    async def _write(
        self,
        registry: TrialRegistry,
        begun: datetime | None,
        new: Callable[[TrialRegistry], TrialRegistryStatus],
    ) -> None:
        """Write what `new` makes of the status that stands there now: imports may have changed it."""
        namespace, name = registry.metadata.namespace, registry.metadata.name
        for attempt in range(_ATTEMPTS):
            try:
                current = parse(await self._client.get(TRIAL_REGISTRIES, namespace, name), TrialRegistry)
                status = new(current)
                if begun is not None:
                    status = replace(
                        status, last_attempt_time=begun, last_handled_sync=_sync(registry, begun)
                    )
                patch = status_patch(
                    current.metadata.resource_version, serialise(current.status), serialise(status)
                )
                await self._client.json_patch(TRIAL_REGISTRIES, namespace, name, patch, subresource="status")
            except NotFound:
                return
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return


def _with(
    registry: TrialRegistry, status: conditions.Status, reason: str, message: str, now: datetime
) -> TrialRegistryStatus:
    generation = registry.metadata.generation
    current = conditions.with_condition(
        registry.status.conditions,
        reasons.SYNCED,
        status,
        reason,
        now=now,
        generation=generation,
        message=message,
    )
    return replace(registry.status, observed_generation=generation, conditions=current)


def _sync(registry: TrialRegistry, begun: datetime) -> Sync | None:
    """Return the echo of the request to ask at once that this pull has met."""
    request = registry.metadata.annotations.get(names.ANNOTATION_SYNC, "")[:_LONGEST_REQUEST]
    known = registry.status.last_handled_sync
    if not request or (known is not None and known.id == request):
        return known
    return Sync(id=request, time=begun)


def _message(registry: TrialRegistry) -> str:
    return _message_of(registry.status)


def _message_of(status: TrialRegistryStatus) -> str:
    found: Any = conditions.find(status.conditions, reasons.SYNCED)
    return found.message if found is not None else ""
