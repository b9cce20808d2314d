"""Writes of Trials that follow from a registry's list: few at a time, each fenced, each error for itself.

A leader writes nothing once its term has ended, and goes on after a refusal; what was refused is counted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from lcm_operator.api import names
from lcm_operator.api.storage import MalformedError, parse
from lcm_operator.api.trial import Trial
from lcm_operator.kube.client import Client, Json
from lcm_operator.kube.clock import elapsed
from lcm_operator.kube.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError, RejectedError
from lcm_operator.kube.resources import TRIALS

_AT_ONCE = 8
_QUOTA = "exceeded quota"
"""What the API server says of a ResourceQuota; there is no reason for it that a program could tell."""
_LONGEST_HOLD_SECONDS = 5.0
_HOLD_SECONDS = 0.1


class NotLeadingError(Exception):
    """The term in which something was decided is over."""


class TrialWrites:
    """The writes of one pull. `may_write()`: whether its term goes on; `is_busy()`: a start is near."""

    def __init__(
        self, client: Client, namespace: str, *, may_write: Callable[[], bool], is_busy: Callable[[], bool]
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._may_write = may_write
        self._is_busy = is_busy
        self._few = asyncio.Semaphore(_AT_ONCE)
        self._patience = _LONGEST_HOLD_SECONDS
        self.failed = 0
        self.first_failure = ""
        self.refused: set[str] = set()
        """Trial IDs of which the API server takes no Trial, for a reason of their own."""
        self.is_open = True
        """False once a quota is used up, or the API server takes no writes."""

    async def all(self, writes: Iterable[Awaitable[None]]) -> None:
        """Do all of them. Raises NotLeadingError once none is under way."""
        for result in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def patch(self, trial: Trial, patch: Json, take: Callable[[Json], object]) -> bool:
        """Patch a Trial; return whether that was done. One that has changed is looked at again next time."""
        metadata = trial.metadata

        async def write() -> None:
            take(await self._client.merge_patch(TRIALS, self._namespace, metadata.name, patch))

        return await self._write(f"Trial {metadata.name}", write)

    async def create(
        self, trial_id: str, manifest: Callable[[str], Json], take: Callable[[Json], object]
    ) -> bool:
        """Create a Trial under the first name that is free; return whether there is one of that ID now."""

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
        """Return whether there is a Trial of this ID, under a name that a create would give it.

        One that can't be read counts as there.
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
                    return True  # it may be of this ID: nothing is taken for removed that is only unreadable
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
            await self._quiet()
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
                self._fail(what, f"the Trial of its name can't be read: {error}")
                if creates:
                    self.refused.add(creates)
                return False
        return True

    def _fail(self, what: str, why: str) -> None:
        self.failed += 1
        self.first_failure = self.first_failure or f"{what}: {why}"

    async def _quiet(self) -> None:
        """Wait while a start is near: no longer than a few seconds, all writes of the pull together."""
        while self._patience > 0 and self._is_busy():
            begun = elapsed()
            await asyncio.sleep(_HOLD_SECONDS)
            self._patience -= elapsed() - begun
