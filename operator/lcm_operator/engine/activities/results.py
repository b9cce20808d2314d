"""What performing an activity gives."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field


class Performed(Struct, frozen=True):
    """It worked. `response` is what expressions of `set` see; it is not kept.

    `secrets`, disjoint from `output`, holds what `secretCapture` names: expressions see it in `outputs`
    beside the output, as long as this process lives; it is never stored and never logged.
    """

    output: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, Any] | None = None
    secrets: Mapping[str, Any] = field(default_factory=dict)


class ActivityFailedError(Exception):
    """It did not work: what was expected and what came, in one line without secrets."""

    def __init__(self, message: str, output: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.output = output
