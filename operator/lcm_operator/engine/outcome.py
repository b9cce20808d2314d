"""Results in memory: of performing an activity, of settling it, and of the whole engine.

They are never stored; `checkpoint` is.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from msgspec import Struct, field

_LONGEST_EXCERPT = 512


class Ending(IntEnum):
    """How the engine ended. The value is the exit code of its process (docs/engine.md)."""

    FINISHED = 0
    ACTIVITY_FAILED = 1
    PLAN_REFUSED = 2
    WITHDRAWN = 3
    CHECKPOINT_REFUSED = 4
    STOPPED = 5
    CRASHED = 70
    TERMINATED = 143


class Performed(Struct, frozen=True):
    """What performing an activity returned.

    `seen` are the variables (`response`, `stdout`) of the expressions in `set`; they are not stored.
    `secrets`, disjoint from `output`, holds what `secretCapture` names: expressions see it in `outputs` while
    this process lives; it must never be stored or logged. `notes` are stored with the output if they fit.
    """

    output: Mapping[str, Any] = field(default_factory=dict)
    seen: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


class ActivityFailedError(Exception):
    """Performing an activity failed: what was expected and what happened, in one line without secrets."""

    def __init__(self, message: str, output: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.output = output


class ContactLostError(Exception):
    """The activity was ended because the engine could not renew its Lease for too long."""


class Succeeded(Struct, frozen=True):
    """The activity succeeded.

    `values` is what its `set` writes into status.values, `signals` are the IDs of those that it consumed.
    `notes` are stored with the output if they fit.
    """

    output: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    signals: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)


class Failed(Struct, frozen=True):
    """The activity failed; `message` names it, what was expected and what happened."""

    message: str
    output: Mapping[str, Any] | None = None


class Skipped(Struct, frozen=True):
    """Its `when` was false, or, with a `message`, `finish` jumped over it or no time was left."""

    message: str = ""


class Interrupted(Struct, frozen=True):
    """The engine was interrupted; the activity stays Running until it is settled otherwise."""


StepOutcome = Succeeded | Failed | Skipped | Interrupted


class Report(Struct, frozen=True):
    """How the engine ended, with the message for the exit."""

    ending: Ending
    message: str = ""


class EngineEndedError(Exception):
    """The engine can't continue; `__main__` turns this into the exit code."""

    def __init__(self, ending: Ending, message: str) -> None:
        super().__init__(message)
        self.ending = ending


def excerpt(text: str, limit: int = _LONGEST_EXCERPT) -> str:
    """Return `text` as one printable line of at most `limit` characters; what is cut off shows as `…`."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
