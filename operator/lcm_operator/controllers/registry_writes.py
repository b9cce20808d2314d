"""Writes of Trials that follow from a registry's list: few at a time, each fenced, each error for itself.

A leader writes nothing once its term has ended. A rejected write is counted and stops no other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from lcm_operator.api import names
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.api.trial import Trial
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError, RejectedError
from lcm_operator.kube.resources import TRIALS

_AT_ONCE = 8
_QUOTA = "exceeded quota"
"""The API server's text for an exhausted ResourceQuota; it gives no reason that programs could read."""
_LONGEST_HOLD_SECONDS = 5.0


class NotLeadingError(Exception):
    """The term of the decision is over."""


class TrialWrites:
    """The writes of one pull. `may_write()` returns whether its term lasts; `quiet(limit)` waits for calm."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        *,
        may_write: Callable[[], bool],
        quiet: Callable[[float], Awaitable[float]],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._may_write = may_write
        self._quiet = quiet
        self._few = asyncio.Semaphore(_AT_ONCE)
        self._patience = _LONGEST_HOLD_SECONDS
        self.failed = 0
        self.first_failure = ""
        self.refused: set[str] = set()
        """Trial IDs whose Trial the API server rejected, for a reason of its own."""
        self.is_open = True
        """False once a quota is exhausted, or the API server accepts no writes."""

    async def all(self, writes: Iterable[Awaitable[None]]) -> None:
        """Do all of them. Raises NotLeadingError once none is under way."""
        for result in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def patch(self, trial: Trial, patch: Json, take: Callable[[Json], object]) -> bool:
        """Patch a Trial; return whether that succeeded. One that has changed is left to the next pull."""
        metadata = trial.metadata

        async def write() -> None:
            take(await self._client.merge_patch(TRIALS, self._namespace, metadata.name, patch))

        return await self._write(f"Trial {metadata.name}", write)

    async def create(
        self, trial_id: str, manifest: Callable[[str], Json], take: Callable[[Json], object]
    ) -> bool:
        """Create a Trial under the first free name; return whether a Trial of that ID exists now."""

        async def write() -> None:
            for name in names.object_names(trial_id):
                try:
                    take(await self._client.create(TRIALS, self._namespace, manifest(name)))
                except AlreadyExistsError:
                    found = await self._find(name)
                    if found is not None and found.trial_id == trial_id:
                        return
                else:
                    return

        return await self._write(f"trial {trial_id!r}", write, trial_id)

    async def find(self, trial_id: str, take: Callable[[Json], object]) -> bool:
        """Return whether a Trial of this ID exists, under a name that a create would give it.

        One that can't be parsed counts as existing.
        """
        async with self._few:
            for name in names.object_names(trial_id):
                try:
                    raw = await self._client.get(TRIALS, self._namespace, name)
                except NotFoundError:
                    return False
                try:
                    found = parse(raw, Trial).trial_id == trial_id
                except MalformedError:
                    return True  # it may have this ID, and must not be taken for deleted
                if found:
                    take(raw)
                    return True
        return False

    async def _find(self, name: str) -> Trial | None:
        try:
            return parse(await self._client.get(TRIALS, self._namespace, name), Trial)
        except NotFoundError:
            return None

    async def _write(self, what: str, write: Callable[[], Awaitable[Any]], creates: str = "") -> bool:
        async with self._few:
            # All writes of the pull together wait no longer than a few seconds.
            self._patience -= await self._quiet(self._patience)
            if not self._may_write():
                raise NotLeadingError
            try:
                await write()
            except (ConflictError, NotFoundError):
                return False
            except ApiError as error:
                self._fail(what, error.message)
                if not isinstance(error, RejectedError) or _QUOTA in error.message:
                    self.is_open = False
                elif creates:
                    self.refused.add(creates)
                return False
            except MalformedError as error:
                self._fail(what, f"cannot parse the Trial of its name: {error}")
                if creates:
                    self.refused.add(creates)
                return False
        return True

    def _fail(self, what: str, why: str) -> None:
        self.failed += 1
        self.first_failure = self.first_failure or f"{what}: {why}"
