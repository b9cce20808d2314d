"""The status of a TrialRegistry after a pull: conditions, counts and times, and Events.

Every write is fenced: a leader whose term is over writes nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from lcm_operator.api import conditions, names, reasons
from lcm_operator.api.conditions import Condition, Conditions
from lcm_operator.api.registry import Sync, TrialRegistry, TrialRegistryStatus
from lcm_operator.api.storage import parse, serialise, status_patch
from lcm_operator.api.trial import Trial
from lcm_operator.controllers.registry_writes import NotLeadingError
from lcm_operator.domain import imports
from lcm_operator.domain.obstacle import registry_obstacle, with_obstacle
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import NotFoundError
from lcm_operator.kube.resources import TRIAL_REGISTRIES
from lcm_operator.kube.update import update
from lcm_operator.registry.listing import Listing

Fence = Callable[[], bool]


@dataclass(frozen=True)
class PullResult:
    """The result of a pull that returned a list."""

    listing: Listing
    times: Mapping[str, datetime] = field(default_factory=dict)
    removed: Collection[str] = ()
    """IDs of imported Trials that somebody has deleted."""
    not_imported: int = 0
    failed: int = 0
    first_failure: str = ""


class RegistryStatus:
    """Writes `status` of TrialRegistries; `tell` queues an Event."""

    def __init__(self, client: Client, tell: Callable[..., None], now: Callable[[], datetime]) -> None:
        self._client = client
        self._tell = tell
        self._now = now

    async def told(
        self,
        registry: TrialRegistry,
        read: datetime,
        result: PullResult,
        trials: Sequence[Trial],
        holds: Fence,
    ) -> None:
        """Show the result of a list. Raises ApiError, MalformedError, NotLeadingError."""

        def new(now: TrialRegistry) -> TrialRegistryStatus:
            imported = [trial for trial in trials if imports.is_imported_by(trial, now)]
            listing = result.listing
            return replace(
                _shown(now, _imported(_synced(now, result, read), now, result, read), read),
                last_sync_time=read,
                trials=listing.total,
                listed=listing.total - listing.bad,
                imported=len(imported),
                not_imported=result.not_imported,
                failed=result.failed,
                ignored=imports.ignored(now.status.ignored, result.removed, trials),
                imports=imports.remember(now, trials, (), result.times, read, complete=not listing.bad),
            )

        written = await self._write(registry, read, new, holds)
        if written is not None:
            self._tell_news(*written)

    async def remember(
        self,
        registry: TrialRegistry,
        made: Collection[tuple[str, datetime]],
        times: Mapping[str, datetime],
        trials: Sequence[Trial],
        holds: Fence,
    ) -> None:
        """Note new imports. Raises ApiError, MalformedError, NotLeadingError."""

        def new(now: TrialRegistry) -> TrialRegistryStatus:
            kept = imports.remember(now, trials, made, times, self._now(), complete=False)
            return replace(now.status, imports=kept)

        await self._write(registry, None, new, holds)

    async def failed(
        self, registry: TrialRegistry, read: datetime, reason: str, why: str, holds: Fence
    ) -> None:
        """Show why the registry returned no list. Raises ApiError, MalformedError, NotLeadingError."""

        def new(now: TrialRegistry) -> TrialRegistryStatus:
            current = _with(now.status.conditions, now, reasons.SYNCED, ("False", reason, why), read)
            return _shown(now, current, read)

        written = await self._write(registry, read, new, holds)
        if written is not None:
            self._tell_news(*written)

    async def suspended(self, registry: TrialRegistry, holds: Fence) -> None:
        """Show, once, that the registry is not asked. Raises ApiError, MalformedError, NotLeadingError."""
        known = conditions.reason(registry.status.conditions, reasons.SYNCED)
        current = registry.status.observed_generation == registry.metadata.generation
        if known == reasons.SUSPENDED and current:
            return

        def new(now: TrialRegistry) -> TrialRegistryStatus:
            shown = ("False", reasons.SUSPENDED, "spec.suspend is true")
            moment = self._now()
            return _shown(now, _with(now.status.conditions, now, reasons.SYNCED, shown, moment), moment)

        await self._write(registry, None, new, holds)

    async def _write(
        self,
        registry: TrialRegistry,
        read: datetime | None,
        new: Callable[[TrialRegistry], TrialRegistryStatus],
        holds: Fence,
    ) -> tuple[TrialRegistry, TrialRegistryStatus] | None:
        """Write the status that `new` makes of the current one; return both, None if nothing was written."""
        written: tuple[TrialRegistry, TrialRegistryStatus] | None = None

        def change(raw: Json) -> list[Json] | None:
            nonlocal written
            written, current = None, parse(raw, TrialRegistry)
            if current.metadata.uid != registry.metadata.uid:
                return None
            status = new(current)
            if read is not None:
                handled = _sync(registry, current, read)
                status = replace(status, last_attempt_time=read, last_handled_sync=handled)
            if status == current.status:
                return None
            if not holds():
                raise NotLeadingError
            written = current, status
            return status_patch(
                current.metadata.resource_version, serialise(current.status), serialise(status)
            )

        namespace, name = registry.metadata.namespace, registry.metadata.name
        try:
            await update(self._client, TRIAL_REGISTRIES, namespace, name, change, subresource="status")
        except NotFoundError:
            return None
        return written

    def _tell_news(self, before: TrialRegistry, status: TrialRegistryStatus) -> None:
        """Record an Event for each condition that has changed, or has another cause."""
        for found in status.conditions:
            if found.type not in (reasons.SYNCED, reasons.IMPORTED):
                continue
            known = conditions.find(before.status.conditions, found.type)
            reason = _told(found, status)
            if reason is not None and (known is None or _told(known, before.status) != reason):
                text = f"{found.type}={found.status}: {found.message}"
                self._tell("TrialRegistry", before.metadata, reason, text, warning=reason != found.type)


def _told(found: Condition, status: TrialRegistryStatus) -> str | None:
    """Return the reason of the Event about a condition: the fault, or its type if there is none."""
    if found.status != "True":
        return found.reason if found.reason != reasons.SUSPENDED else None
    if found.type == reasons.SYNCED and status.failed and _WRITES in found.message:
        return reasons.WRITES_FAILED
    if found.type == reasons.SYNCED and _UNREADABLE in found.message:
        return reasons.BAD_ENTRIES
    return found.type


_UNREADABLE = " cannot be parsed: "
_WRITES = " writes of Trials were rejected, the first: "


def _synced(now: TrialRegistry, result: PullResult, read: datetime) -> Conditions:
    listing = result.listing
    text = f"{listing.total} trials"
    if listing.bad:
        text += f"; {listing.bad}{_UNREADABLE}{'; '.join(listing.faults)}"
    if result.failed:
        text = f"{text[:600]}; {result.failed}{_WRITES}{result.first_failure}"
    return _with(now.status.conditions, now, reasons.SYNCED, ("True", reasons.SYNCED, text), read)


def _imported(current: Conditions, now: TrialRegistry, result: PullResult, read: datetime) -> Conditions:
    """Return the conditions with `Imported`, or without it if nothing is to be imported."""
    if now.spec.import_ != "All":
        return tuple(found for found in current if found.type != reasons.IMPORTED)
    left = f"{result.not_imported} upcoming trials are not imported"
    if result.failed and result.not_imported:
        shown = ("False", reasons.IMPORT_FAILED, f"{left}; the first rejection: {result.first_failure}")
    elif result.not_imported:
        limit = f"{left}: spec.importLimit is {now.spec.import_limit}, and the earliest are imported first"
        shown = ("False", reasons.IMPORT_LIMIT_REACHED, limit)
    else:
        shown = ("True", reasons.IMPORTED, "all upcoming trials are imported")
    return _with(current, now, reasons.IMPORTED, shown, read)


def _with(
    current: Conditions, registry: TrialRegistry, kind: str, shown: tuple[Any, str, str], now: datetime
) -> Conditions:
    return conditions.with_condition(
        current, conditions.ConditionUpdate(kind, *shown), now, registry.metadata.generation
    )


def _shown(registry: TrialRegistry, current: Conditions, now: datetime) -> TrialRegistryStatus:
    """Return the status with these conditions, and what follows from them."""
    generation = registry.metadata.generation
    current = with_obstacle(current, registry_obstacle(current), now, generation)
    return replace(registry.status, observed_generation=generation, conditions=current)


def _sync(asked: TrialRegistry, current: TrialRegistry, read: datetime) -> Sync | None:
    """Return the answer to the request to ask at once that this pull has fulfilled."""
    request = asked.metadata.annotations.get(names.ANNOTATION_SYNC, "")[: names.LONGEST_ID]
    known = current.status.last_handled_sync
    if not request or (known is not None and known.id == request):
        return known
    return Sync(id=request, time=read)
