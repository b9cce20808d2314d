"""Heartbeats that callers add by hand: a list of trial IDs that /status shows, and nothing else.

They stand in the ConfigMap `lcm-rest`. An engine's own beats are its Lease and have nothing to do with them.
"""

from dataclasses import replace

from lcm_operator.kube import errors
from lcm_operator.rest.notes import MOST, Content, Notes
from lcm_operator.rest.refused import Refused

_FULL = f"Too many heartbeats: at most {MOST} are kept. Remove some."


class Heartbeats:
    """Adding and removing. Both raise ApiError."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    @property
    def known(self) -> tuple[str, ...]:
        """The trial IDs, each as often as it was added, as far as they are known here."""
        return self._notes.known.heartbeats

    async def add(self, trial_id: str) -> None:
        """Add one; repeats add another. Raises Refused when there is no room."""

        def added(content: Content) -> Content:
            if len(content.heartbeats) >= MOST:
                raise Refused(400, _FULL)
            return replace(content, heartbeats=(*content.heartbeats, trial_id))

        try:
            await self._notes.change(added)
        except errors.Refused as error:
            if error.status != 422:  # noqa: PLR2004 - larger than a ConfigMap may be: IDs can be long
                raise
            raise Refused(400, _FULL) from error

    async def remove(self, trial_id: str) -> None:
        """Remove the one that was added last. Raises Refused when there is none."""

        def removed(content: Content) -> Content:
            rest = list(content.heartbeats)
            for position in range(len(rest) - 1, -1, -1):
                if rest[position] == trial_id:
                    del rest[position]
                    return replace(content, heartbeats=tuple(rest))
            raise Refused(400, f"Heartbeat instance with trial ID: {trial_id} does not exist.")

        await self._notes.change(removed)
