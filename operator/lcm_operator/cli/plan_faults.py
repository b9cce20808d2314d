"""What is wrong with a plan beyond its schema: what no engine runs, and what can't come out as it is meant.

Called by `plan_check` with a plan as it stands in the file, which may be wrong in any other way too.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from lcm_operator.api.plan import Plan
from lcm_operator.api.signals import ACTIVE, CALLBACKS, FINISH, KPI_LABEL
from lcm_operator.api.storage import Malformed, parse
from lcm_operator.api.support import unsupported
from lcm_operator.cli.documents import Place
from lcm_operator.cli.rules import activities
from lcm_operator.cli.schema import Fault
from lcm_operator.cli.texts import Text, lookups, texts
from lcm_operator.engine.expressions import parse as compiled
from lcm_operator.engine.templates import Scope, TemplateError

_MEMBERS = {
    "trial": frozenset({"id", "name", "namespace", "startTime", "attempt"}),
    "response": frozenset({"status", "headers", "text", "json"}),
}
_NAMES = {"parameters", "trial", "outputs", "values", "now", "range"}
_SIGNALS = (*CALLBACKS, ACTIVE, FINISH)


class _Seen(msgspec.Struct, frozen=True):
    """What an activity may look up: parameters, and of what comes before it outputs and values."""

    parameters: AbstractSet[str]
    outputs: dict[str, AbstractSet[str]]
    values: AbstractSet[str]


def faults(plan: Any, parameters: AbstractSet[str]) -> Iterator[Fault]:
    """Yield what is wrong with a plan that has these parameters; the places are from the plan on."""
    yield from _unsupported(plan)
    earlier: list[dict[str, Any]] = []
    left = [activity.get("name") for _, activity in activities(plan)]
    for place, activity in activities(plan):
        seen = _Seen(
            parameters,
            {str(one.get("name")): _outputs(one) for one in earlier},
            {key for one in earlier for key in _keys(one, "set")},
        )
        found = [*_wait(activity, seen, left[len(earlier) :]), *_expressions(activity, seen)]
        yield from (Fault((*place, *fault.place), fault.message) for fault in found)
        earlier.append(activity)


def _unsupported(plan: Any) -> Iterator[Fault]:
    """Yield the headers that are the engine's own; what else it refuses the schema refuses too."""
    try:
        fields = unsupported(parse(plan, Plan))
    except Malformed:  # the schema has told why
        return
    for field in fields:
        path, _, header = field.partition(".headers.")
        if header:
            yield Fault((*_place(path), "headers", header), "the engine sets this header itself")


def _place(path: str) -> Place:
    """Return the place that a path like `activities[2].http` says."""
    keys = path.replace("[", ".").replace("]", "").split(".")
    return tuple(int(key) if key.isdigit() else key for key in keys)


def _keys(activity: dict[str, Any], *place: str) -> AbstractSet[str]:
    found: Any = activity
    for key in place:
        found = found.get(key) if isinstance(found, dict) else None
    return found.keys() if isinstance(found, dict) else frozenset()


def _outputs(activity: dict[str, Any]) -> AbstractSet[str]:
    return frozenset({"exitCode"}) if "exec" in activity else _keys(activity, "http", "capture")


def _wait(activity: dict[str, Any], seen: _Seen, later: list[Any]) -> Iterator[Fault]:
    match activity:
        case {"wait": {"signal": str(signal)}} if signal not in _SIGNALS:
            yield Fault(("wait", "signal"), f"no such signal can come, there are {', '.join(_SIGNALS)}")
        case {"wait": {"signal": "active"}} if KPI_LABEL not in seen.values:
            why = f"active is taken while {KPI_LABEL} is Idle; no activity before sets {KPI_LABEL}"
            yield Fault(("wait", "signal"), why)
    match activity:  # one that there is not at all has been told by the schema
        case {"wait": {"after": str(after)}} if after in later:
            yield Fault(("wait", "after"), f"{after} does not come before this wait")


def _expressions(activity: dict[str, Any], seen: _Seen) -> Iterator[Fault]:
    for text in texts(activity):
        try:
            if "{{" in text.source or "{%" in text.source:
                compiled(text.source)
                yield from _unknown(text, activity, seen)
            elif text.is_condition:
                Scope({}).condition(text.source)
        except TemplateError as error:
            yield Fault(text.place, str(error))


def _unknown(text: Text, activity: dict[str, Any], seen: _Seen) -> Iterator[Fault]:
    own = {str(activity.get("name")): _outputs(activity)} if text.sees_itself else {}
    outputs = seen.outputs | own
    known: dict[str, AbstractSet[str]] = {
        **_MEMBERS,
        "parameters": seen.parameters,
        "outputs": outputs.keys(),
        "values": seen.values,
    }
    names = _NAMES | ({"response"} if text.sees_response else set())
    told: set[str] = set()
    for name, *members in lookups(text.source):
        message = None
        if name not in names:
            message = "response is not there yet" if name == "response" else f"{name} is no name"
        elif len(members) == 1 and name in known and not _is_member(members[0], known[name]):
            message = _missing(name, members[0])
        elif len(members) == 2 and name == "outputs" and members[0] in outputs:  # noqa: PLR2004
            activity_name, output = members
            if not _is_member(output, outputs[activity_name]):
                message = f"{activity_name} has no output {output}"
        if message and message not in told:
            told.add(message)
            yield Fault(text.place, message)


def _is_member(name: str, members: AbstractSet[str]) -> bool:
    """Return whether it can be looked up; objects have methods too."""
    return name in members or hasattr(dict, name)


def _missing(name: str, member: str) -> str:
    match name:
        case "parameters":
            return f"the parameter {member} is not declared"
        case "outputs":
            return f"no activity {member} comes before this one"
        case "values":
            return f"no activity before this one sets {member}"
        case _:
            return f"{name} has no {member}"
