"""The page /status of a Lifecycle Manager 0.1.1 or 1.0.2, read. Pure.

Its lists are text in Python's notation. An entry that cannot be read is kept as text: nothing that the page
lists may get lost.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KNOWN_VERSIONS = ("0.1.1", "1.0.2")
_GREETING = "This is Lifecycle Manager "
_LISTS = ("scheduled_trials", "Executor_Engine_instances")
_SHOWN = 120


class PageError(Exception):
    """The answer is no such page; the text says why."""


@dataclass(frozen=True)
class WaitingTrial:
    """A trial that waits for its start there; `trigger` is the text that contains its start time."""

    trial_id: str
    trigger: str


@dataclass(frozen=True)
class LegacyPage:
    """What the page says."""

    version: str
    automatic: bool
    """Whether it schedules by itself what its registry lists (1.0.2)."""
    waiting: tuple[WaitingTrial, ...]
    engines: Mapping[str, str]
    """The status (`active`, `failed` or `finished`) by trial ID."""
    unreadable: tuple[str, ...]
    """Entries that cannot be read."""


def parse_page(body: Any) -> LegacyPage:
    """Return what a page says. Raises PageError."""
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, str) or not message.startswith(_GREETING):
        raise PageError(f'it is no page of a Lifecycle Manager: `message` must begin with "{_GREETING}"')
    missing = [name for name in _LISTS if name not in body]
    if missing:
        raise PageError(f"it lacks {' and '.join(missing)}, so the scheduled trials are not known")
    waiting: list[WaitingTrial] = []
    engines: dict[str, str] = {}
    unreadable: list[str] = []
    for entry in _entries(body, "scheduled_trials"):
        match entry:
            case {"id": str() | int() as trial_id, "trigger": str() as trigger}:
                waiting.append(WaitingTrial(str(trial_id), trigger))
            case _:
                unreadable.append(repr(entry)[:_SHOWN])
    for entry in _entries(body, "Executor_Engine_instances"):
        match entry:
            case {"ID": str() | int() as trial_id, "status": str() as status}:
                engines[str(trial_id)] = status.lower()
            case _:
                unreadable.append(repr(entry)[:_SHOWN])
    return LegacyPage(
        version=message.removeprefix(_GREETING).rstrip("!"),
        automatic=body.get("Automatic_scheduling") is True,
        waiting=tuple(waiting),
        engines=engines,
        unreadable=tuple(unreadable),
    )


def _entries(body: Mapping[str, Any], name: str) -> list[Any]:
    text = body[name]
    try:
        found = ast.literal_eval(text) if isinstance(text, str) else text
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise PageError(f"{name} is no list in Python's notation ({str(error)[:_SHOWN]})") from error
    if not isinstance(found, list):
        raise PageError(f"{name} must be a list")
    return found
