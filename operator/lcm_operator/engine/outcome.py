"""What just happened, in memory: the result of one activity, and how the whole engine ended.

Never stored: that is `checkpoint`.
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


class Succeeded(Struct, frozen=True):
    """The activity did what it should.

    `values` is what its `set` puts into status.values, `signals` are the ids of those that it took.
    """

    output: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    signals: tuple[str, ...] = ()


class Failed(Struct, frozen=True):
    """The activity did not; `message` names it, what was expected and what came."""

    message: str
    output: Mapping[str, Any] | None = None


class Skipped(Struct, frozen=True):
    """Its `when` did not hold, or, with a `message`, `finish` jumped over it or there was no time left."""

    message: str = ""


class Interrupted(Struct, frozen=True):
    """The engine was interrupted: the activity stays Running unless it is settled otherwise."""


StepOutcome = Succeeded | Failed | Skipped | Interrupted


class Report(Struct, frozen=True):
    """How the engine ended, and what to say about it."""

    ending: Ending
    message: str = ""


class EngineEndedError(Exception):
    """The engine can't go on; raised where that is seen, turned into the exit code in `__main__`."""

    def __init__(self, ending: Ending, message: str) -> None:
        super().__init__(message)
        self.ending = ending


def excerpt(text: str, limit: int = _LONGEST_EXCERPT) -> str:
    """Return `text` as one printable line of at most `limit` characters; what is cut off shows as `…`."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
