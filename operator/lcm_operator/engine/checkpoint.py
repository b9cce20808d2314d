"""The checkpoint, which survives an engine, and how outcomes change it. Pure.

Pending ──began──> Running ──settled──> Succeeded | Failed
   ^───────stopped────┘   (another branch failed)
└───────────────settled────────────> Skipped          (restore: the operator resets to Pending)
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

import msgspec

from lcm_operator.api.bounds import TOO_DEEP_TEXT, nests_deeper
from lcm_operator.api.engine import (
    CHECKPOINT_VERSION,
    ActivityStatus,
    CheckpointMark,
    ConsumedSignal,
    TrialEngineStatus,
)
from lcm_operator.api.storage import serialise
from lcm_operator.engine.outcome import Failed, Skipped, Succeeded

LARGEST_OUTPUT = 8 * 1024
LARGEST_OUTPUTS = 256 * 1024
LARGEST_WITH_NOTES = LARGEST_OUTPUTS // 4
"""With more outputs than that, notes are left out: room that captures may need must not be used up."""


class UnknownVersionError(Exception):
    """The stored checkpoint was written by a later version."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A versioned record of the progress. `mark` is None until the first save.

    `touched` is the activity that changed last.
    """

    activities: tuple[ActivityStatus, ...]
    values: Mapping[str, str] = msgspec.field(default_factory=dict)
    consumed: tuple[ConsumedSignal, ...] = ()
    mark: CheckpointMark | None = None
    touched: str = ""

    @classmethod
    def from_storage(cls, status: TrialEngineStatus, names: Iterable[str]) -> Self:
        """Return the checkpoint in `status`: the plan's activities (`names`) in order, then any others.

        Raises UnknownVersionError.
        """
        if status.checkpoint is not None and status.checkpoint.version > CHECKPOINT_VERSION:
            raise UnknownVersionError(
                f"the checkpoint has version {status.checkpoint.version}, this engine reads at most"
                f" {CHECKPOINT_VERSION}; run it with the image of the operator that wrote it"
            )
        planned = tuple(names)
        others = tuple(activity for activity in status.activities if activity.name not in planned)
        return cls(
            activities=tuple(status.activity(name) for name in planned) + others,
            values=status.values,
            consumed=status.consumed_signals,
            mark=status.checkpoint,
            touched=status.checkpoint.activity if status.checkpoint else "",
        )

    def for_storage(self) -> dict[str, Any]:
        """Return the fields of `status` that the engine writes."""
        stored: dict[str, Any] = {
            "activities": [serialise(activity) for activity in self.activities],
            "values": dict(self.values),
            "consumedSignals": [serialise(signal) for signal in self.consumed],
        }
        if self.mark is not None:
            stored["checkpoint"] = serialise(self.mark)
        return stored

    def stamped(self, now: datetime) -> "Checkpoint":
        """Return this checkpoint for the next save, with the next sequence number."""
        mark = CheckpointMark(
            version=CHECKPOINT_VERSION,
            sequence=self.mark.sequence + 1 if self.mark else 1,
            activity=self.touched,
            saved_time=now,
        )
        return msgspec.structs.replace(self, mark=mark)

    def activity(self, name: str) -> ActivityStatus:
        """Return the state of an activity of the plan."""
        return next(activity for activity in self.activities if activity.name == name)

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        """The outputs of activities that succeeded, as expressions see them."""
        return {a.name: a.output or {} for a in self.activities if a.state == "Succeeded"}

    def began(self, name: str, now: datetime) -> "Checkpoint":
        """Return the checkpoint with the activity Running.

        An activity that had begun keeps its start time, since its callbacks may have arrived. One that had
        succeeded gets a new run.
        """
        old = self.activity(name)
        new = ActivityStatus(
            name=name,
            state="Running",
            run=old.run + (old.state == "Succeeded"),
            start_time=old.start_time or now,
            earlier_signals=old.earlier_signals,
        )
        return self._with(new)

    def settled(self, name: str, outcome: Succeeded | Failed | Skipped, now: datetime) -> "Checkpoint":
        """Return the checkpoint with the outcome of the activity."""
        done = msgspec.structs.replace(self.activity(name), completion_time=now)
        match outcome:
            case Succeeded(output, values, signals):
                new = msgspec.structs.replace(done, state="Succeeded", output=dict(output) or None)
                return msgspec.structs.replace(
                    self._with(new),
                    values={**self.values, **values},
                    consumed=(*self.consumed, *(ConsumedSignal(id=one, activity=name) for one in signals)),
                )
            case Failed(message, output):
                kept = dict(output) if output else None
                return self._with(msgspec.structs.replace(done, state="Failed", message=message, output=kept))
            case Skipped(message):
                return self._with(msgspec.structs.replace(done, state="Skipped", message=message))

    def stopped(self, name: str, message: str) -> "Checkpoint":
        """Return the checkpoint with an activity that was begun Pending again, in the same run."""
        old = self.activity(name)
        new = msgspec.structs.replace(old, state="Pending", message=message)
        return self._with(new)

    def too_large(
        self,
        name: str,
        output: Mapping[str, Any],
        values: Mapping[str, str],
        most: int = LARGEST_OUTPUTS,
    ) -> str | None:
        """Return why this output and these values of activity `name` can't be stored, or None if they can."""
        if nests_deeper(output):
            return f"OutputTooDeep: the output {TOO_DEEP_TEXT}; capture less of it"
        largest = max([_size(output) if output else 0, *(len(value.encode()) for value in values.values())])
        if largest > LARGEST_OUTPUT:
            return f"OutputTooLarge: {largest} bytes, expected at most {LARGEST_OUTPUT}; capture less"
        kept = [a.output for a in self.activities if a.output and a.name != name]
        total = sum(_size(part) for part in [*kept, output, {**self.values, **values}] if part)
        if total > most:
            return f"OutputTooLarge: {total} bytes in all, expected at most {most}; capture less"
        return None

    def _with(self, new: ActivityStatus) -> "Checkpoint":
        changed = tuple(new if activity.name == new.name else activity for activity in self.activities)
        return msgspec.structs.replace(self, activities=changed, touched=new.name)


def _size(part: Mapping[str, Any]) -> int:
    return len(msgspec.json.encode(part))
