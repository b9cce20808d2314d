"""docs/state-machine.md, made from what `decide()` does.

`make generate` writes it anew; a test fails when it is stale.
"""

import logging
from functools import cache
from pathlib import Path

from tests.unit.states.events import EVENTS
from tests.unit.states.rows import Row, row
from tests.unit.states.states import STATES

PAGE = Path(__file__).parents[3] / "docs" / "state-machine.md"
_HEAD = Path(__file__).with_name("page_head.md")
_COLUMNS = ("event", "actions of the operator", "result", "Events", "reason for waiting (next look)")
_NOTHING = "none"


def page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD.read_text(encoding="utf-8").rstrip(), *_tables()]) + "\n"


@cache
def lines(text: str) -> dict[tuple[str, str], Row]:
    """Return the rows of a page, by state and event."""
    found: dict[tuple[str, str], Row] = {}
    state = ""
    names = {event.name for event in EVENTS}
    for line in text.splitlines():
        if line.startswith("### "):
            state = line.removeprefix("### ")
        columns = [column.strip() for column in line.strip("|").split("|")]
        if state and columns[0] in names:
            found[state, columns[0]] = _read(columns[1:])
        elif state and line.startswith("- "):
            why, _, events = line.removeprefix("- ").partition(": ")
            found |= {(state, event): Row(impossible=why) for event in events.split("; ")}
    return found


def _tables() -> list[str]:
    reported: list[str] = []
    for state in STATES:
        reported += ["", f"### {state.name}", "", f"{state.known_by}.", ""]
        reported += [_row(*_COLUMNS), "|" + "---|" * len(_COLUMNS)]
        impossible: dict[str, list[str]] = {}
        for event in EVENTS:
            made = row(state, event)
            if made.impossible:
                impossible.setdefault(made.impossible, []).append(event.name)
            else:
                shown = (made.happens or _NOTHING, made.shows, made.events, made.waits)
                reported.append(_row(event.name, *shown))
        reported += ["", "Cannot happen:", ""]
        reported += [f"- {why}: {'; '.join(events)}" for why, events in impossible.items()]
    return reported


def _read(columns: list[str]) -> Row:
    happens, shows, events, waits = columns
    return Row(happens="" if happens == _NOTHING else happens, shows=shows, events=events, waits=waits)


def _row(*columns: str) -> str:
    return f"| {' | '.join(columns)} |".replace("|  |", "| |")


def main() -> None:
    """Write the page, in silence: the states include objects that can't be read."""
    logging.disable()
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
