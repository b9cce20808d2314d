"""Writes docs/reference/settings.md, every environment variable that is read, from the code; `make settings`.

It must not add anything that the declarations don't say.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from devcluster import settings as devcluster
from dummies.partners import settings as partners
from dummies.registry import settings as registry
from lcm_operator.controllers import settings as operator
from lcm_operator.engine import settings as engine
from lcm_operator.rest import settings as rest
from lcm_operator.settings import Declared, LogSettings, Variable

TARGET = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
PROCESSES: Mapping[str, type[Declared]] = {
    "Every process": LogSettings,
    "Operator": operator.Settings,
    "REST sidecar": rest.Settings,
    "Engine": engine.Settings,
    "Dummy registry": registry.Settings,
    "Dummy partner services": partners.Settings,
    "Local cluster": devcluster.Settings,
}
_HEAD = """\
<!-- Made by tools/settings/reference.py from the code. -->
# Settings

Environment variables, by the process that reads them. An empty variable counts as not set. A process
reports all validation errors together, one line each on standard error, and exits with status 2. A variable
that begins with `LCM_` but is not a setting of the process causes a warning in its log, with the most similar
setting. The Helm chart sets the variables of the operator and the REST sidecar from its [values](chart.md);
the operator sets those of the engine.
"""
_INTRODUCTIONS = {
    "Engine": "The process in the container `engine` of an engine pod; see [the engine](../engine.md).",
    "Local cluster": "`make up` and `make run` read these and pass them on to the processes that they start.",
}


def page() -> str:
    """Return the page."""
    lines = [_HEAD]
    common = LogSettings.variables
    for process, settings in PROCESSES.items():
        declared = settings.variables
        own = [declared[name] for name in declared if settings is LogSettings or name not in common]
        lines += [f"## {process}", ""]
        if process in _INTRODUCTIONS:
            lines += [_INTRODUCTIONS[process], ""]
        lines += ["| variable | default | allowed | description |", "|" + "---|" * 4, *map(_row, own), ""]
    return "\n".join(lines)


def _row(variable: Variable) -> str:
    name = f"{variable.name}<n>" if variable.is_family else variable.name
    cells = (f"`{name}`", _default(variable), variable.kind.allowed, variable.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(variable: Variable) -> str:
    if variable.required:
        return "required"
    value = variable.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "" if value is None or value in ((), {}, frozenset()) else f"`{_text(value)}`"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def documented() -> Iterator[str]:
    """Yield the name of each variable on the page."""
    for settings in PROCESSES.values():
        yield from (variable.name for variable in settings.variables.values())


def main() -> None:
    """Write the page."""
    TARGET.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
